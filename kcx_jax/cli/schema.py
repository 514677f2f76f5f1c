"""``kcx schema``: look at schemas, and bring them from and to other projects."""

import sys
from pathlib import Path
from typing import Annotated, cast

import typer

from kcx_jax.cli.labels import AutoOption, print_names

app = typer.Typer(help="Look at schemas; import and export them.", no_args_is_help=True)

OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")]


@app.command()
def show(
    schema: Annotated[Path, typer.Argument(help="A schema file: .py (never run), .yaml or .json.")],
    task: Annotated[
        str | None,
        typer.Option(help="Print what a model is shown for ner, re, ed or eae."),
    ] = None,
    auto: AutoOption = False,
) -> None:
    """Check a schema and print it as the Python classes a model reads.

    Example: kcx schema show people.yaml --task ner
    """
    from kcx_jax.prompts import extraction_prefix
    from kcx_jax.schema import Task, load_schema, render_schema

    loaded = load_schema(schema, auto=auto)
    if auto:
        print_names(loaded)
    print(extraction_prefix(loaded, cast(Task, task)) if task else render_schema(loaded), end="")


@app.command("import")
def import_(
    input_: Annotated[
        str, typer.Argument(metavar="INPUT", help="A file of FORMAT; with `inventory` the inventory's name.")
    ],
    format: Annotated[
        str,
        typer.Option(
            "--from", metavar="FORMAT", help="inventory, or a format; an unknown one lists them all."
        ),
    ],
    output: Annotated[Path, typer.Option(metavar="OUT.py", help="The schema file to write.")],
    auto: AutoOption = False,
    language: Annotated[str, typer.Option(help="Of an inventory's descriptions: en or zh.")] = "en",
    overwrite: OverwriteOption = False,
) -> None:
    """Write another project's schema, or the labels of a corpus, as the Python classes of this one.

    Example: kcx schema import cluener --from inventory --output cluener.py
    """
    from kcx_jax.files import atomic_write
    from kcx_jax.schema import render_schema
    from kcx_jax.schema.formats import import_schema
    from kcx_jax.schema.ontology import schema_for

    schema = schema_for(input_, language) if format == "inventory" else import_schema(input_, format, auto)
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
    if format != "inventory":
        print_names(schema)
    print(f"wrote {counts} to {output}", file=sys.stderr)


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
