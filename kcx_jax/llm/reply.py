"""What an endpoint sent back: a reply, or the class of what went wrong.

We read the raw body ourselves: the SDK's own parsing loses a paid reply whose body is broken.
"""

import json
from dataclasses import dataclass
from typing import Any

from kcx_jax.errors import KcxError


@dataclass(frozen=True)
class Usage:
    """Tokens as billed; None when the endpoint did not say. Of the input, ``cached_tokens`` were cheaper; of
    the output, ``reasoning_tokens`` were thought and not said."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True)
class Reply:
    """One answer of a chat model.

    ``finish_reason`` is the endpoint's ("stop"; "length": the text is cut). ``attempts`` counts the bodies
    that came back for this request, this one included; ``cached`` says that the ledger had it.
    """

    text: str
    finish_reason: str
    usage: Usage
    attempts: int = 1
    cached: bool = False


class ReplyError(KcxError):
    """One request got no usable reply; others may. ``error_class`` says why (see `retry` and `read_body`)."""

    def __init__(self, error_class: str, message: str):
        super().__init__(message)
        self.error_class = error_class


class EndpointError(KcxError):
    """The endpoint is of no use as configured (unreachable, key refused, unknown model): stop the run."""


class Stopped(KcxError):
    """The client was told to send nothing more; what was under way came to its end."""


class NotAnswered(KcxError):
    """An offline client was asked something the ledger does not hold."""


class BodyFault(Exception):
    """A body came back and holds no usable text. ``final``: asking again would not help."""

    def __init__(self, error_class: str, detail: str, usage: Usage, final: bool = False):
        super().__init__(detail)
        self.error_class, self.detail, self.usage, self.final = error_class, detail, usage, final


def read_body(body: bytes, attempts: int = 1, cached: bool = False) -> Reply:
    """Read a Chat Completions body.

    Raises `BodyFault` of the class ``bad_body`` (no JSON object), ``error_body`` (an error under status 200),
    ``empty_choices``, ``no_content``, ``refusal`` or ``content_filter``.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BodyFault("bad_body", f"no JSON: {error}", Usage()) from None
    if not isinstance(value, dict):
        raise BodyFault("bad_body", "JSON, but no object", Usage())
    usage = _usage(value.get("usage"))
    if value.get("error"):
        raise BodyFault("error_body", json.dumps(value["error"], ensure_ascii=False)[:300], usage)
    choices = value.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise BodyFault("empty_choices", "no choices in the reply", usage)
    finish = choices[0].get("finish_reason")
    finish = finish if isinstance(finish, str) and finish.isascii() and finish else "stop"
    message = choices[0].get("message")
    message = message if isinstance(message, dict) else {}
    if message.get("refusal"):
        raise BodyFault("refusal", str(message["refusal"])[:300], usage, final=True)
    if finish == "content_filter":
        raise BodyFault("content_filter", "stopped by the provider's filter", usage, final=True)
    text = message.get("content")
    if not isinstance(text, str) or not text:
        raise BodyFault("no_content", "the reply's content is empty", usage)
    return Reply(text, finish, usage, attempts, cached)


def _usage(value: Any) -> Usage:
    if not isinstance(value, dict):
        return Usage()
    details = (value.get("prompt_tokens_details"), value.get("completion_tokens_details"))
    prompt, completion = (each if isinstance(each, dict) else {} for each in details)
    return Usage(
        _count(value.get("prompt_tokens")),
        _count(value.get("completion_tokens")),
        _count(prompt.get("cached_tokens")),
        _count(completion.get("reasoning_tokens")),
    )


def _count(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value < 2**31 else None
