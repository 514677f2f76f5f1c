"""Which parts of a prediction are right, which are wrong, and what it missed: a score, told item by item."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kcx_jax.corpora import Record
from kcx_jax.corpora.highlight import Ref
from kcx_jax.schema import Task
from kcx_jax.scoring import ItemError, item_errors, score, task_view
from kcx_jax.scoring.errors import HEADLINES
from kcx_jax.scoring.tally import ITEM_PROBLEMS, entries
from kcx_jax.scoring.units import Unit


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that counts in a task: where it stands, its class (and role), and its text in words."""

    ref: Ref
    label: str
    text: str


@dataclass(frozen=True)
class Comparison:
    """A prediction beside gold, both as `task_view` shows them.

    wrong: the items of the prediction that gold does not have. errors: every item of both with its kind, right ones
    included. unread: parts of the answer that could not be read and stand for no item, in words. right: whether the
    task's strict score of this record alone is perfect.
    """

    gold: Record
    predicted: Record
    wrong: tuple[Item, ...]
    errors: tuple[ItemError, ...]
    unread: tuple[str, ...]
    right: bool


def compare(gold: Record, predicted: Record, task: Task) -> Comparison:
    """Tell the items of `predicted` from those of `gold`, by the task's measure of `kcx_jax.scoring`.

    Raises `KcxError` for another id or text, or where gold is not annotated for the task (as `score` does).
    """
    counts = score([gold], [predicted], [task]).units[task].total
    wanted, given = task_view(gold, task), task_view(predicted, task)
    return Comparison(
        wanted,
        given,
        wrong=_beyond(given, wanted, task),
        errors=tuple(item_errors(gold, predicted, task)),
        unread=tuple(_unread(predicted, task)),
        right=not (counts.fp or counts.fn),
    )


def items(record: Record, task: Task) -> list[Item]:
    """What counts in `task`, in the order in which the record lists it."""
    mentions = {mention.id: mention for mention in record.entities or ()}
    if task == "ner":
        return [Item(("entities", i), m.type, m.text) for i, m in enumerate(record.entities or ())]
    if task == "re":
        return [
            Item(("relations", i), r.type, f"{mentions[r.head].text} → {mentions[r.tail].text}")
            for i, r in enumerate(record.relations or ())
        ]
    if task == "ed":
        return [Item(("events", i), e.type, e.trigger.text) for i, e in enumerate(record.events or ())]
    return [
        Item(("events", i, j), f"{e.type}.{a.role}", (mentions[a.entity].text if a.entity else a.text) or "")
        for i, e in enumerate(record.events or ())
        for j, a in enumerate(e.arguments)
    ]


def _beyond(record: Record, other: Record, task: Task) -> tuple[Item, ...]:
    """The items of `record` that `other` does not have, or not so often."""
    left: Counter[Unit] = HEADLINES[task].count(other)
    units: Sequence[Unit] = list(HEADLINES[task].units(record))
    beyond = []
    for item, unit in zip(items(record, task), units, strict=True):
        if left[unit]:
            left[unit] -= 1
        else:
            beyond.append(item)
    return tuple(beyond)


def _unread(predicted: Record, task: Task) -> Iterator[str]:
    for entry in entries(predicted, "parse_problems", task):
        kind = str(entry.get("kind", ""))
        if kind not in ITEM_PROBLEMS:
            yield f"{kind.replace('_', ' ')}: {entry.get('detail', '')}"
