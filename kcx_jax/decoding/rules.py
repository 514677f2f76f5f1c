"""What answers may be, from a schema and a task down to the rows of a batch."""

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from kcx_jax.decoding.automaton import Automaton, make_automaton
from kcx_jax.decoding.constraint import Structure, on_device, sizes_of, stacked
from kcx_jax.decoding.copies import Copies, copying, find_copies, no_copies, unique_size
from kcx_jax.decoding.drafts import Tally, empty_tally
from kcx_jax.decoding.grammar import Grammar
from kcx_jax.decoding.spans import Spans, find_spans, no_spans
from kcx_jax.decoding.state import Rules
from kcx_jax.decoding.syntax import Syntax
from kcx_jax.decoding.text import STATES, free_text, token_states
from kcx_jax.decoding.vocabulary import Vocabulary
from kcx_jax.errors import UsageError
from kcx_jax.schema import Schema, Task
from kcx_jax.tokenizer import Tokenizer

_KEPT = 16  # automata of so many schemas and tasks

Level = Literal["syntax", "schema", "schema+span"]
"""syntax: an answer of the task's shape, of any names and texts. schema: it names classes and roles of the schema, as
these may be nested. schema+span: and what it quotes stands in the sentence.
"""


@dataclass(frozen=True)
class Constraint:
    """What answers of one task are held to, by its level.

    canonical: names and brackets are spelled in the tokens that a model is trained on; otherwise in any, as always at
    the level syntax, which does not know the names. Raises `UsageError` for another level or task.
    """

    schema: Schema
    task: Task
    canonical: bool = True
    level: Level = "schema+span"

    def __post_init__(self) -> None:
        for what, value, known in (("level", self.level, Level), ("task", self.task, Task)):
            if value not in get_args(known):
                raise UsageError(f"{what} of a constraint is {value!r}: one of {', '.join(get_args(known))}")


@dataclass
class Rule:
    """A constraint's automaton, its arrays on the device, and what answers did so far."""

    automaton: Automaton
    structure: Structure
    tally: Tally


class Rulebook:
    """Automata for one tokenizer, made when they are asked for, by any thread."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._kept: OrderedDict[Constraint | Task, Future[Rule]] = OrderedDict()
        self._lock = Lock()

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary(self._tokenizer)

    @cached_property
    def _token_states(self) -> np.ndarray:
        return token_states(self._vocabulary)

    def rule(self, constraint: Constraint) -> Rule:
        """The automaton of a constraint. Raises as `Grammar` and `make_automaton`."""
        key = constraint.task if constraint.level == "syntax" else constraint  # which knows no schema
        with self._lock:
            is_new = key not in self._kept
            promised = self._kept.setdefault(key, Future())
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        if is_new:  # others that want it wait for it; those that want another one do not
            try:
                promised.set_result(self._made(constraint))
            except BaseException as error:
                promised.set_exception(error)
                with self._lock:
                    self._kept.pop(key, None)
        return promised.result()

    def _made(self, constraint: Constraint) -> Rule:
        if constraint.level == "syntax":
            automaton = make_automaton(Syntax(constraint.task), self._vocabulary, canonical=False)
        else:
            grammar = Grammar(constraint.schema, constraint.task)
            automaton = make_automaton(grammar, self._vocabulary, constraint.canonical)
        spans = constraint.level == "schema+span"
        structure = on_device(automaton, None if spans else free_text(automaton, self._token_states))
        return Rule(automaton, structure, empty_tally(structure))

    def rows(self, constraint: Constraint, sentences: Sequence[str]) -> "Rows":
        """The rules of answers to these sentences. Raises `UsageError` for one that is no text."""
        rule = self.rule(constraint)
        if constraint.level != "schema+span":
            return Rows(rule, [Own(no_spans(STATES), no_copies(STATES))] * len(sentences))
        for number, sentence in enumerate(sentences):
            try:
                sentence.encode()
            except UnicodeEncodeError as error:
                raise UsageError(
                    f"sentence {number}: half a surrogate pair at character {error.start}. The text was decoded "
                    "wrongly: read it as UTF-8."
                ) from error
        return Rows(rule, [self._own(each, rule.automaton) for each in sentences])

    def _own(self, sentence: str, automaton: Automaton) -> "Own":
        spans = find_spans(sentence, self._vocabulary, automaton.wanted)
        return Own(spans, find_copies(sentence, spans, self._vocabulary))


@dataclass(frozen=True)
class Own:
    """What of the rules is a sentence's own: what may be copied from it, and how."""

    spans: Spans
    copies: Copies


@dataclass(frozen=True)
class Rows:
    """The rules of answers to some sentences."""

    rule: Rule
    own: Sequence[Own]


class Room(NamedTuple):
    """Sizes of the arrays that hold the rules of several sentences."""

    positions: int
    edges: int
    mixed: int
    unique: int


def room_of(own: Sequence[Own]) -> Room:
    """Room for all of these."""
    positions, edges, mixed = sizes_of([each.spans for each in own])
    return Room(positions, edges, mixed, unique_size([each.copies for each in own], positions))


def rules_of(rule: Rule, own: Sequence[Own], room: Room, rows: int) -> Rules:
    """These at the beginning of their answers, as `rows` rows; the last one again where there are more rows."""
    positions, edges, mixed, unique = room
    start, nothing = rule.automaton.start, rule.automaton.nothing
    node_Q: Any = np.array([start if each.spans.border_P.size > 1 else nothing for each in own], np.int32)
    rules = Rules(
        stacked([each.spans for each in own], (positions, edges, mixed)),
        copying([each.copies for each in own], unique, positions, edges),
        node_Q,
    )

    def filled_up(x: np.ndarray) -> jax.Array:
        more = [(0, rows - len(x)), *[(0, 0)] * (x.ndim - 1)]
        return jnp.asarray(np.pad(x, more, mode="edge"))

    return jax.tree.map(filled_up, rules)
