"""Which format a schema is written in, by what stands in it and never by its name.

Python is told by the heads of its classes (`_PYTHON_SIGNS`), JSON by its value, IEPile's by its three lines. What is
left is YAML: labels, or an inventory of the ontology. Where a second format fits as well, that is said.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kcx_jax.errors import UsageError
from kcx_jax.schema.data_files import read_json, read_yaml
from kcx_jax.schema.label_data import FIELDS
from kcx_jax.schema.ontology.inventory import SECTIONS

INVENTORY = "inventory"

_CLASS = re.compile(r"^class\s+\w+\s*[(:]", re.MULTILINE)
# In the order of what they say least ambiguously; a class under a base of ours alone is `kcx`.
_PYTHON_SIGNS = {
    "pydantic": re.compile(r"^class\s+\w+\(.*\b(?:BaseModel|RootModel)\b|^from pydantic ", re.MULTILINE),
    "gollie": re.compile(r"^@dataclass\b", re.MULTILINE),
    "knowcoder": re.compile(
        r"^class (?:Entity|Relation|Event)\s*:|^\s+def __init__\(|^\s+Description:", re.MULTILINE
    ),
}


@dataclass(frozen=True)
class Detected:
    """A format's name and, where another one fits as well, why it was not taken."""

    format: str
    doubt: str = ""


def detect_format(text: str, where: str) -> Detected:
    """The format of a schema's text: a key of `FORMATS`, or `INVENTORY`.

    Raises `UsageError` opening with `where` for a text that is in none of them.
    """
    if not text.strip():
        raise UsageError(f"{where}: there is nothing in it")
    if _CLASS.search(text):
        return _python(text)
    openings = [line.strip()[0] for line in re.split("\r\n|\r|\n", text) if line.strip()]
    if openings == ["[", "[", "{"]:
        return Detected("iepile")
    return _data(text, where)


def _python(text: str) -> Detected:
    fitting = [name for name, sign in _PYTHON_SIGNS.items() if sign.search(text)]
    if len(fitting) > 1:
        return Detected(fitting[0], f"it has signs of {' and of '.join(fitting)}")
    return Detected(fitting[0] if fitting else "kcx")


def _data(text: str, where: str) -> Detected:
    try:
        value = read_json(text, where)
    except UsageError as error:
        return _yaml(text, where, error)
    if isinstance(value, list) and all(isinstance(label, str) for label in value):
        return Detected("json")
    if isinstance(value, dict) and value:
        if _is_json_schema(value):
            return Detected("json-schema")
        if all(isinstance(said, str) for said in value.values()):
            return Detected("json", "a label set of b2ner looks the same, and names labels by their sounds")
        if all(said is None or isinstance(said, str) or _is_said(said) for said in value.values()):
            return Detected("json")
        if all(isinstance(said, str | list | dict) for said in value.values()):
            return Detected("b2ner")
    raise UsageError(
        f"{where}: JSON, and in no form of a schema. A list of labels, an object from label to description and a "
        "JSON Schema with $defs are known; --from FORMAT says which one is meant"
    )


def _yaml(text: str, where: str, not_json: UsageError) -> Detected:
    try:
        value = read_yaml(text, where)
    except UsageError as error:
        raise not_json if text.lstrip()[0] in "[{" else error from None
    if isinstance(value, dict) and _is_inventory(value):
        return Detected(INVENTORY)
    if isinstance(value, list | dict):
        return Detected("yaml")
    raise UsageError(
        f"{where}: no format of a schema is told by what stands in it: neither classes of Python, nor JSON, "
        "nor labels in YAML; --from FORMAT says which one is meant"
    )


def _is_json_schema(value: Mapping[str, Any]) -> bool:
    definitions = [value[key] for key in ("$defs", "definitions") if isinstance(value.get(key), dict)]
    if any(isinstance(given, dict) for each in definitions for given in each.values()) or "$schema" in value:
        return True
    return "$defs" in value or (value.get("type") == "object" and isinstance(value.get("properties"), dict))


def _is_inventory(value: Mapping[str, Any]) -> bool:
    sections = [value[key] for key in SECTIONS.values() if key in value]
    return "title" in value and any(isinstance(each, dict) and not _is_said(each) for each in sections)


def _is_said(said: Any) -> bool:
    """Whether this is what a list of labels says of one: an object of its fields alone."""
    return isinstance(said, dict) and set(said) <= set(FIELDS)
