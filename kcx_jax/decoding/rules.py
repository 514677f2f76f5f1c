"""What answers may be, from a schema and a task down to the rows of a batch."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from kcx_jax.decoding.automaton import Automaton, make_automaton
from kcx_jax.decoding.constraint import Structure, on_device, sizes_of, stacked
from kcx_jax.decoding.drafts import Copies, Tally, copying, empty_tally, find_copies, no_copies, unique_size
from kcx_jax.decoding.grammar import Grammar
from kcx_jax.decoding.spans import Spans, find_spans, no_spans
from kcx_jax.decoding.state import Rules
from kcx_jax.decoding.syntax import Syntax
from kcx_jax.decoding.text import STATES, free_text, token_states
from kcx_jax.decoding.vocabulary import Vocabulary
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
    the level syntax, which does not know the names.
    """

    schema: Schema
    task: Task
    canonical: bool = True
    level: Level = "schema+span"


@dataclass
class Rule:
    """A constraint's automaton, its arrays on the device, and what answers did so far."""

    automaton: Automaton
    structure: Structure
    tally: Tally


class Rulebook:
    """Automata for one tokenizer, made when they are asked for."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._kept: OrderedDict[Constraint | Task, Rule] = OrderedDict()

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary(self._tokenizer)

    @cached_property
    def _token_states(self) -> np.ndarray:
        return token_states(self._vocabulary)

    def rule(self, constraint: Constraint) -> Rule:
        """The automaton of a constraint. Raises as `Grammar` and `make_automaton`."""
        key = constraint.task if constraint.level == "syntax" else constraint  # which knows no schema
        if key not in self._kept:
            if constraint.level == "syntax":
                automaton = make_automaton(Syntax(constraint.task), self._vocabulary, canonical=False)
            else:
                grammar = Grammar(constraint.schema, constraint.task)
                automaton = make_automaton(grammar, self._vocabulary, constraint.canonical)
            spans = constraint.level == "schema+span"
            structure = on_device(automaton, None if spans else free_text(automaton, self._token_states))
            self._kept[key] = Rule(automaton, structure, empty_tally(structure))
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def rows(self, constraint: Constraint, sentences: Sequence[str]) -> "Rows":
        """The rules of answers to these sentences."""
        rule = self.rule(constraint)
        if constraint.level != "schema+span":
            return Rows(rule, [no_spans(STATES)] * len(sentences), [no_copies(STATES)] * len(sentences))
        spans = [find_spans(each, self._vocabulary, rule.automaton.wanted) for each in sentences]
        copies = [
            find_copies(each, its, self._vocabulary) for each, its in zip(sentences, spans, strict=True)
        ]
        return Rows(rule, spans, copies)


class Rows:
    """The rules of answers to some sentences."""

    def __init__(self, rule: Rule, spans: Sequence[Spans], copies: Sequence[Copies]):
        self.rule, self._spans, self._copies = rule, spans, copies

    def of(self, sentences: Sequence[int], rows: int) -> Rules:
        """Those of some of the sentences, by their places, at the beginning of their answers; as `rows` rows."""
        spans = [self._spans[number] for number in sentences]
        copies = [self._copies[number] for number in sentences]
        positions, edges, mixed = sizes_of(spans)
        automaton = self.rule.automaton
        nodes = [automaton.start if each.border_P.size > 1 else automaton.nothing for each in spans]
        node_Q: Any = np.array(nodes, np.int32)
        rules = Rules(
            stacked(spans, (positions, edges, mixed)),
            copying(copies, unique_size(copies, positions), positions, edges),
            node_Q,
        )

        def filled_up(x: np.ndarray) -> jax.Array:
            more = [(0, rows - len(x)), *[(0, 0)] * (x.ndim - 1)]
            return jnp.asarray(np.pad(x, more, mode="edge"))  # the last sentence again

        return jax.tree.map(filled_up, rules)
