"""What kind of mistake each item is: a gold or predicted item of a task is exactly one of `KINDS`.

The items are those of the task's headline measure in mode `strict`, so that the kinds add up to its counts:
gold = right + wrong_type + wrong_boundary + wrong_both + missed; predicted = right + wrong_type +
wrong_boundary + wrong_both + spurious + duplicate + hallucinated + unknown_class + unparsable.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from kcx_jax.corpora import Record
from kcx_jax.schema import Task
from kcx_jax.scoring.tally import entries, is_annotated
from kcx_jax.scoring.units import MEASURES, Measure, Unit, repeated_texts

KINDS = {
    "right": "the item is in gold",
    "wrong_type": "a gold item has these spans and another type",
    "wrong_boundary": "a gold item of this type overlaps, but its spans differ",
    "wrong_both": "a gold item of another type overlaps",
    "missed": "a gold item without a prediction",
    "spurious": "a prediction where gold has nothing",
    "duplicate": "a right item again, more often than gold has it",
    "hallucinated": "a prediction that is not in the text",
    "unknown_class": "a prediction of a class that the schema lacks",
    "unparsable": "a prediction with wrong arguments",
}
"""Kind -> what it says. A kind of one side only is missed (gold), or one from spurious on (predicted)."""

HEADLINES: dict[Task, Measure] = {
    measure.task: measure for measure in MEASURES if measure.name == measure.task
}

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Place:
    """An item: its type, and its spans (of a relation head and tail; none for what is not in the text)."""

    type: str
    spans: Spans
    text: str

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"type": self.type, "spans": [list(span) for span in self.spans], "text": self.text}


@dataclass(frozen=True)
class ItemError:
    """An item of gold, a predicted one, or one of each that belong together, and what kind it is."""

    kind: str
    gold: Place | None
    predicted: Place | None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        sides = {"gold": self.gold, "predicted": self.predicted}
        return {"kind": self.kind} | {k: side.to_json() for k, side in sides.items() if side is not None}


def item_errors(gold: Record, predicted: Record | None, task: Task) -> list[ItemError]:
    """Every item of one record's gold and prediction with its kind, right ones included.

    Empty where gold is not annotated for the task.
    """
    if not is_annotated(gold, task):
        return []
    measure = HEADLINES[task]
    wanted, given = measure.count(gold), measure.count(predicted)
    right = wanted & given
    found = [ItemError("right", place, place) for place in _places(right, gold.text)]
    surplus, left = given - right, list(_places(wanted - right, gold.text))
    again = Counter({unit: count for unit, count in surplus.items() if unit in right})
    others = list(_places(surplus - again, gold.text))
    for kind, key, fits in _PAIRINGS:
        pairs, left, others = _paired(left, others, key, fits)
        found += [ItemError(kind, one, other) for one, other in pairs]
    found += [ItemError("missed", place, None) for place in left]
    found += [ItemError("spurious", None, place) for place in others]
    found += [ItemError("duplicate", None, place) for place in _places(again, gold.text)]
    return found + list(_without_place(predicted, measure, right, gold.text))


def error_counts(errors: Iterable[ItemError]) -> dict[str, int]:
    """How many there are of each kind, all kinds named."""
    counts = Counter(error.kind for error in errors)
    return {kind: counts[kind] for kind in KINDS}


def _places(units: Counter[Unit], text: str) -> Iterator[Place]:
    """The items in the order of the text."""
    for label, content in sorted(units.elements(), key=lambda unit: (_spans(unit[1]), unit[0])):
        spans = _spans(content)
        yield Place(label, spans, " -> ".join(text[start:end] for start, end in spans))


def _spans(content: tuple) -> Spans:
    """The spans in a unit's content; those of a trigger stand there as two numbers."""
    spans = tuple(part for part in content if isinstance(part, tuple) and part)
    return spans or ((content[1], content[2]),)


def _overlap(one: Place, other: Place) -> int:
    """How many characters the spans share, 0 unless each meets its counterpart."""
    if len(one.spans) != len(other.spans):
        return 0
    shared = [min(a[1], b[1]) - max(a[0], b[0]) for a, b in zip(one.spans, other.spans, strict=True)]
    return sum(shared) if min(shared) > 0 else 0


Key = Callable[[Place], Any]
Fits = Callable[[Place, Place], int]

# Kind, what must be equal, and how well a pair fits (0: not at all); the first kind that fits is taken.
_PAIRINGS: tuple[tuple[str, Key, Fits], ...] = (
    ("wrong_type", lambda place: place.spans, lambda one, other: 1),
    ("wrong_boundary", lambda place: place.type, _overlap),
    ("wrong_both", lambda place: None, _overlap),
)


def _paired(
    gold: list[Place], predicted: list[Place], key: Key, fits: Fits
) -> tuple[list[tuple[Place, Place]], list[Place], list[Place]]:
    """Pairs of the best fitting items, one to one, and what is left of both sides."""
    free: dict[Any, list[Place]] = defaultdict(list)
    for place in gold:
        free[key(place)].append(place)
    pairs, rest = [], []
    for other in predicted:
        candidates = free[key(other)]
        best = max(candidates, key=lambda place: fits(place, other), default=None)
        if best is None or not fits(best, other):
            rest.append(other)
            continue
        candidates.remove(best)
        pairs.append((best, other))
    return pairs, [place for places in free.values() for place in places], rest


def _without_place(
    predicted: Record | None, measure: Measure, right: Counter[Unit], text: str
) -> Iterator[ItemError]:
    """The predictions that `meta` tells of."""
    if predicted is None:
        return
    known = {(place.type, place.text) for place in _places(right, text)}
    for entry in entries(predicted, "unresolved", measure.task):
        label = measure.label(str(entry.get("type", "")), entry.get("role"))
        sought = str(entry.get("text", ""))
        kind = "hallucinated"
        if repeated := repeated_texts(entry):
            kind = "duplicate" if (label, " -> ".join(repeated)) in known else "spurious"
        yield ItemError(kind, None, Place(label, (), sought))
    kinds = {
        "unknown_class": "unknown_class",
        "wrong_arity": "unparsable",
        "wrong_argument": "unparsable",
        "unquoted": "unparsable",
    }
    for entry in entries(predicted, "parse_problems", measure.task):
        unread = kinds.get(str(entry.get("kind")))
        if unread is not None:
            yield ItemError(unread, None, Place("", (), str(entry.get("detail", ""))))
