"""Labels on the command line that need class names made for them, and what is said of these."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kcx_jax.schema import Schema

AutoOption = Annotated[
    bool,
    typer.Option("--auto", help="Make names for labels that have none, from their sounds (人物: RenWu)."),
]


def unspoken_labels(schema: "Schema") -> dict[str, str]:
    """Class name -> label, of the classes whose label is more than a spelling of their name."""
    from kcx_jax.schema.labels import class_name_of

    return {
        concept.name: concept.label
        for concept in schema.concepts
        if concept.label is not None and class_name_of(concept.label) != concept.name
    }


def print_names(schema: "Schema") -> None:
    """Say on stderr what such labels are called."""
    from kcx_jax.page import visible

    for name, label in unspoken_labels(schema).items():
        print(f"{visible(label)}: class {name}", file=sys.stderr)
