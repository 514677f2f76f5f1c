"""What answers may be, from a schema and a task down to the rows of a batch."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import jax.numpy as jnp
import numpy as np

from kcx_jax.decoding.automaton import Automaton, make_automaton
from kcx_jax.decoding.constraint import Place, Structure, nowhere, on_device, sizes_of, stacked
from kcx_jax.decoding.grammar import Grammar
from kcx_jax.decoding.slots import Rules
from kcx_jax.decoding.spans import Spans, find_spans, no_spans
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


class Rulebook:
    """Automata for one tokenizer, made when they are asked for."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._kept: OrderedDict[Constraint, tuple[Automaton, Structure]] = OrderedDict()

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary(self._tokenizer)

    @cached_property
    def _token_states(self) -> np.ndarray:
        return token_states(self._vocabulary)

    def automaton(self, constraint: Constraint) -> tuple[Automaton, Structure]:
        """The automaton of a constraint, and its arrays on the device. Raises as `Grammar` and `make_automaton`."""
        if constraint not in self._kept:
            if constraint.level == "syntax":
                automaton = make_automaton(Syntax(constraint.task), self._vocabulary, canonical=False)
            else:
                grammar = Grammar(constraint.schema, constraint.task)
                automaton = make_automaton(grammar, self._vocabulary, constraint.canonical)
            spans = constraint.level == "schema+span"
            text = None if spans else free_text(automaton, self._token_states)
            self._kept[constraint] = automaton, on_device(automaton, text)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(constraint)
        return self._kept[constraint]

    def rows(self, constraint: Constraint, sentences: Sequence[str]) -> "Rows":
        """The rules of answers to these sentences."""
        automaton, structure = self.automaton(constraint)
        if constraint.level == "schema+span":
            spans = [find_spans(each, self._vocabulary, automaton.wanted) for each in sentences]
        else:
            spans = [no_spans(STATES)] * len(sentences)
        return Rows(automaton, structure, spans)


class Rows:
    """The rules of a batch of sentences: of one `structure`, in arrays of one size."""

    def __init__(self, automaton: Automaton, structure: Structure, spans: Sequence[Spans]):
        self._automaton, self.structure, self._spans = automaton, structure, spans
        self._sizes = sizes_of(spans)

    def none(self, rows: int) -> Rules:
        """Rules for `rows` slots that hold no sentence."""
        return Rules(*nowhere(rows, self._sizes, len(self._automaton.slot_N) - 1))

    def of(self, sentences: Sequence[int], rows: int) -> Rules:
        """Those of some of the sentences, by their places, at the beginning of their answers; as `rows` rows."""
        chosen = [self._spans[number] for number in sentences]
        chosen += [chosen[0]] * (rows - len(chosen))
        starts = [
            self._automaton.start if each.border_P.size > 1 else self._automaton.nothing for each in chosen
        ]
        at_BP = jnp.zeros((rows, self._sizes[0]), bool)
        place = Place(jnp.asarray(np.array(starts, np.int32)), at_BP, jnp.zeros(rows, bool))
        return Rules(stacked(chosen, self._sizes), place)
