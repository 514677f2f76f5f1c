"""The option that says how loosely what answers name is found in the text."""

from enum import StrEnum
from typing import Annotated

import typer


class Ground(StrEnum):
    """How loosely the surfaces of answers are found in the text."""

    STRICT = "strict"
    LADDER = "ladder"


GroundOption = Annotated[
    Ground, typer.Option(help="Find answers verbatim or after NFC, or down the ladder of looser forms.")
]
