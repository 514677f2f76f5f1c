"""Figures that papers state, to stand beside measured ones. None of them was measured here."""

import difflib
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from kcx_jax.errors import UsageError
from kcx_jax.schema.data_files import read_yaml

FILE = "published.yaml"


@dataclass(frozen=True)
class PublishedTable:
    """The figures of one table: where they are from, what to know of them, and the cells by row and system."""

    source: str
    notes: tuple[str, ...]
    rows: Mapping[str, Mapping[str, "PublishedCell"]]


@dataclass(frozen=True)
class PublishedCell:
    """A published figure in percent, and why it is not comparable with the others of its row ("": it is)."""

    figure: float
    note: str = ""


@functools.cache
def published_tables() -> Mapping[str, PublishedTable]:
    """Every published table by its name."""
    text = resources.files("kcx_jax.evaluation.runs").joinpath(FILE).read_text("utf-8")
    values: Any = read_yaml(text, FILE)
    return {
        name: PublishedTable(
            table["source"],
            tuple(table.get("notes", ())),
            {
                row: {system: _cell(cell) for system, cell in cells.items()}
                for row, cells in table["rows"].items()
            },
        )
        for name, table in values.items()
    }


def find_cells(reference: str) -> Mapping[str, PublishedCell]:
    """The cells of ``TABLE/ROW``, by system. Raises `UsageError` naming the nearest where there is no such row."""
    known = {f"{name}/{each}" for name, found in published_tables().items() for each in found.rows}
    if reference not in known:
        near = difflib.get_close_matches(reference, sorted(known), n=1, cutoff=0.4)
        raise UsageError(
            f"published: there is no row {reference!r}" + (f"; did you mean {near[0]!r}?" if near else "")
        )
    return table_of(reference).rows[reference.partition("/")[2]]


def table_of(reference: str) -> PublishedTable:
    """The table of a row that there is."""
    return published_tables()[table_name(reference)]


def table_name(reference: str) -> str:
    """The table in ``TABLE/ROW``."""
    return reference.partition("/")[0]


def _cell(value: Any) -> PublishedCell:
    if isinstance(value, dict):
        return PublishedCell(float(value["figure"]), value["note"])
    return PublishedCell(float(value))
