"""Where answers come from: a source takes prompts and gives back code, whatever model is behind it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from kcx_jax.errors import KcxError
from kcx_jax.prompts import extraction_prefix
from kcx_jax.schema import Schema, Task


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
    """What is asked of every text: instances of the schema's classes, for one task."""

    schema: Schema
    task: Task

    @property
    def prefix(self) -> str:
        """The beginning of its prompts."""
        return extraction_prefix(self.schema, self.task)


class AnswerSource(Protocol):
    """A model of ours, or a chat endpoint."""

    def stream(self, questions: Sequence[Question], texts: Iterable[str]) -> Iterator[tuple[Answer, ...]]:
        """For each text, in order, its answers to each of the questions.

        Reads `texts` only some way ahead of what it yields. Raises `TextTooLongError` for a text that does not fit,
        and other `KcxError`s for what stops the run.
        """
        ...


class TextTooLongError(KcxError):
    """A text does not fit the model; `ahead` counts the texts between the last one answered and it."""

    def __init__(self, message: str, ahead: int):
        super().__init__(message)
        self.ahead = ahead
