"""Schemas of requests: by name, or written in them as classes, labels or our JSON form. Read, never run."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from kcx_jax.errors import UsageError
from kcx_jax.extraction.reading import Reader
from kcx_jax.schema import TASKS, Schema, Task, render_schema
from kcx_jax.schema.concepts import schema_of_concepts
from kcx_jax.schema.load import schema_of_data
from kcx_jax.schema.source import read_source
from kcx_jax.serving.errors import ApiError

MOST_CHARACTERS = 200_000
MOST_CLASSES = 1_000
_KEPT = 64  # schemas of requests that are kept, with what is asked about them

Ground = Literal["strict", "ladder"]


class _Key(NamedTuple):
    """What makes a reader. `source` is the schema as it was written."""

    source: Any
    tasks: tuple[Task, ...] | None
    ground: Ground


class SchemaBook:
    """Readers for the schemas that requests name or bring along; the last ones are kept."""

    def __init__(
        self, named: Mapping[str, Schema], make: Callable[[Schema, Sequence[Task] | None, Ground], Reader]
    ):
        self.named = named
        self._make = make
        self._kept: OrderedDict[_Key, Reader] = OrderedDict()
        self._lock = threading.Lock()  # requests are read in several threads

    def reader(
        self,
        source: str | dict[str, Any] | list[str] | None,
        name: str | None,
        tasks: Sequence[Task] | None,
        ground: Ground,
    ) -> Reader:
        """The reader of a schema that stands in the request (`source`) or is known by `name`.

        `ApiError` for what cannot be read, is too large, or is not known.
        """
        if name is not None:
            if name not in self.named:
                known = ", ".join(self.named) or "none"
                raise ApiError(404, f"There is no schema {name!r} here; known: {known}.", param="schema_name")
            key_source: Any = ("name", name)
        else:
            key_source = source if isinstance(source, str) else ("data", repr(source))
        key = _Key(key_source, None if tasks is None else tuple(tasks), ground)
        with self._lock:
            reader = self._kept.get(key)
        if reader is None:
            try:
                schema = self.named[name] if name is not None else read_schema(source)
                reader = self._make(schema, tasks, ground)
            except UsageError as error:
                raise ApiError(400, str(error), param="schema") from error
        with self._lock:
            reader = self._kept.setdefault(key, reader)
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return reader


def listed(named: Mapping[str, Schema]) -> list[dict[str, Any]]:
    """Schemas with their names, code, labels and tasks."""
    return [
        {
            "name": name,
            "code": render_schema(schema),
            "labels": [concept.label or concept.name for concept in schema.concepts],
            "tasks": tasks_of(schema),
        }
        for name, schema in named.items()
    ]


def tasks_of(schema: Schema) -> list[Task]:
    """The tasks that a schema has classes for."""
    has: dict[Task, Any] = {
        "ner": schema.entities, "re": schema.relations, "ed": schema.events, "eae": schema.events
    }  # fmt: skip
    return [task for task in TASKS if has[task]]


def read_schema(source: str | dict[str, Any] | list[str] | None) -> Schema:
    """The schema in a request: Python classes as text, labels, or a mapping from label to what is said of it.

    Labels without a name in ASCII get one from their sounds. Raises `UsageError` for what cannot be read or is too
    large. A text is source and never a path.
    """
    if isinstance(source, str):
        if len(source) > MOST_CHARACTERS:
            raise UsageError(f"schema: {len(source)} characters; at most {MOST_CHARACTERS} are read")
        schema = schema_of_concepts(read_source(source, "schema"), "schema")
    else:
        said = len(repr(source))
        if said > MOST_CHARACTERS or len(source or ()) > MOST_CLASSES:
            raise UsageError(
                f"schema: {len(source or ())} labels in {said} characters; at most {MOST_CLASSES} in "
                f"{MOST_CHARACTERS} are read"
            )
        schema = schema_of_data(source, "schema", auto=True)
    if len(schema.concepts) > MOST_CLASSES:
        raise UsageError(f"schema: {len(schema.concepts)} classes; at most {MOST_CLASSES} are read")
    return schema
