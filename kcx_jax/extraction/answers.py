"""Where answers come from: a source takes prompts and gives back code, whatever model is behind it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

from kcx_jax.prompts import extraction_prefix, sentence_context
from kcx_jax.schema import Entity, Schema, Task

_SHARE = 8  # of a model's positions, the part that stays for a text at least, and for an answer at most


@dataclass(frozen=True)
class Answer:
    """The code a model wrote for one prompt.

    `finish` is "length" when the answer was cut off and "none" when there is no answer (`detail` says why).
    `tokens` holds, for our own models, where each token ends in `text` and its natural-log probability among
    the tokens that were allowed.
    """

    text: str
    finish: Literal["stop", "length", "none"] = "stop"
    detail: str = ""
    tokens: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Question:
    """What is asked of a text: instances of the schema's classes, for one task."""

    schema: Schema
    task: Task

    @cached_property
    def prefix(self) -> str:
        """The beginning of its prompts."""
        return extraction_prefix(self.schema, self.task)

    @cached_property
    def classes(self) -> Schema:
        """What an answer to it may name."""
        return self.schema.for_task(self.task)


@dataclass(frozen=True)
class Ask:
    """One prompt: a question about a text, or about a window of one, and about the `pair` in it where that is given.
    Asks of one question share its prefix.
    """

    question: Question
    text: str
    pair: tuple[Entity, ...] = ()

    @property
    def context(self) -> str:
        """The end of its prompt."""
        return sentence_context(self.text, self.pair)


@dataclass(frozen=True)
class Room:
    """What fits a model: `tokens` of schema, text and answer together, `answer` of these for the answer alone.

    `count` tells the tokens of a piece of a prompt.
    """

    tokens: int
    answer: int
    count: Callable[[str], int]

    @classmethod
    def of(cls, positions: int, max_new_tokens: int | None, count: Callable[[str], int]) -> "Room":
        """The room of a model with so many positions, whose answers end after `max_new_tokens` at the latest."""
        most = positions // _SHARE
        return cls(positions, most if max_new_tokens is None else min(max_new_tokens, most), count)

    @property
    def schema(self) -> int:
        """The most tokens of a schema: beside it there is room for an answer and for a window of some size."""
        return self.tokens - self.answer - self.tokens // _SHARE

    def text(self, prefixes: Iterable[str]) -> int:
        """The tokens that each of these prefixes leaves to a text and the lines around it."""
        return self.tokens - self.answer - max(map(self.count, prefixes))


@dataclass(frozen=True)
class Figures:
    """What a source has done so far.

    answers: how many it gave. forwards: steps of the model that wrote them, None for an endpoint. Of a model of ours,
    `tokens_read` of schemas were computed and `tokens_reused` were taken from the prefix cache; an endpoint billed
    `tokens_read` of prompts, and `tokens_reused` it had cached.
    """

    answers: int = 0
    forwards: int | None = None
    tokens_read: int = 0
    tokens_reused: int = 0


class AnswerSource(Protocol):
    """A model of ours, or a chat endpoint."""

    @property
    def room(self) -> Room | None:
        """What fits its model; None where nobody knows."""
        ...

    @property
    def figures(self) -> Figures:
        """What it has done so far."""
        ...

    def stream(self, asks: Iterable[Ask]) -> Iterator[Answer]:
        """An answer to each ask, in order.

        Reads `asks` only some way ahead of what it yields. Raises `KcxError` for what stops the run.
        """
        ...
