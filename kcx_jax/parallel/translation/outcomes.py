"""How a record ended: as a pair, or as a case for people."""

from dataclasses import asdict, dataclass
from typing import Any

from kcx_jax.corpora import ParallelRecord, Record
from kcx_jax.llm import retry
from kcx_jax.parallel.translation.checks import Draft

# The endpoint gave no answer: asked another day, it may.
_PASSING = (retry.SERVER, retry.TIMEOUT, retry.CONNECTION, retry.UNREACHABLE)


@dataclass(frozen=True)
class Problem:
    """Why a reply, or a whole stage, was of no use: ``kind`` to count by, ``detail`` for people."""

    model: str
    stage: str
    kind: str
    detail: str


@dataclass(frozen=True)
class Outcome:
    """What became of a record: a pair, or (``pair`` is None) a case for people with the last draft, if any.

    ``round`` is the index of the model and ``stage`` the last stage it went through; ``calls`` counts the
    replies that were read. ``duplicate_of`` is the id of the record with the same content whose end this is: what
    happened on the way happened to that one.
    """

    record: Record
    target: str
    pair: ParallelRecord | None
    round: int
    stage: str
    calls: int
    problems: tuple[Problem, ...]
    draft: Draft | None = None
    duplicate_of: str | None = None

    @property
    def unanswered(self) -> bool:
        """Whether it has no pair because some request got no answer, which may come another time."""
        return self.pair is None and any(problem.kind in _PASSING for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        """As JSON values, without the record and the language, which stand beside it."""
        pair = self.pair and {"target": self.pair.target.to_json(), "provenance": self.pair.provenance}
        return {
            "pair": pair,
            "round": self.round,
            "stage": self.stage,
            "calls": self.calls,
            "problems": [asdict(problem) for problem in self.problems],
            "draft": self.draft and {"sentence": self.draft.sentence, "texts": dict(self.draft.texts)},
            "duplicate_of": self.duplicate_of,
        }

    @classmethod
    def from_json(cls, record: Record, target: str, value: dict[str, Any]) -> "Outcome":
        """From what `to_json` gave."""
        pair, draft = value["pair"], value["draft"]
        return cls(
            record,
            target,
            pair and ParallelRecord(record.id, record, Record.from_json(pair["target"]), pair["provenance"]),
            value["round"],
            value["stage"],
            value["calls"],
            tuple(Problem(**problem) for problem in value["problems"]),
            draft and Draft(**draft),
            value.get("duplicate_of"),
        )
