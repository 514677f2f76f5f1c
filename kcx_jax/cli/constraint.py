"""The option that says what answers of a model of ours are held to."""

from enum import StrEnum
from typing import Annotated

import typer


class Constraint(StrEnum):
    """What an answer is held to while it is written."""

    OFF = "off"
    SYNTAX = "syntax"
    SCHEMA = "schema"
    SPAN = "schema+span"


ConstraintOption = Annotated[
    Constraint | None,
    typer.Option(
        help="What answers of --model are held to: lists that parse (syntax), of classes of the schema (schema), that "
        "quote only the text (schema+span, the default), or nothing."
    ),
]
