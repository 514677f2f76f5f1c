"""The corpus's tables: text files whose lines are "English | Chinese | Spanish", some in [sections]."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kcx_jax.errors import KcxError

LANGUAGES = ("en", "zh", "es")
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Form:
    """How a thing is written in one language; `agreement` picks between two forms of words that go with it.

    `short` is what later mentions of a name may use: a person's surname, `text` where nothing is shorter.
    """

    text: str
    agreement: int = 0
    short: str = ""


@dataclass(frozen=True)
class Row:
    """One line of a table: its section, the cell before the languages (if any), and a form a language."""

    section: str
    label: str
    forms: dict[str, Form]


@cache
def read_table(name: str) -> tuple[Row, ...]:
    """The rows of the shipped file `name`. Raises `KcxError` with file and line for a malformed one."""
    rows = []
    for section, number, line in in_sections(name):
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) not in (3, 4) or not all(cells):
            raise KcxError(f"{name}:{number}: expected [label |] English | Chinese | Spanish, got {line!r}")
        label = cells.pop(0) if len(cells) == 4 else ""
        forms = [_form(cell) for cell in cells]
        rows.append(Row(section, label, dict(zip(LANGUAGES, forms, strict=True))))
    return tuple(rows)


def in_sections(name: str) -> Iterator[tuple[str, int, str]]:
    """`lines` with the section that each stands in ("" before the first), without the lines that name sections."""
    section = ""
    for number, line in lines(name):
        if line.startswith("["):
            section = line.strip("[]")
        else:
            yield section, number, line


def lines(name: str) -> Iterator[tuple[int, str]]:
    """The lines of the shipped file `name` with their numbers, without comments; blank lines are left out."""
    for number, line in enumerate((FOLDER / name).read_text(encoding="utf-8").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line.strip()


def _form(cell: str) -> Form:
    text, mark, number = cell.partition("~")
    return Form(text.strip(), agreement=int(number) if mark else 0)
