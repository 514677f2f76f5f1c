"""What is asked of a model, and what comes back: requests, the terms that several share, and answers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Literal

from kcx_jax.decoding.rules import Own, Rule
from kcx_jax.decoding.state import Ends
from kcx_jax.errors import UsageError
from kcx_jax.ops.sampling import Sampler, Sampling

SMALLEST_ANSWER = (
    32  # room for tokens of an answer, and powers of two from there on, because each is compiled
)


@dataclass(frozen=True)
class Stops:
    """What ends an answer beside the model's end tokens, and how many tokens it has at least.

    The answer's text is without them, and so are its ids but for those of a text. What stands before the least number
    of tokens is reached ends nothing, then or later; but an answer under a constraint is at its end behind its last
    bracket, however short. Raises `UsageError` for texts and ids that are none.
    """

    ids: tuple[int, ...] = ()
    texts: tuple[str, ...] = ()
    min_tokens: int = 0

    def __post_init__(self) -> None:
        for name, kind in (("ids", Integral), ("texts", str)):
            given = getattr(self, name)
            if isinstance(given, str) or not isinstance(given, Iterable):
                raise UsageError(f"{name} that end an answer are a list of {name}, found {given!r}.")
            given = tuple(given)  # lists are as good, and cannot be looked up
            if not all(isinstance(each, kind) for each in given):
                raise UsageError(f"{name} that end an answer are a list of {name}, found {given!r}.")
            object.__setattr__(self, name, given)
        for text in self.texts:
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise UsageError(
                    f"a text that ends an answer has half a surrogate pair: {text!a}."
                ) from error


NO_STOPS = Stops()


def check_number(number: int) -> None:
    """Raise `UsageError` for a request's number that 32 bits do not hold."""
    if not isinstance(number, Integral) or not -(1 << 31) <= number < 1 << 31:
        raise UsageError(
            f"a request's number must be a whole number of at most 32 bits with its sign, found {number!r}."
        )


def check_limit(max_new_tokens: int) -> None:
    """Raise `UsageError` for a limit of new tokens that leaves none."""
    if not isinstance(max_new_tokens, Integral) or max_new_tokens < 1:
        raise UsageError(f"max_new_tokens must be a whole number from 1 on, found {max_new_tokens!r}.")


@dataclass(frozen=True)
class Generated:
    """One answer: its text, its ids without the end token, and the natural-log probability of each among the tokens
    that were allowed there.

    `total` is the log-probability of the whole: their sum, and that of the end token where one was chosen.
    `finish_reason` "length" means that the answer was cut off at the limit of new tokens. `raw_logprobs` are among all
    tokens, where they were asked for. `forwards` steps of the model wrote it, the first token apart; of `drafted`
    tokens `accepted` were right.
    """

    text: str
    ids: tuple[int, ...]
    finish_reason: Literal["stop", "length"]
    logprobs: tuple[float, ...]
    raw_logprobs: tuple[float, ...] | None = None
    total: float = field(default=0.0, compare=False)
    forwards: int = field(default=0, compare=False)
    drafted: int = field(default=0, compare=False)
    accepted: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Request:
    """A context behind a prefix, and what is its own: at most `limit` new tokens, the rules of its sentence where there
    is a constraint, the number that draws depend on, and a teacher's ids (`Generator.generate_ids`).
    """

    context_ids: Sequence[int]
    limit: int
    own: Own | None = None
    number: int = 0
    teacher: Sequence[int] | None = None


@dataclass(frozen=True)
class Terms:
    """What requests share that are decoded together. `most`: room for the tokens of an answer."""

    prefix_ids: Sequence[int]
    most: int
    rule: Rule | None
    sampling: Sampling
    stops: Stops
    sampler: Sampler
    ends: Ends
