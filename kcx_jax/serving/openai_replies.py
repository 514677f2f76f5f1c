"""Answers of the OpenAI-compatible routes, whole and in chunks."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from kcx_jax.decoding import Generated


class Usage(BaseModel):
    """Tokens; an answer's end token is not counted."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class CompletionLogprobs(BaseModel):
    """Tokens of the answer, where they begin in it, and how likely each was."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: None
    text_offset: list[int]


class CompletionChoice(BaseModel):
    """The answer, or a piece of it."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: Literal["stop", "length"] | None


class CompletionReply(BaseModel):
    """A completion, or a chunk of one."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage | None


class ChatToken(BaseModel):
    """A token of the answer and how likely it was."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[Any]


class ChatLogprobs(BaseModel):
    """The tokens of an answer."""

    content: list[ChatToken]
    refusal: None


class ChatAnswer(BaseModel):
    """The assistant's turn."""

    role: Literal["assistant"]
    content: str
    refusal: None


class ChatChoice(BaseModel):
    """The answer."""

    index: int
    message: ChatAnswer
    logprobs: ChatLogprobs | None
    finish_reason: Literal["stop", "length"]


class ChatReply(BaseModel):
    """An answer in a conversation."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage


@dataclass(frozen=True)
class Form:
    """How one answer is written down: as a completion or as a turn of a conversation."""

    chat: bool
    model: str
    created: int = field(default_factory=lambda: int(time.time()))
    id: str = field(default_factory=lambda: secrets.token_hex(12))

    def whole(self, generated: Generated, logprobs: Any, usage: dict[str, int]) -> dict[str, Any]:
        """The whole answer."""
        if self.chat:
            message = {"role": "assistant", "content": generated.text, "refusal": None}
            said: dict[str, Any] = {"message": message}
        else:
            said = {"text": generated.text}
        choice = {"index": 0, **said, "logprobs": logprobs, "finish_reason": generated.finish_reason}
        return self._reply("chat.completion", [choice]) | {"usage": usage}

    def first(self) -> dict[str, Any] | None:
        """What opens a stream."""
        return self._chunk({"delta": {"role": "assistant", "content": ""}}, None) if self.chat else None

    def piece(self, text: str) -> dict[str, Any]:
        """Some of the text."""
        return self._chunk({"delta": {"content": text}} if self.chat else {"text": text}, None)

    def last(self, reason: str) -> dict[str, Any]:
        """How it ended."""
        return self._chunk({"delta": {}} if self.chat else {"text": ""}, reason)

    def counts(self, usage: dict[str, int]) -> dict[str, Any]:
        """The chunk behind the last one."""
        return self._reply("chat.completion.chunk", []) | {"usage": usage}

    def _chunk(self, said: dict[str, Any], reason: str | None) -> dict[str, Any]:
        choice = {"index": 0, **said, "logprobs": None, "finish_reason": reason}
        return self._reply("chat.completion.chunk", [choice]) | {"usage": None}

    def _reply(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": f"{'chatcmpl' if self.chat else 'cmpl'}-{self.id}",
            "object": kind if self.chat else "text_completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }


def usage_of(prompt_tokens: int, generated: Generated) -> dict[str, int]:
    """The counts of tokens."""
    written = len(generated.ids)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": written,
        "total_tokens": prompt_tokens + written,
    }


def chat_logprobs(generated: Generated, shown_bytes: Sequence[bytes]) -> dict[str, Any]:
    """Each token of the answer and how likely it was."""
    return {
        "content": [
            {
                "token": shown_bytes[token].decode("utf-8", "replace"),
                "logprob": logprob,
                "bytes": list(shown_bytes[token]),
                "top_logprobs": [],
            }
            for token, logprob in zip(generated.ids, generated.logprobs, strict=True)
        ],
        "refusal": None,
    }


def completion_logprobs(generated: Generated, shown_bytes: Sequence[bytes]) -> dict[str, Any]:
    """As `chat_logprobs`, in the form of completions."""
    pieces = [shown_bytes[token] for token in generated.ids]
    ends = [len(b"".join(pieces[:number]).decode("utf-8", "ignore")) for number in range(len(pieces))]
    return {
        "tokens": [piece.decode("utf-8", "replace") for piece in pieces],
        "token_logprobs": list(generated.logprobs),
        "top_logprobs": None,
        "text_offset": ends,
    }
