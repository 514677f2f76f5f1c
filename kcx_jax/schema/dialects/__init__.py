"""The code dialects a schema and its answers can be written in, one module each.

Every one has the same four functions: ``render_schema(schema)``, ``read_schema(text, where)``,
``render_answer(instances)`` and ``parse_answer(text, schema)``.
"""

from kcx_jax.errors import UsageError
from kcx_jax.schema.dialects import gollie, kcx, knowcoder

DIALECTS = {"kcx": kcx, "knowcoder": knowcoder, "gollie": gollie}


def dialect_named(name: str):
    """The dialect's module. Raises `UsageError` naming the known ones."""
    if name not in DIALECTS:
        raise UsageError(f"unknown dialect {name!r}: one of {', '.join(DIALECTS)}")
    return DIALECTS[name]
