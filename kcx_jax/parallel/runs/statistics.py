"""How well a run went, counted over all records that went in.

missing per ten thousand: of all records, those not resolved yet after a stage, times 10,000 (the paper's
figure). A record is *resolved* when every span stands at an offset of the target sentence. Faithfulness is
over the records that are finished: ``verbatim`` (the paper's) asks that every span the model gave is found in
the sentence as it is, ``resolved`` also takes the other rungs. An unresolved record is unfaithful. A duplicate
counts as a record, faithful where its original is; the calls and problems on the way are its original's alone.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from kcx_jax.corpora import ParallelRecord
from kcx_jax.parallel.translation.outcomes import Outcome
from kcx_jax.parallel.translation.prompts import STAGES


def is_verbatim(pair: ParallelRecord) -> bool:
    """Whether every span the model gave stands in the target sentence as it is."""
    return set(pair.provenance["rungs"]) <= {"verbatim", "tag"}  # a tag encloses words of the sentence itself


class Statistics:
    """Counts of a run with these `models`, of `total` records, `duplicates` of them not paid for; `add` each outcome
    as it comes."""

    def __init__(self, models: Sequence[str], total: int, duplicates: int = 0):
        self.models, self.total, self.duplicates = list(models), total, duplicates
        self.unresolved = 0
        self.verbatim = 0
        self.calls = 0
        self.resolved_at: Counter[tuple[int, str]] = Counter()
        self.rungs: Counter[str] = Counter()
        self.flags: Counter[str] = Counter()  # pairs that have each
        self.problems: Counter[tuple[str, str]] = Counter()

    def add(self, outcome: Outcome) -> None:
        """Count one finished record."""
        if outcome.duplicate_of is None:
            self.calls += outcome.calls
            self.problems.update((problem.stage, problem.kind) for problem in outcome.problems)
        if outcome.unanswered:
            return
        if outcome.pair is None:
            self.unresolved += 1
            return
        self.resolved_at[outcome.round, outcome.stage] += 1
        self.rungs.update(outcome.pair.provenance["rungs"])
        self.flags.update(outcome.pair.provenance.get("flags", {}).keys())
        self.verbatim += is_verbatim(outcome.pair)

    @property
    def resolved(self) -> int:
        """Records that became a pair."""
        return sum(self.resolved_at.values())

    @property
    def repaired(self) -> int:
        """Records that became a pair in a later stage than the first."""
        return sum(count for (_, stage), count in self.resolved_at.items() if stage != STAGES[0])

    @property
    def by_fallback(self) -> int:
        """Records that became a pair with the second model."""
        return sum(count for (index, _), count in self.resolved_at.items() if index > 0)

    @property
    def finished(self) -> int:
        """Records that became a pair or a case for people."""
        return self.resolved + self.unresolved

    @property
    def faithfulness_verbatim(self) -> float:
        """Share of the finished records whose every span is found verbatim (1.0 of none)."""
        return self.verbatim / self.finished if self.finished else 1.0

    @property
    def faithfulness_resolved(self) -> float:
        """Share of the finished records whose every span resolved, by any rung (1.0 of none)."""
        return self.resolved / self.finished if self.finished else 1.0

    def funnel(self) -> list[dict[str, Any]]:
        """After each stage of each model: how many it resolved, and the missing per ten thousand by then."""
        rows, left = [], self.total
        for index, model in enumerate(self.models):
            for stage in STAGES:
                resolved = self.resolved_at[index, stage]
                left -= resolved
                missing = 10_000 * left / self.total if self.total else 0.0
                rows.append(
                    {
                        "model": model,
                        "stage": stage,
                        "resolved": resolved,
                        "missing_per_10k": round(missing, 2),
                    }
                )
        return rows

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain JSON values."""
        return {
            "records": self.total,
            "duplicates": self.duplicates,
            "resolved": self.resolved,
            "unresolved": self.unresolved,
            "pending": self.total - self.finished,
            "stages": self.funnel(),
            "faithfulness_verbatim": self.faithfulness_verbatim,
            "faithfulness_resolved": self.faithfulness_resolved,
            "rungs": dict(self.rungs.most_common()),
            "flags": dict(self.flags.most_common()),
            "problems": {f"{stage}: {kind}": count for (stage, kind), count in self.problems.most_common()},
            "replies_read": self.calls,
        }
