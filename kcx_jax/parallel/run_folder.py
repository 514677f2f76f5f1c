"""A run for those who read it: its pairs, those of people among them, and its cases for people."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from kcx_jax.corpora import ParallelRecord, Record
from kcx_jax.errors import UsageError
from kcx_jax.parallel.checks import Draft
from kcx_jax.parallel.review import read_review
from kcx_jax.parallel.run import Run


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


def run_id(run: Run) -> str:
    """What tells this run from others: a digest of its settings and of what went in."""
    digest = hashlib.blake2b(json.dumps(run.config, sort_keys=True).encode(), digest_size=8)
    for id, target in run.ids():
        digest.update(json.dumps([id, target]).encode())
    return digest.hexdigest()


def one_target(run: Run, target: str | None) -> str:
    """The language `target` of a run, or its only one. Raises `UsageError` where there are several."""
    targets = run.config["targets"]
    if target is None and len(targets) == 1:
        return targets[0]
    if target is None or target not in targets:
        raise UsageError(
            f"the run in {run.folder} has the targets {', '.join(targets)}: name one with --target"
        )
    return target


@dataclass(frozen=True)
class Case:
    """A record that no model resolved: the drafts a person may begin with, and what went wrong."""

    record: Record
    candidates: tuple[Draft, ...]
    problems: tuple[str, ...]


def cases(run: Run, target: str) -> Iterator[Case]:
    """The cases for people of a run, in one of its target languages."""
    for outcome in run.unresolved():
        if outcome.target == target:
            drafts = () if outcome.draft is None else (outcome.draft,)
            problems = tuple(f"{problem.stage}: {problem.detail}" for problem in outcome.problems)
            yield Case(outcome.record, drafts, problems)
