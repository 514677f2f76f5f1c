"""``kcx schema``: look at schemas, and bring them from and to other projects."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from kcx_jax.cli.labels import AutoOption, print_names

if TYPE_CHECKING:
    from kcx_jax.schema import Schema

app = typer.Typer(help="Look at schemas; import and export them.", no_args_is_help=True)

OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")]


SuffixOption = Annotated[
    list[str] | None,
    typer.Option(
        "--suffix",
        metavar="NAME",
        help="Behind the names of classes that mean something else in an earlier INPUT: once for each INPUT after the "
        "first, in order.",
    ),
]


@app.command()
def show(
    schemas: Annotated[
        list[Path],
        typer.Argument(
            metavar="SCHEMA", help="Schema files: .py (never run), .yaml or .json. Several are merged."
        ),
    ],
    task: Annotated[
        str | None,
        typer.Option(help="Print what a model is shown for ner, re, ed or eae."),
    ] = None,
    suffix: SuffixOption = None,
    auto: AutoOption = False,
) -> None:
    """Check a schema and print it as the Python classes a model reads.

    Example: kcx schema show people.yaml --task ner
    """
    from kcx_jax.prompts import extraction_prefix
    from kcx_jax.schema import Task, load_schema, render_schema

    paths = _distinct([str(path) for path in schemas])
    loaded = _merged({path: load_schema(Path(path), auto=auto) for path in paths}, suffix or [])
    if auto:
        print_names(loaded)
    print(extraction_prefix(loaded, cast(Task, task)) if task else render_schema(loaded), end="")


@app.command("import")
def import_(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT", help="Schema files, or names of inventories. Several are merged."),
    ],
    output: Annotated[Path, typer.Option(metavar="OUT.py", help="The schema file to write.")],
    format: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="FORMAT",
            help="Of every INPUT: auto (by what stands in it), inventory, or a format; an unknown one lists them all.",
        ),
    ] = "auto",
    suffix: SuffixOption = None,
    auto: AutoOption = False,
    language: Annotated[str, typer.Option(help="Of an inventory's descriptions: en or zh.")] = "en",
    overwrite: OverwriteOption = False,
) -> None:
    """Write another project's schema, or the labels of a corpus, as the Python classes of this one.

    Example: kcx schema import cluener --output cluener.py
    """
    from kcx_jax.files import atomic_write
    from kcx_jax.schema import render_schema

    read = {name: _imported(name, format, auto, language) for name in _distinct(inputs)}
    schema = _merged(read, suffix or [])
    with atomic_write(output, overwrite=overwrite) as handle:
        handle.write(render_schema(schema))
    counts = ", ".join(
        f"{len(some)} {name}"
        for name, some in (
            ("entity classes", schema.entities),
            ("relation classes", schema.relations),
            ("event classes", schema.events),
        )
        if some
    )
    print(f"wrote {counts} to {output}", file=sys.stderr)


def _imported(name: str, format: str, auto: bool, language: str) -> "Schema":
    """The schema of one input; on stderr what it was read as, and what its labels are called."""
    from kcx_jax.schema.formats import INVENTORY, detected, import_schema

    if format == "auto":
        found = detected(name)
        format = found.format
        print(f"{name}: read as {format}{f' ({found.doubt})' if found.doubt else ''}", file=sys.stderr)
    schema = import_schema(name, format, auto, language)
    if format != INVENTORY:
        print_names(schema)
    return schema


def _distinct(names: list[str]) -> list[str]:
    from kcx_jax.errors import UsageError

    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise UsageError(f"{twice[0]} is given twice: leave one out")
    return names


def _merged(schemas: "Mapping[str, Schema]", suffixes: Sequence[str]) -> "Schema":
    from kcx_jax.errors import UsageError
    from kcx_jax.schema import merge_schemas

    later = list(schemas)[1:]
    if suffixes and len(suffixes) != len(later):
        raise UsageError(
            f"{len(suffixes)} --suffix for {len(later)} inputs after the first: give one for each of them, or none"
        )
    return merge_schemas(schemas, dict(zip(later, suffixes, strict=False)))  # none: no suffix at all


@app.command()
def export(
    schema: Annotated[Path, typer.Argument(help="A schema file.")],
    format: Annotated[
        str, typer.Option("--to", metavar="FORMAT", help="The format; an unknown one lists them all.")
    ],
    output: Annotated[Path, typer.Option(metavar="OUT", help="The file to write.")],
    auto: AutoOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Write a schema for another project, and say what its format cannot hold.

    Example: kcx schema export people.py --to pydantic --output models.py
    """
    from kcx_jax.files import atomic_write
    from kcx_jax.schema import load_schema
    from kcx_jax.schema.formats import export_schema

    text, lost = export_schema(load_schema(schema, auto=auto), format)
    with atomic_write(output, overwrite=overwrite) as handle:
        handle.write(text)
    print(f"wrote {output}", file=sys.stderr)
    for what, count in lost.items():
        print(f"left out, as {format} cannot hold it: {count} {what}", file=sys.stderr)
