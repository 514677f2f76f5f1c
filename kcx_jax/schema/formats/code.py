"""The code dialects as formats: `kcx`, `knowcoder` and `gollie` hold a schema whole."""

from collections import Counter

from kcx_jax.schema.concepts import Schema, schema_of_concepts
from kcx_jax.schema.dialects import dialect_named


def read(dialect: str, text: str, where: str, auto: bool = False) -> Schema:
    """The classes of a source, which is never run."""
    return schema_of_concepts(dialect_named(dialect).read_schema(text, where), where)


def write(dialect: str, schema: Schema, lost: Counter[str]) -> str:
    """The classes."""
    return dialect_named(dialect).render_schema(schema)
