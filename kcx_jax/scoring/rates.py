"""How much of a system's answers could not be read, is of no known class, or is not in the text."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rates:
    """Counts of one task, and the rates made of them.

    answers: records with a prediction. flagged: those whose answer could not be read to its end. items:
    everything predicted, whether it has a place in the text or not. unknown_class: items of a class that the
    schema lacks. malformed: items with wrong arguments. hallucinated: items, or arguments, that are not in
    the text. loose: items found only by a looser rung than verbatim or NFC.
    """

    answers: int = 0
    flagged: int = 0
    items: int = 0
    unknown_class: int = 0
    malformed: int = 0
    hallucinated: int = 0
    loose: int = 0

    @property
    def parse_error(self) -> float:
        """flagged / answers, in [0, 1]; 0 without an answer."""
        return self.flagged / self.answers if self.answers else 0.0

    def of_items(self, count: int) -> float:
        """count / items, in [0, 1]; 0 without an item."""
        return count / self.items if self.items else 0.0

    def to_json(self) -> dict[str, Any]:
        """The counts and the rates."""
        return {
            "answers": self.answers,
            "items": self.items,
            "parse_error_rate": self.parse_error,
            "unknown_class_rate": self.of_items(self.unknown_class),
            "malformed_rate": self.of_items(self.malformed),
            "hallucinated_rate": self.of_items(self.hallucinated),
            "loose_grounding_share": self.of_items(self.loose),
            "flagged": self.flagged,
            "unknown_class": self.unknown_class,
            "malformed": self.malformed,
            "hallucinated": self.hallucinated,
            "loose": self.loose,
        }
