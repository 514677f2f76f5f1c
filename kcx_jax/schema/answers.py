"""What comes out of reading an answer: the instances that stood there whole, and the problems of the rest."""

import dataclasses
from typing import Literal

from kcx_jax.schema.base import Entity, Event, Relation

ProblemKind = Literal[
    "truncated",
    "runaway",
    "unknown_class",
    "wrong_arity",
    "wrong_argument",
    "unquoted",
    "syntax",
    "too_deep",
    "leading_text",
    "trailing_text",
    "code_fence",
]


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing wrong with an answer, at a character position of its text.

    ``truncated``: the text ends before the list does; ``runaway``: likewise, after saying the same thing over and
    over. ``syntax``: something that cannot be read was skipped. ``too_deep``: an item with more brackets inside one
    another than any answer has. ``leading_text``, ``trailing_text``, ``code_fence``: prose or a fence around the list
    was ignored. ``unknown_class``, ``wrong_arity``, ``wrong_argument``, ``unquoted`` (a text without quotes): each
    stands for one item, or one argument of an event, that was read and left out.
    """

    kind: ProblemKind
    detail: str
    position: int


@dataclasses.dataclass(frozen=True)
class ParsedAnswer:
    """The instances of an answer in their order, and its problems in order of position."""

    instances: tuple[Entity | Relation | Event, ...]
    problems: tuple[Problem, ...]
