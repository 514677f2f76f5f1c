"""The ancestors of classes: the parents in a schema, and those that a file adds."""

from pathlib import Path

from kcx_jax.corpora.json_object import kind_of
from kcx_jax.errors import UsageError
from kcx_jax.schema import Schema
from kcx_jax.schema.data_files import read_json, read_yaml


def ancestors_of(schema: Schema | None = None, file: Path | None = None) -> dict[str, frozenset[str]]:
    """Class -> its ancestors, near and far.

    Args:
        schema: its parents are ancestors. file: YAML or JSON, a mapping from a class to a list of ancestors.

    Raises `UsageError` naming the file for one that is no such mapping.
    """
    parents: dict[str, set[str]] = {}
    for concept in schema.concepts if schema is not None else ():
        if concept.parent is not None:
            parents.setdefault(concept.name, set()).add(concept.parent)
    if file is not None:
        for name, given in _read(file).items():
            parents.setdefault(name, set()).update(given)
    return {name: frozenset(_above(name, parents)) for name in parents}


def _above(name: str, parents: dict[str, set[str]]) -> set[str]:
    """Everything above a class; a circle in a file's mapping ends where it began."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = parents.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found - {name}


def _read(file: Path) -> dict[str, list[str]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the ancestors {file}: {error}") from error
    value = (read_json if file.suffix == ".json" else read_yaml)(text, str(file))
    if not isinstance(value, dict):
        raise UsageError(f"{file}: must map classes to lists of ancestors, not be {kind_of(value)}")
    for name, given in value.items():
        if (
            not isinstance(name, str)
            or not isinstance(given, list)
            or not all(isinstance(x, str) for x in given)
        ):
            raise UsageError(f"{file}: {name}: must be a list of class names")
    return value
