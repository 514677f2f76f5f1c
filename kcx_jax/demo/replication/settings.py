"""How large the replication is, which systems it has, and in which languages they are asked."""

import dataclasses
from dataclasses import dataclass, replace
from typing import Any, Literal

from kcx_jax.demo.corpus import CONSTRUCTED, LANGUAGES
from kcx_jax.demo.settings import TUNED
from kcx_jax.demo.settings import Settings as Tuning

READ = (*LANGUAGES, *CONSTRUCTED)  # what the base has read, and systems are asked in
GROUPS = {"tuned": TUNED, "unseen": tuple(language for language in READ if language not in TUNED)}
# The base knows the natural ones already.
READING = (*LANGUAGES, *CONSTRUCTED, *CONSTRUCTED)
LESSON_SHARES = {"words": 0.3, "single names": 0.2, "exercises": 0.5}

Decoding = Literal["constrained", "free"]


@dataclass(frozen=True)
class System:
    """One way of tuning the base on the tuned languages alone."""

    align: bool = False  # stage 1 before stage 2
    longer: bool = False  # stage 2 has the steps of both
    one_by_one: bool = False  # as many samples a step, each with a schema of its own
    json: bool = False  # answers are JSON

    @property
    def decodings(self) -> tuple[Decoding, ...]:
        """How the system is asked; no constraint is there for JSON."""
        return ("free",) if self.json else ("constrained", "free")


SYSTEMS = {
    "stage 2": System(),
    "stages 1 + 2": System(align=True),
    "stage 2, longer": System(longer=True),
    "stage 2, JSON answers": System(json=True),
    "stage 2, one by one": System(one_by_one=True),
}


@dataclass(frozen=True)
class Replication:
    """All that a figure depends on beside the seed; written to ``settings.json`` and checked on resuming."""

    base_steps: int = 1500
    align_steps: int = Tuning.align_steps
    extract_steps: int = Tuning.extract_steps
    pairs: int = Tuning.pairs
    extract_items: int = Tuning.extract_items
    heldout: int = 200  # items answered in each language

    @property
    def lessons(self) -> dict[str, int]:
        """Steps of each lesson of the base; none is left out."""
        return {lesson: max(1, round(share * self.base_steps)) for lesson, share in LESSON_SHARES.items()}

    def tuning(self, system: System, seed: int) -> Tuning:
        """The demo's settings for one run of a system."""
        settings = Tuning(seed=seed, pairs=self.pairs, extract_items=self.extract_items)
        if not system.one_by_one:
            return settings
        return replace(settings, rows=settings.rows * settings.branches, branches=1)

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)
