"""`iepile-instructions`: IEPile's instructions, JSON lines `{"id", "task", "instruction", "output"}`, JSON in strings.

A schema says what is asked for. Each layer of a record is asked for in groups of its classes, a line a group: NER six,
RE (ends without types) and EE four. Every class of the group is a key of the output, in the order of the schema. A
layer that is not annotated is not asked for. The `id` of a line is the record's, so its lines can be put together.

As in `iepile`, names come without offsets; what a reader would find elsewhere is counted, and so is what has a class
or a role that the schema has not. The sentence of each task is the user's, from a YAML file `{NER, RE, EE}`, or ours.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from kcx_jax.corpora.jsonl import write_json_lines
from kcx_jax.corpora.lines import read_text
from kcx_jax.corpora.record import Argument, EventMention, Record
from kcx_jax.corpora.writers.fitting import Holds, Loss, fit
from kcx_jax.corpora.writers.options import WriteOptions
from kcx_jax.corpora.writers.unplaced import note_places
from kcx_jax.errors import UsageError
from kcx_jax.schema import Concept, Schema
from kcx_jax.schema.data_files import read_yaml
from kcx_jax.schema.labels import role_spelling_of

SENTENCES = {
    "NER": "Find the named entities of the types in schema. Answer in JSON: under each type a list of the names as "
    "they stand in input, an empty list where there are none.",
    "RE": "Find the relations in schema. Answer in JSON: under each relation a list of its pairs, subject and object "
    "as they stand in input, an empty list where there are none.",
    "EE": "Find the events of the types in schema. Answer in JSON: under each type a list of its events, the trigger "
    "and the arguments by role as they stand in input, several of one role in a list, NAN where a role has none.",
}
"""What an instruction says unless the user's file says something else, by task."""

_LAYERS = {"NER": "entities", "RE": "relations", "EE": "events"}
_GROUP_SIZES = {"NER": 6, "RE": 4, "EE": 4}


def write_iepile_instructions(records: Iterable[Record], path: Path, options: WriteOptions) -> int:
    """Write a line for each group of classes asked of each record; the number of records.

    Raises `UsageError` without a schema, and for a file of sentences that is not one.
    """
    if options.schema is None:
        raise UsageError("an instruction asks for classes: name the schema that has them (--schema FILE)")
    writer = _Writer(options.schema, read_sentences(options.template), options.loss)
    count = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal count
        for record in records:
            count += 1
            yield from writer.rows(record)

    write_json_lines(rows(), path, options.overwrite)
    return count


def read_sentences(template: Path | None) -> dict[str, str]:
    """The sentence of each task, ours where the user's file has none; `UsageError` naming the key."""
    if template is None:
        return SENTENCES
    given = read_yaml(read_text(template), str(template))
    if not isinstance(given, dict):
        raise UsageError(f"{template}: must be a mapping from {', '.join(SENTENCES)} to a sentence each")
    for task, sentence in given.items():
        if task not in SENTENCES:
            raise UsageError(f"{template}: {task}: unknown task; known: {', '.join(SENTENCES)}")
        if not isinstance(sentence, str) or not sentence.strip():
            raise UsageError(f"{template}: {task}: must be a sentence")
    return SENTENCES | {task: sentence.rstrip("\n") for task, sentence in given.items()}


class _Writer:
    def __init__(self, schema: Schema, sentences: dict[str, str], loss: Loss) -> None:
        self.schema, self.sentences, self.loss = schema, sentences, loss
        self.roles = {
            event.name: [role.name for role in schema.roles_of(event.name)] for event in schema.events
        }

    def rows(self, record: Record) -> Iterator[dict[str, Any]]:
        """The lines of one record."""
        record = self._with_roles_asked(fit(record, Holds(), self.loss))
        for task, layer in _LAYERS.items():
            items = getattr(record, layer)
            if items is None:
                continue
            concepts: tuple[Concept, ...] = getattr(self.schema, layer)
            names = {concept.name for concept in concepts}
            others = sum(item.type not in names for item in items)
            self.loss.add(record, f"{layer} of classes that the schema has not", others)
            if not concepts:
                self.loss.add(record, f"texts whose {layer} are annotated and not asked for")
            size = _GROUP_SIZES[task]
            for i in range(0, len(concepts), size):
                group = concepts[i : i + size]
                asked = {concept.name for concept in group}
                wanted: dict[str, Any] = {layer: tuple(item for item in items if item.type in asked)}
                part = replace(record, **wanted)
                row = self._row(part, task, group)
                note_places(part, row, self.loss, (layer,))
                yield row

    def _row(self, record: Record, task: str, group: tuple[Concept, ...]) -> dict[str, Any]:
        names = [concept.name for concept in group]
        schema = [self._event_asked(name) for name in names] if task == "EE" else names
        asked = {"instruction": self.sentences[task], "schema": schema, "input": record.text}
        output: dict[str, list[Any]] = {name: [] for name in names}
        for name, item in self._items(record, task):
            output[name].append(item)
        return {"id": record.id, "task": task, "instruction": _text(asked), "output": _text(output)}

    def _event_asked(self, event: str) -> dict[str, Any]:
        roles = [role_spelling_of(role) for role in self.roles[event]]
        return {"event_type": event, "trigger": True, "arguments": roles}

    def _items(self, record: Record, task: str) -> Iterator[tuple[str, Any]]:
        """The class of each item of the task's layer, and how an output writes it."""
        surfaces = {mention.id: mention.text for mention in record.entities or ()}
        if task == "NER":
            yield from ((mention.type, mention.text) for mention in record.entities or ())
        elif task == "RE":
            for link in record.relations or ():
                yield link.type, {"subject": surfaces[link.head], "object": surfaces[link.tail]}
        else:
            for event in record.events or ():
                yield (
                    event.type,
                    {
                        "trigger": event.trigger.text,
                        "arguments": self._arguments(event, surfaces),
                    },
                )

    def _arguments(self, event: EventMention, surfaces: dict[str, str]) -> dict[str, Any]:
        fillers: dict[str, list[str]] = {role: [] for role in self.roles[event.type]}
        for argument in event.arguments:
            fillers[argument.role].append(_surface(argument, surfaces))
        return {
            role_spelling_of(role): found if len(found) > 1 else found[0] if found else "NAN"
            for role, found in fillers.items()
        }

    def _with_roles_asked(self, record: Record) -> Record:
        """The record without arguments whose role the schema's event has not."""
        if record.events is None:
            return record
        events = []
        for event in record.events:
            roles = self.roles.get(event.type, ())
            kept = tuple(argument for argument in event.arguments if argument.role in roles)
            others = len(event.arguments) - len(kept)
            self.loss.add(record, "arguments of roles that the schema has not", others)
            events.append(replace(event, arguments=kept))
        return replace(record, events=tuple(events))


def _surface(argument: Argument, surfaces: dict[str, str]) -> str:
    return cast(str, argument.text) if argument.entity is None else surfaces[argument.entity]


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
