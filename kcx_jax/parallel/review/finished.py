"""The pairs of a run as they are handed on: those of models, and those of people."""

from collections.abc import Iterator

from kcx_jax.corpora import ParallelRecord
from kcx_jax.parallel.review.decisions import read_review
from kcx_jax.parallel.runs.run import Run


def finished_pairs(run: Run) -> Iterator[ParallelRecord]:
    """The pairs that models made, and then those of people."""
    decided = read_review(run.ledger)
    for pair in run.pairs():
        if (pair.id, pair.target.language) not in decided:
            yield pair
    yield from decided.values()


def left_over(run: Run) -> tuple[int, int]:
    """How many records of a run are still with people, and how many have not come to their end."""
    decided = read_review(run.ledger)
    people = sum((case.record.id, case.target) not in decided for case in run.unresolved())
    return people, run.counts()["pending"]
