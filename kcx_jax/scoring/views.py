"""What the answer of one task can show of a record, in one normal form."""

from collections.abc import Iterable

from kcx_jax.corpora import Argument, EventMention, Mention, Record, RelationLink, make_span
from kcx_jax.errors import UsageError
from kcx_jax.schema import TASKS, Task

Key = tuple[int, int, str]  # start, end, type


def task_view(record: Record, task: Task) -> Record:
    """The part of `record` that an answer of `task` shows; two records that it shows alike have equal views.

    "ner": the entities. "re": the relations and the entities they link. "ed": the events without arguments,
    those of one type on one trigger as one.
    "eae": the events, their arguments, and the entities among these. Everything is in the order of the text,
    entity ids are e0, e1, ... in that order, a discontinuous span is its hull, and `meta` is empty. What is
    not annotated stays so. Raises `UsageError` for an unknown task.
    """
    if task not in TASKS:
        raise UsageError(f"unknown task {task!r}; known: {', '.join(TASKS)}")
    keys = {m.id: (m.start, m.end, m.type) for m in record.entities or ()}
    entities, relations, events = None, None, None
    if task == "ner" and record.entities is not None:
        entities, _ = _numbered(record, sorted(keys.values()))
    elif task == "re" and record.relations is not None:
        entities, ids = _numbered(record, {keys[i] for r in record.relations for i in (r.head, r.tail)})
        order = sorted((keys[r.head], keys[r.tail], r.type) for r in record.relations)
        relations = tuple(RelationLink(name, ids[head], ids[tail]) for head, tail, name in order)
    elif task == "ed" and record.events is not None:
        triggers = sorted({(e.trigger.start, e.trigger.end, e.type) for e in record.events})
        events = tuple(EventMention(name, make_span(record.text, *span)) for *span, name in triggers)
    elif task == "eae" and record.events is not None:
        entities, ids = _numbered(
            record, {keys[a.entity] for e in record.events for a in e.arguments if a.entity is not None}
        )
        events = tuple(sorted((_event(e, record, keys, ids) for e in record.events), key=_event_order))
    return Record(record.id, record.language, record.text, entities, relations, events)


def _numbered(record: Record, keys: Iterable[Key]) -> tuple[tuple[Mention, ...], dict[Key, str]]:
    mentions = tuple(
        Mention(f"e{i}", name, start, end, record.text[start:end])
        for i, (start, end, name) in enumerate(sorted(keys))
    )
    return mentions, {(m.start, m.end, m.type): m.id for m in mentions}


def _event(event: EventMention, record: Record, keys: dict[str, Key], ids: dict[Key, str]) -> EventMention:
    arguments: list[tuple[Key, Argument]] = []
    for argument in event.arguments:
        if argument.entity is not None:
            key = keys[argument.entity]
            arguments.append((key, Argument(argument.role, entity=ids[key])))
        else:
            start, end = argument.span()
            span = Argument(argument.role, start=start, end=end, text=record.text[start:end])
            arguments.append(((start, end, ""), span))
    arguments.sort(key=lambda pair: (pair[0], pair[1].role))
    trigger = make_span(record.text, event.trigger.start, event.trigger.end)
    return EventMention(event.type, trigger, tuple(argument for _, argument in arguments))


def _event_order(event: EventMention) -> tuple:
    trigger = event.trigger
    return trigger.start, trigger.end, event.type, [repr(argument) for argument in event.arguments]
