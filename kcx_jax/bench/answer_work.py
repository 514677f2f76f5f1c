"""What engines are given to answer, as a file in a model's folder. Imports no JAX: an engine's memory is its own."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from kcx_jax.bench.apart import peak_rss_bytes

FILE = "work.json"
GOLD_BIAS = 1e4  # random weights give no logit near it
Ids = Sequence[int]


@dataclass(frozen=True)
class Work:
    """Contexts after one prefix, `rows` of them at a time, answered with at most `new_tokens` each, greedily.

    `gold`: what the answers shall be, each with its end token: `GOLD_BIAS` is added to the logit of an answer's next
    token. Without it no token ends an answer.
    """

    prefix: Ids
    contexts: Sequence[Ids]
    new_tokens: int
    rows: int
    gold: Sequence[Ids] | None = None

    def batches(self) -> list[list[int]]:
        """The numbers of the contexts, `rows` at a time, sorted by length."""
        order = sorted(range(len(self.contexts)), key=lambda number: len(self.contexts[number]))
        return [order[at : at + self.rows] for at in range(0, len(order), self.rows)]

    def write(self, folder: Path) -> None:
        (folder / FILE).write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> "Work":
        return cls(**json.loads((folder / FILE).read_text()))


class Answered(NamedTuple):
    """Ids of every answer in the order of the contexts (an end token included), and figures of an engine."""

    answers: list[list[int]]
    figures: dict[str, float]


def answered(
    answer: Callable[[], list[list[int]]], times: int, prefix_seconds: float, **more: float
) -> Answered:
    """What `answer` gives when called once, and figures of the fastest of `times` calls after it."""
    answers = answer()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        answer()
        seconds.append(time.perf_counter() - start)
    if not seconds:
        return Answered(answers, {})
    best = min(seconds)
    return Answered(
        answers,
        {
            "seconds": best,
            "sentences_per_second": len(answers) / best,
            "new_tokens_per_second": sum(map(len, answers)) / best,
            "prefix_seconds": prefix_seconds,
            "peak_bytes": peak_rss_bytes(),
            **more,
        },
    )
