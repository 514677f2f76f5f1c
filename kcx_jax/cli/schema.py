"""``kcx schema``: look at schemas."""

from pathlib import Path
from typing import Annotated, cast

import typer

app = typer.Typer(help="Look at schemas.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def show(
    schema: Annotated[Path, typer.Argument(help="A schema file: .py (never run), .yaml or .json.")],
    task: Annotated[
        str | None,
        typer.Option(help="Print what a model is shown for ner, re, ed or eae."),
    ] = None,
) -> None:
    """Check a schema and print it as the Python classes a model reads.

    Example: kcx schema show people.yaml --task ner
    """
    from kcx_jax.prompts import extraction_prefix
    from kcx_jax.schema import Task, load_schema, render_schema

    loaded = load_schema(schema)
    print(extraction_prefix(loaded, cast(Task, task)) if task else render_schema(loaded), end="")
