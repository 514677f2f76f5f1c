"""The model behind the endpoint: what it is asked, which fault befalls it, what it answers and what that costs."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from kcx_jax.testing.llm_faults import BODY, TRANSPORT
from kcx_jax.testing.llm_script import Ask, FaultPlan, Script, UnknownRequest
from kcx_jax.testing.llm_server.bill import Bill
from kcx_jax.testing.llm_server.http import Refused, refusal
from kcx_jax.testing.llm_server.stored import Stored

HUGE = 10_000_000
REFUSAL = "I'm sorry, I can't help with that."


class Model:
    """Answers from `script` with the faults of `plan`; those of transport and body pass after `passes` tries."""

    def __init__(
        self,
        script: Script,
        plan: FaultPlan,
        bill: Bill,
        stored: Stored,
        clock: Callable[[], float],
        *,
        passes: int,
        structured: bool,
    ):
        self._script, self._plan, self.bill, self._stored, self._clock = script, plan, bill, stored, clock
        self._passes, self._structured = passes, structured
        self._tries: Counter[bytes] = Counter()
        self._answered: set[bytes] = set()

    def read(self, body: Mapping[str, Any]) -> Ask:
        """What a request's body asks; raises `Refused` (400)."""
        self._stored.check(body)
        if "response_format" in body and not self._structured:
            message = "response_format is not supported by this model"
            raise Refused(refusal(400, message, param="response_format"))
        try:
            return self._script.read(str(body["model"]), list(body["messages"]))
        except UnknownRequest as error:
            raise Refused(refusal(400, str(error))) from error
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
            raise Refused(refusal(400, f"not a Chat Completions request: {error!r}")) from error

    def take(self, ask: Ask) -> tuple[Ask, str | None]:
        """Count one try of `ask`, and the fault that befalls it."""
        ask = replace(ask, tries=self._tries[ask.digest])
        self._tries[ask.digest] += 1
        fault = self._plan(ask)
        if (fault in TRANSPORT or fault in BODY) and ask.tries >= self._passes:
            fault = None
        self.bill.stages[ask.stage] += 1
        if fault:
            self.bill.faults[fault] += 1
        return ask, fault

    def complete(
        self, ask: Ask, body: Mapping[str, Any], fault: str | None, batch: bool = False
    ) -> dict[str, Any]:
        """The completion, billed and, where the request asked for it, stored; raises `Refused` (400)."""
        try:
            text, finish = self._script.reply(ask, fault)
        except UnknownRequest as error:
            raise Refused(refusal(400, str(error))) from error
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise Refused(refusal(400, f"not a Chat Completions request: {error!r}")) from error
        text = {
            "huge_body": text.ljust(HUGE if fault == "huge_body" else 0),
            "lone_surrogate": f"{text}\ud800",
            "nul": f"{text}\x00",
            "refusal": REFUSAL,
            "content_filter": "",
        }.get(fault or "", text)
        tokens = prompt_tokens(body), _tokens(text)
        self.bill.add(tokens, batch)
        if fault not in BODY:
            self.bill.paid_twice += ask.digest in self._answered
            self._answered.add(ask.digest)
        completion = self._completion(ask, text, finish, tokens, fault)
        self._stored.keep(completion, body)
        return completion

    def _completion(
        self, ask: Ask, text: str, finish: str, tokens: tuple[int, int], fault: str | None
    ) -> dict[str, Any]:
        content = None if fault in ("no_content", "refusal") else text
        message = {"role": "assistant", "content": content, "refusal": text if fault == "refusal" else None}
        if fault == "content_filter":
            finish = fault
        completion: dict[str, Any] = {
            "id": f"chatcmpl-{ask.digest.hex()}-{ask.tries}",
            "object": "chat.completion",
            "created": int(self._clock()),
            "model": "another-model" if fault == "wrong_model" else ask.model,
            "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
            "usage": _usage(*((-5, 10**18) if fault == "absurd_usage" else tokens)),
        }
        if fault in ("empty_choices", "null_choices"):
            completion["choices"] = [] if fault == "empty_choices" else None
        elif fault in ("missing_choices", "missing_usage"):
            del completion[fault.removeprefix("missing_")]
        return completion


def prompt_tokens(body: Mapping[str, Any]) -> int:
    """The tokens of a request's messages, which `Model.read` has accepted."""
    return sum(_tokens(str(message.get("content"))) for message in body["messages"])


def encoded(completion: Mapping[str, Any], fault: str | None) -> bytes:
    """A completion as bytes, with the faults of `BODY` that spoil its JSON."""
    text = json.dumps(completion, ensure_ascii=fault == "lone_surrogate")
    if fault == "duplicate_keys":
        text = text.replace('"choices": ', '"choices": [], "choices": ', 1)
    body = text.encode()
    if fault == "bom":
        return b"\xef\xbb\xbf" + body
    return body[: len(body) // 2] if fault == "broken_body" else body


def _usage(prompt: int, completion: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _tokens(text: str) -> int:
    """A stand-in for a tokenizer: four bytes a token."""
    return len(text.encode(errors="surrogatepass")) // 4 + 1
