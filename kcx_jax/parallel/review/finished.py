"""The pairs of a run as they are handed on: those of models, and those of people."""

from collections.abc import Iterator
from dataclasses import replace

from kcx_jax.corpora import ParallelRecord
from kcx_jax.parallel.review.decisions import read_review
from kcx_jax.parallel.runs.duplicates import duplicate_pair
from kcx_jax.parallel.runs.run import Run


def standing_decisions(run: Run) -> dict[tuple[str, str], ParallelRecord]:
    """The pairs that people made of what the run's input still has as they saw it, by record id and target language.

    A decision on a record that was corrected since, or taken out, counts no more; `meta` is none of what they decided.
    """
    standing = {}
    for (id, target), pair in read_review(run.ledger).items():
        record = run.record(id, target)
        if record is not None and replace(pair.source, meta=record.meta) == record:
            standing[id, target] = replace(pair, source=record)
    return standing


def finished_pairs(run: Run) -> Iterator[ParallelRecord]:
    """The pairs that models made, and then those of people, with those of the duplicates of what they decided."""
    decided = standing_decisions(run)
    for pair in run.pairs():
        if (pair.id, pair.target.language) not in decided:
            yield pair
    yield from decided.values()
    for case in run.unresolved():
        if case.duplicate_of is not None and (case.record.id, case.target) not in decided:
            original = decided.get((case.duplicate_of, case.target))
            if original is not None:
                yield duplicate_pair(original, case.record)


def left_over(run: Run, target: str) -> tuple[int, int]:
    """How many records of a run, in one target language, are still with people, and how many have not come to their
    end."""
    decided = standing_decisions(run)
    people = sum(
        not decided.keys() & {(case.record.id, case.target), (case.duplicate_of, case.target)}
        for case in run.unresolved()
        if case.target == target
    )
    return people, run.counts(target)["pending"]
