"""Schemas as code: `Entity`, `Relation`, `Event`, the ontology, and answers in both directions.

Lives here: how a user declares concepts; label in any language -> one English class; class -> source code;
answer code -> instances (a parser, never ``eval``). Not here: records and offsets (`corpora`), prompts
(`prompts`).
"""

from collections.abc import Iterable

from kcx_jax.schema.answers import ParsedAnswer, Problem
from kcx_jax.schema.base import Entity, Event, Relation, identifier_to_role, role_to_identifier
from kcx_jax.schema.concepts import TASKS, Concept, Role, Schema, Task
from kcx_jax.schema.dialects import dialect_named
from kcx_jax.schema.load import load_schema
from kcx_jax.schema.merging import merge_schemas
from kcx_jax.schema.strings import quote

__all__ = [
    "TASKS",
    "Concept",
    "Entity",
    "Event",
    "ParsedAnswer",
    "Problem",
    "Relation",
    "Role",
    "Schema",
    "Task",
    "identifier_to_role",
    "load_schema",
    "merge_schemas",
    "parse_answer",
    "quote",
    "render_answer",
    "render_schema",
    "role_to_identifier",
]


def render_schema(schema: Schema, dialect: str = "kcx") -> str:
    """The schema as Python source; `load_schema` of it gives the same schema (labels apart).

    Raises `UsageError` for an unknown dialect.
    """
    return dialect_named(dialect).render_schema(schema)


def render_answer(instances: Iterable[Entity | Relation | Event], dialect: str = "kcx") -> str:
    """The instances as an answer, in their order: ``[Person("Ada"), City("London")]``; none: ``[]``.

    Raises `UsageError` for an unknown dialect.
    """
    return dialect_named(dialect).render_answer(instances)


def parse_answer(text: str, schema: Schema, dialect: str = "kcx") -> ParsedAnswer:
    """Every complete instance that stands in an answer, and typed problems for the rest.

    Takes any text, however damaged, in time linear in its length, and evaluates nothing. Raises `UsageError`
    for an unknown dialect only.
    """
    return dialect_named(dialect).parse_answer(text, schema)
