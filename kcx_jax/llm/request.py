"""One request as it is meant, the key it is known by, and the body in which an endpoint takes it."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from kcx_jax.llm import retry as on
from kcx_jax.llm.reply import ReplyError
from kcx_jax.llm.retry import Failure

Messages = Sequence[Mapping[str, str]]
# How a reply is held to a JSON schema, the strictest first.
STRUCTURED = ("json_schema", "json_object", "prompt")


@dataclass(frozen=True)
class Request:
    """What is asked of a model. ``json_schema``: what the reply has to be; ``max_tokens``: its length at most."""

    model: str
    messages: tuple[Mapping[str, str], ...]
    json_schema: Mapping[str, Any] | None
    temperature: float | None
    max_tokens: int | None

    def key(self, endpoint: str) -> bytes:
        """The digest of this request to `endpoint`: 16 bytes. Raises `ReplyError` for text that is none."""
        text = json.dumps([endpoint, vars(self)], ensure_ascii=False, sort_keys=True)
        try:
            return hashlib.blake2b(text.encode("utf-8"), digest_size=16).digest()
        except UnicodeEncodeError:
            raise ReplyError(
                on.BAD_REQUEST, "the request holds a lone surrogate, which is no text; clean the input"
            ) from None


@dataclass(frozen=True)
class Dialect:
    """What an endpoint takes; what it refuses is left out, and the request keeps its meaning."""

    structured: str = STRUCTURED[0]
    temperature: bool = True
    length: str = "max_completion_tokens"
    store: bool = True

    @classmethod
    def from_json(cls, text: str | None) -> "Dialect":
        """As noted in a ledger; None: nothing is known."""
        return cls() if text is None else cls(**json.loads(text))

    def to_json(self) -> str:
        """For a note in a ledger."""
        return json.dumps(asdict(self))

    def body(self, request: Request) -> dict[str, Any]:
        """The body of the Chat Completions request."""
        body: dict[str, Any] = {"model": request.model, "messages": [dict(m) for m in request.messages]}
        if request.temperature is not None and self.temperature:
            body["temperature"] = request.temperature
        if request.max_tokens is not None:
            body[self.length] = request.max_tokens
        schema = request.json_schema
        if schema is None:
            return body
        if self.structured == "json_schema":
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "reply", "strict": True, "schema": schema},
            }
            return body
        if self.structured == "json_object":
            body["response_format"] = {"type": "json_object"}
        body["messages"] = _schema_in_words(body["messages"], schema)
        return body

    def without(self, body: Mapping[str, Any], failure: Failure) -> "Dialect":
        """The dialect less what `failure` says was wrong with `body`; itself where it says nothing of that."""
        if failure.error_class != on.BAD_REQUEST:
            return self
        complaint = f"{failure.param or ''} {failure.message}"
        form = body.get("response_format", {}).get("type")
        if form is not None and ("response_format" in complaint or form in complaint):
            return replace(self, structured=STRUCTURED[STRUCTURED.index(form) + 1])
        if "temperature" in body and "temperature" in complaint:
            return replace(self, temperature=False)
        if "max_completion_tokens" in body and "max_completion_tokens" in complaint:
            return replace(self, length="max_tokens")
        # Words that a text may hold too: where the endpoint names the parameter, its message says no more of it.
        if "store" in body and re.search(r"\b(store|metadata)\b", failure.param or failure.message):
            return replace(self, store=False)
        return self


def _schema_in_words(messages: list[dict[str, str]], schema: Mapping[str, Any]) -> list[dict[str, str]]:
    words = "Reply with one JSON object and nothing else. It has to satisfy this JSON Schema:\n" + json.dumps(
        schema, ensure_ascii=False
    )
    first, rest = messages[0], messages[1:]
    if first["role"] != "system":
        return [{"role": "system", "content": words}, *messages]
    return [{**first, "content": f"{first['content']}\n\n{words}"}, *rest]
