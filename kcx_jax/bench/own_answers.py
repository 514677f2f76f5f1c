"""Answers by this project: `Generator` with random weights, under the constraint where there is one.

Shapes: B = rows, T = positions, D = hidden size, V = vocabulary.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kcx_jax.bench.answer_work import Answered, Ids, Work, answered
from kcx_jax.bench.decode import RandomModel, random_model
from kcx_jax.bench.memory import anonymous_bytes
from kcx_jax.decoding import Constraint, Generated, Generator
from kcx_jax.decoding.drafts import empty_tally
from kcx_jax.decoding.rules import Rows, Rulebook
from kcx_jax.models import ModelConfig
from kcx_jax.ops.layouts import Causal
from kcx_jax.tokenizer import load_tokenizer

CHUNK = 500  # sentences a call where memory is watched
EARLY = 1000  # sentences after which it should not grow any more


@dataclass(frozen=True)
class Constrained:
    """What answers may be: of which sentences, in the pieces of which tokenizer (a folder)."""

    tokenizer: Path
    constraint: Constraint
    sentences: Sequence[str]


def by_kcx(folder: Path, config: ModelConfig, constrained: Constrained | None, times: int) -> Answered:
    """The work of `folder`, with the weights that `random_params` makes in float32."""
    side = _Side(folder, config, constrained)
    if not times:
        return answered(side.answers, 0, 0.0)
    found = answered(side.answers, times, side.prefix_seconds())
    if constrained is not None:
        found.figures.update(side.drafts(), **side.shares(found.figures["seconds"]))
    return found


def memory_of_many(
    folder: Path, config: ModelConfig, constrained: Constrained, sentences: int
) -> dict[str, float]:
    """Anonymous memory of this process after `EARLY` sentences (0 where there are not so many) and after all, the work
    repeated as often as it takes.
    """
    side = _Side(folder, config, constrained)
    known = len(side.work.contexts)
    early = 0
    for start in range(0, sentences, CHUNK):
        numbers = [number % known for number in range(start, min(start + CHUNK, sentences))]
        side.write(numbers)
        if start + CHUNK == EARLY:
            early = anonymous_bytes()
    return {
        "sentences_for_memory": sentences,
        "anonymous_bytes_early": early,
        "anonymous_bytes_at_the_end": anonymous_bytes(),
    }


def gap(folder: Path, config: ModelConfig, differing: Sequence[tuple[int, Ids, int, int]]) -> list[float]:
    """How far apart the logits of two tokens are, by this project's forward pass over all ids at once.

    Each of `differing` is the number of a context, the ids of its answer so far, and the two tokens after these.
    """
    model, work = random_model(config, "float32"), Work.read(folder)
    rows = [[*work.prefix, *work.contexts[number], *before] for number, before, _, _ in differing]
    length_B = np.array(list(map(len, rows)))
    ids_BT = np.zeros((len(rows), length_B.max()), np.int32)
    for ids_T, row in zip(ids_BT, rows, strict=True):
        ids_T[: len(row)] = row
    logits_BV = np.asarray(_last_logits(model, jnp.asarray(ids_BT), jnp.asarray(length_B)))
    pairs = zip(logits_BV, differing, strict=True)
    return [float(abs(logits_V[one] - logits_V[other])) for logits_V, (_, _, one, other) in pairs]


def _last_logits(model: RandomModel, ids_BT: jax.Array, length_B: jax.Array) -> jax.Array:
    """Logits [B, V] behind the last of each row's first `length_B` ids."""
    layout = Causal(length_B)

    @jax.jit
    def logits(variables: Any) -> Any:
        hidden_BTD: Any = model.module.apply(variables, ids_BT, layout.positions(ids_BT.shape[1]), layout)[0]
        last_BD = hidden_BTD[jnp.arange(len(ids_BT)), length_B - 1]
        return model.module.apply(variables, last_BD, model.inverse_norms, method="logits")

    return logits(model.variables)


class _Side:
    """A generator and the work it is given."""

    def __init__(self, folder: Path, config: ModelConfig, constrained: Constrained | None):
        jax.config.update(
            "jax_compilation_cache_dir", str(folder / "compiled")
        )  # each round is a new process
        self.work, self.constrained = Work.read(folder), constrained
        tokenizer = None if constrained is None else load_tokenizer(constrained.tokenizer)
        self.model = random_model(config, "float32", tokenizer=tokenizer)
        self.generator = Generator(self.model, slots=self.work.rows)
        self.rulebook = Rulebook(self.model.tokenizer)
        self.every = range(len(self.work.contexts))

    def answers(self) -> list[list[int]]:
        """Ids of all answers, the end token included. Drafts know nothing of earlier calls."""
        self._forget()
        self.last = self.write(self.every)
        end = self.model.config.eos_id
        return [[*each.ids, end] if each.finish_reason == "stop" else list(each.ids) for each in self.last]

    def write(self, numbers: Sequence[int]) -> list[Generated]:
        """The answers to some of the contexts."""
        return self._written(self.generator, numbers, self._rules(numbers))

    def prefix_seconds(self) -> float:
        """One token by a generator that has to read the prefix first, less one by a generator that has it."""
        self._written(Generator(self.model, slots=1), [0], None)  # compiles
        fresh = Generator(self.model, slots=1)
        first, second = (self._timed(fresh, [0], None)[0] for _ in range(2))
        return first - second

    def drafts(self) -> dict[str, float]:
        """Steps of the model an answer, the first token apart, and what became of drafts, of the last answers."""
        drafted, accepted = (sum(getattr(one, name) for one in self.last) for name in ("drafted", "accepted"))
        return {
            "forwards_per_answer": sum(each.forwards for each in self.last) / len(self.last),
            "drafted_tokens": drafted,
            "accepted_tokens": accepted,
            "draft_acceptance": accepted / max(1, drafted),
        }

    def shares(self, seconds: float) -> dict[str, float]:
        """What tables take of `seconds` for all answers, and masks of the time of a run without drafts, beside one
        without the constraint; both compute the scores of all tokens. Compared by the forward of an answer, since
        only the constraint knows that an answer ends with its last bracket.
        """
        start = time.perf_counter()
        rules = self._rules(self.every)
        tables = time.perf_counter() - start
        plain = Generator(self.model, slots=self.work.rows, width=1, raw_logprobs=True)
        for kind in (rules, None):  # compiles
            self._written(plain, self.every, kind)
        masked, free = (self._seconds_a_forward(plain, kind) for kind in (rules, None))
        return {
            "table_seconds_per_sentence": tables / len(self.every),
            "table_share": tables / seconds,
            "seconds_a_forward_without_drafts": masked,
            "seconds_a_forward_without_drafts_or_masks": free,
            "mask_share": 1 - free / masked,
        }

    def _timed(
        self, generator: Generator, numbers: Sequence[int], rules: Rows | None
    ) -> tuple[float, list[Generated]]:
        """Seconds, and what was written in them."""
        start = time.perf_counter()
        answers = self._written(generator, numbers, rules)
        return time.perf_counter() - start, answers

    def _seconds_a_forward(self, generator: Generator, rules: Rows | None) -> float:
        seconds, answers = self._timed(generator, self.every, rules)
        return seconds / sum(each.forwards for each in answers)

    def _rules(self, numbers: Sequence[int]) -> Rows | None:
        if self.constrained is None:
            return None
        sentences = [self.constrained.sentences[number] for number in numbers]
        return self.rulebook.rows(self.constrained.constraint, sentences)

    def _forget(self) -> None:
        if self.constrained is not None:
            rule = self.rulebook.rule(self.constrained.constraint)
            rule.tally = empty_tally(rule.structure)

    def _written(self, generator: Generator, numbers: Sequence[int], rules: Rows | None) -> list[Generated]:
        contexts = [self.work.contexts[number] for number in numbers]
        gold = None if self.work.gold is None else [self.work.gold[number] for number in numbers]
        return generator.generate_ids(self.work.prefix, contexts, self.work.new_tokens, rules, teacher=gold)
