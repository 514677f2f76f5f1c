"""Schemas of other projects, in and out: one module a format, each with `read` and `write`.

read(text, where, auto) -> Schema      raises `UsageError` naming file, line or key
write(schema, lost) -> str             counts in `lost` what the format cannot hold
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kcx_jax.errors import UsageError
from kcx_jax.schema.concepts import Schema
from kcx_jax.schema.formats import b2ner, code, iepile, json_schema, label_list, pydantic_models
from kcx_jax.schema.formats.detection import INVENTORY, Detected, detect_format
from kcx_jax.schema.ontology import inventories, schema_for

Reader = Callable[[str, str, bool], Schema]
Writer = Callable[[Schema, Counter[str]], str]


@dataclass(frozen=True)
class Format:
    """How a format is read and written, and the ending of its files."""

    read: Reader
    write: Writer
    suffix: str


FORMATS: dict[str, Format] = {
    **{
        name: Format(partial(code.read, name), partial(code.write, name), ".py")
        for name in ("kcx", "knowcoder", "gollie")
    },
    "yaml": Format(label_list.read_yaml_labels, label_list.write_yaml, ".yaml"),
    "json": Format(label_list.read_json_labels, label_list.write_json, ".json"),
    "pydantic": Format(pydantic_models.read, pydantic_models.write, ".py"),
    "json-schema": Format(json_schema.read, json_schema.write, ".json"),
    "iepile": Format(iepile.read, iepile.write, ".json"),
    "b2ner": Format(b2ner.read, b2ner.write, ".json"),
}


def import_schema(
    source: str | Path, format: str = "auto", auto: bool = False, language: str = "en"
) -> Schema:
    """The schema in a file of another format, or an inventory of the ontology by its name or file.

    `format`: a key of `FORMATS`, "inventory", or "auto": told by content. `auto`: labels and names that are no class
    names are named by their sounds, and told apart where they meet. `language`: of an inventory's descriptions.
    Raises `UsageError` where it cannot be read.
    """
    if format == "auto":
        format = detected(source).format
    if format == INVENTORY:
        return schema_for(str(source), language)
    return format_named(format).read(_text(source), str(source), auto)


def detected(source: str | Path) -> Detected:
    """The format of a file, or of a name that is an inventory's. Raises `UsageError` where none fits."""
    named = str(source) in inventories()
    if named and not Path(source).is_file():
        return Detected(INVENTORY)
    found = detect_format(_text(source), str(source))
    if named:
        return Detected(
            found.format, f"a file is called like the inventory {source}; --from inventory takes that"
        )
    return found


def _text(source: str | Path) -> str:
    try:
        return Path(source).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{source}: not UTF-8 at byte {error.start}") from error
    except FileNotFoundError as error:
        raise UsageError(
            f"cannot read the schema {source}: no such file, and no inventory of that name "
            "(--from inventory lists them)"
        ) from error
    except OSError as error:
        raise UsageError(f"cannot read the schema {source}: {error.strerror or error}") from error


def export_schema(schema: Schema, format: str) -> tuple[str, Counter[str]]:
    """The schema's text in a format, and what that cannot hold, counted. Raises `UsageError` for an unknown format."""
    lost: Counter[str] = Counter()
    return format_named(format).write(schema, lost), lost


def format_named(name: str) -> Format:
    """The format; `UsageError` naming the known ones."""
    if name not in FORMATS:
        raise UsageError(f"unknown format {name!r}: one of {', '.join(FORMATS)}")
    return FORMATS[name]
