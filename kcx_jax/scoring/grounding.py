"""The instances of an answer, found again in the text: surfaces become offsets, an answer becomes a record.

What decides between several occurrences of a surface is in `places` (what a place looks like) and in
`assignment` (the order of the answer, nearness). Here instances are taken apart for it, and records put
together after it.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from kcx_jax.corpora import Argument, EventMention, Mention, Record, RelationLink, make_span
from kcx_jax.errors import UsageError
from kcx_jax.schema import TASKS, Entity, Event, Problem, Relation, Task
from kcx_jax.scoring.assignment import Found, Habits, Item, assign
from kcx_jax.scoring.places import Place
from kcx_jax.scoring.views import task_view

Instance = Entity | Relation | Event
Pair = tuple[tuple[int, int], tuple[int, int]]

# The next mention stands further on; the next head is often the same one; events with arguments often share a
# trigger, and those without are one mention of it.
_HABITS: dict[Task, Habits] = {
    "ner": Habits(unique=True, complete=True, stay=2),
    "re": Habits(unique=True, complete=True, stay=0),
    "ed": Habits(unique=True, complete=True, stay=2),
    "eae": Habits(unique=False, complete=False, stay=10),
}


@dataclass(frozen=True)
class Unresolved:
    """A part of an answer that has no place in the text: one false positive of its task.

    ``type`` is the claimed class, ``role`` the argument's role (task "eae"), ``text`` the surface sought. ``repeated``:
    of an item that was said more often than the text has it, what stands at its places, and ``rung``, by which of the
    ladder that was found; None of one that does not stand there.
    """

    task: Task
    type: str
    text: str
    role: str | None = None
    repeated: tuple[str, ...] | None = None
    rung: str | None = None


@dataclass(frozen=True)
class Grounded:
    """A record that holds what was found, and what was not (also in the record's ``meta["unresolved"]``)."""

    record: Record
    unresolved: tuple[Unresolved, ...]


def ground(
    instances: Iterable[Instance],
    text: str,
    *,
    task: Task,
    id: str = "",
    language: str = "und",
    problems: Sequence[Problem] = (),
    ladder: bool = False,
    pair: Pair | None = None,
) -> Grounded:
    """Find the instances of one task's answer in `text`.

    Surfaces match verbatim or after NFC, and not more loosely unless the `ladder` is asked for; what only a rung of it
    finds (`places.RUNGS`) takes the form of the text, and is listed in ``meta["loose"]`` with the rung. Offsets that
    instances carry are not looked at.
    Items are taken to come in the order of the text, so the k-th repeated item takes the k-th occurrence. The
    record has what the answer of `task` shows: "ner" entities; "re" relations and their entities; "ed" events
    without arguments; "eae" events, their arguments and the entities among them.

    Args:
        id, language: of the record.
        problems: what was wrong with the parsed answer; kept in ``meta["parse_problems"]`` for `score`.
        pair: offsets of the two mentions whose relation was asked for, if they were given (task "re"): a relation
            between their surfaces stands there, the first one of equal ones.

    An item of another kind than the task's is unresolved. Raises `UsageError` for an unknown task.
    """
    if task not in TASKS:
        raise UsageError(f"unknown task {task!r}; known: {', '.join(TASKS)}")
    kind = {"ner": Entity, "re": Relation, "ed": Event, "eae": Event}[task]
    known: list[Any] = []
    unresolved: list[Unresolved] = []
    for instance in instances:
        if isinstance(instance, kind):
            known.append(instance)
        else:
            unresolved.append(Unresolved(task, type(instance).__name__, _surface(instance)))
    items = [_item(instance, task) for instance in known]
    located = assign(items, text, _HABITS[task], ladder)
    if pair is not None and task == "re":
        located = _at_the_pair(items, located, text, pair)
    placed = {item: found for item, found in zip(items, located, strict=True) if found}
    for instance, item, found in zip(known, items, located, strict=True):
        if found is None and item in placed:
            equal = placed[item].anchor, *placed[item].companions
            again = Unresolved(task, type(instance).__name__, _surface(instance))
            unresolved.append(_repeated(again, equal, text))
        else:
            unresolved += _lost(instance, found, task, text)
    pairs = [(instance, found) for instance, found in zip(known, located, strict=True) if found]
    meta: dict[str, Any] = {}
    if unresolved:
        meta["unresolved"] = [_entry(each) for each in unresolved]
    if loose := [entry for instance, found in pairs for entry in _loose(instance, found, task)]:
        meta["loose"] = loose
    if problems:
        meta["parse_problems"] = [{"task": task, **asdict(problem)} for problem in problems]
    view = task_view(_record(pairs, text, task), task)
    return Grounded(replace(view, id=id, language=language, meta=meta), tuple(unresolved))


def _entry(unresolved: Unresolved) -> dict[str, Any]:
    """As JSON values."""
    found = {key: value for key, value in asdict(unresolved).items() if value is not None}
    return found | {"repeated": list(unresolved.repeated)} if unresolved.repeated else found


def _item(instance: Any, task: Task) -> Item:
    label = type(instance).__name__
    if task == "ner":
        return Item(label, instance.text)
    if task == "re":
        tail = (type(instance.tail).__name__, instance.tail.text)
        return Item(f"{label} {type(instance.head).__name__}", instance.head.text, (tail,))
    if task == "ed":
        return Item(label, instance.trigger)
    return Item(
        label, instance.trigger, tuple((f"{role} {_name(v)}", _text(v)) for role, v in _roles(instance))
    )


def _at_the_pair(
    items: Sequence[Item], located: Sequence[Found | None], text: str, pair: Pair
) -> list[Found | None]:
    """Where relations stand when those between the surfaces of the pair stand at its places."""
    placed = list(located)
    first, second = (Place(*span) for span in pair)
    surfaces = {place: _composed(text[place.start : place.end]) for place in (first, second)}
    for item in dict.fromkeys(items):
        said = (_composed(item.anchor), _composed(item.companions[0][1]))
        for head, tail in ((second, first), (first, second)):
            if said == (surfaces[head], surfaces[tail]):
                wanted = Found(head, (tail,))
                equal = [i for i, other in enumerate(items) if other == item]
                if all(_spans(placed[i]) != _spans(wanted) for i in equal):
                    placed[equal[0]] = wanted
    return placed


def _composed(surface: str) -> str:
    return unicodedata.normalize("NFC", surface)


def _spans(found: Found | None) -> list[tuple[int, int]]:
    return [place.span for place in (found.anchor, *found.companions) if place] if found else []


def _roles(event: Event) -> list[tuple[str, Entity | str]]:
    return [(role, value) for role, values in event.arguments.items() for value in values]


def _name(value: Entity | str) -> str:
    return "" if isinstance(value, str) else type(value).__name__


def _text(value: Entity | str) -> str:
    return value if isinstance(value, str) else value.text


def _surface(instance: Instance) -> str:
    """An instance in a few words, for a report."""
    if isinstance(instance, Relation):
        return f"{instance.head.text} -> {instance.tail.text}"
    return instance.trigger if isinstance(instance, Event) else instance.text


def _lost(instance: Any, found: Found | None, task: Task, text: str) -> list[Unresolved]:
    """What of an instance was not found: the whole of it or, of an event with arguments, single arguments."""
    label = type(instance).__name__
    if task != "eae" or (found is None and not instance.arguments):
        return [] if found else [Unresolved(task, label, _surface(instance))]
    roles = _roles(instance)
    places: Sequence[Place | None] = found.companions if found else [None] * len(roles)
    placed = {
        (role, _text(value)): place for (role, value), place in zip(roles, places, strict=True) if place
    }
    lost = [
        Unresolved(task, label, _text(value), role)
        for (role, value), place in zip(roles, places, strict=True)
        if place is None
    ]
    return [_repeated(each, [placed.get((str(each.role), each.text))], text) for each in lost]


def _repeated(unresolved: Unresolved, equal: Sequence[Place | None], text: str) -> Unresolved:
    """With what stands at the places of an equal one, which has left none; as it is where there is no equal one."""
    places = [place for place in equal if place is not None]
    if not places:
        return unresolved
    surfaces = tuple(text[place.start : place.end] for place in places)
    rung = next((place.rung for place in places if place.rung is not None), None)
    return replace(unresolved, repeated=surfaces, rung=rung)


def _loose(instance: Any, found: Found, task: Task) -> list[dict[str, Any]]:
    """The places of an instance that only a rung of the ladder gave."""
    label = type(instance).__name__
    return [
        {"task": task, "type": label, "start": place.start, "end": place.end, "rung": place.rung}
        for place in (found.anchor, *found.companions)
        if place is not None and place.rung is not None
    ]


def _record(pairs: list[tuple[Any, Found]], text: str, task: Task) -> Record:
    """The record of what was found, as far as the task shows it; ids are provisional."""
    entities = _Entities(text)
    relations: list[RelationLink] = []
    events: list[EventMention] = []
    for instance, found in pairs:
        label, anchor = type(instance).__name__, found.anchor
        if task == "ner":
            entities.add(label, anchor)
        elif task == "re":
            head = entities.add(_name(instance.head), anchor)
            tail = entities.add(_name(instance.tail), found.companions[0])
            relations.append(RelationLink(label, head, tail))
        else:
            arguments = _arguments(instance, found, entities) if task == "eae" else ()
            events.append(EventMention(label, make_span(text, anchor.start, anchor.end), arguments))
    return Record(
        "",
        "und",
        text,
        tuple(entities.mentions) if task != "ed" else None,
        tuple(relations) if task == "re" else None,
        tuple(events) if task in ("ed", "eae") else None,
    )


def _arguments(event: Event, found: Found, entities: "_Entities") -> tuple[Argument, ...]:
    arguments = []
    for (role, value), place in zip(_roles(event), found.companions, strict=True):
        if place is None:
            continue
        if isinstance(value, str):
            surface = entities.text[place.start : place.end]
            arguments.append(Argument(role, start=place.start, end=place.end, text=surface))
        else:
            arguments.append(Argument(role, entity=entities.add(_name(value), place)))
    return tuple(arguments)


class _Entities:
    """The mentions of a record under way."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.mentions: list[Mention] = []

    def add(self, name: str, place: Place | None) -> str:
        """Add a mention and return its id."""
        assert place is not None  # a relation is found with both its ends, or not at all
        start, end = place.span
        self.mentions.append(Mention(f"m{len(self.mentions)}", name, start, end, self.text[start:end]))
        return self.mentions[-1].id
