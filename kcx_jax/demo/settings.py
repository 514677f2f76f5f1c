"""How large each part of the demo is: the whole one fits ten minutes on two cores, the quick one two."""

import dataclasses
from dataclasses import dataclass
from typing import Any

TUNED, UNSEEN = ("en", "zh"), "es"  # the languages that the model is tuned on, and one that it only read


@dataclass(frozen=True)
class Settings:
    """Everything a run of the demo depends on; written to ``settings.json`` and checked when it is resumed."""

    seed: int = 0
    quick: bool = False
    from_scratch: bool = False  # train the base anew (hours) in place of the shipped one
    pairs: int = 480  # sentences translated by the pipeline, half of them from each language
    align_steps: int = 40
    extract_items: int = 1600  # records of stage 2, each in English and Chinese and for all four tasks
    extract_steps: int = 110
    rows: int = 2  # trees a step
    branches: int = 16  # sentences under one schema
    shapes: int = 4  # of a step; each is compiled, in 7 to 9 s on two cores
    lora_rank: int = 32
    learning_rate: float = 2e-3
    heldout: int = 36  # records answered in each language
    base_steps: int = 6400  # of --from-scratch, in the last lesson

    @classmethod
    def of(cls, seed: int = 0, quick: bool = False, from_scratch: bool = False) -> "Settings":
        """The settings of ``kcx demo`` with these flags."""
        full = cls(seed=seed, quick=quick, from_scratch=from_scratch)
        if not quick:
            return full
        return dataclasses.replace(
            full,
            pairs=64,
            align_steps=6,
            extract_items=400,
            extract_steps=20,
            rows=1,
            shapes=1,
            heldout=6,
            base_steps=60,
        )

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)
