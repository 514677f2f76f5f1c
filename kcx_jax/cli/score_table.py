"""The tables that ``kcx score`` prints."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kcx_jax.page import visible

if TYPE_CHECKING:
    from kcx_jax.scoring import Sheet

_UNBROKEN = 10_000  # characters of a line that nobody sees the end of


def print_sheets(tables: "Iterable[Sheet]", notes: Iterable[str]) -> None:
    """The sheets as tables on stdout, and the notes below them, a line each; in a pipe they are as wide as need be."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _UNBROKEN
    for sheet in tables:
        table = Table()
        for number, name in enumerate(sheet.head):
            table.add_column(name, justify="left" if number < sheet.words else "right", overflow="fold")
        for row in sheet.rows:
            table.add_row(*(Text(visible(cell)) for cell in row))
        console.print(table)
    for note in notes:
        console.print(Text(visible(note)))
