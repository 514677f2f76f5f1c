"""What goes to people: the records of a run that no model resolved."""

from collections.abc import Iterator
from dataclasses import dataclass

from kcx_jax.corpora import Record
from kcx_jax.parallel.runs.run import Run
from kcx_jax.parallel.translation.checks import Draft


@dataclass(frozen=True)
class Case:
    """A record that no model resolved: the drafts a person may begin with, and what went wrong."""

    record: Record
    candidates: tuple[Draft, ...]
    problems: tuple[str, ...]


def cases(run: Run, target: str) -> Iterator[Case]:
    """The cases for people of a run, in one of its target languages. Duplicates take what their original gets."""
    for outcome in run.unresolved():
        if outcome.target == target and outcome.duplicate_of is None:
            drafts = () if outcome.draft is None else (outcome.draft,)
            problems = tuple(f"{problem.stage}: {problem.detail}" for problem in outcome.problems)
            yield Case(outcome.record, drafts, problems)
