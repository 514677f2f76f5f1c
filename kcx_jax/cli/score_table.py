"""The tables that ``kcx score`` prints."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kcx_jax.cli.spans import shown

if TYPE_CHECKING:
    from kcx_jax.scoring import Counts, Scores

_FIGURES = ("P %", "R %", "F1 %", "right", "wrong", "missed")


def print_scores(scores: "Scores") -> None:
    """Every measure with its definition; the headline measures by type and by language; the rates."""
    console = Console(highlight=False)
    totals = Table("measure", *_FIGURES, "what is counted")
    for name, score in scores.units.items():
        totals.add_row(name, *_row(score.total), score.definition)
    console.print(totals)
    for title, parts in (("type", "per_type"), ("language", "per_language")):
        table = Table("measure", title, *_FIGURES)
        for task in scores.records:  # a task's name is its headline measure
            found = getattr(scores.units[task], parts) if task in scores.units else {}
            if title == "type" or len(found) > 1:
                for label, counts in found.items():
                    table.add_row(task, Text(shown(label)), *_row(counts))
        if table.row_count:
            console.print(table)
    for line in (*_means(scores), *_rates(scores)):
        console.print(line)
    console.print(f"{scores.mode}: {scores.definition}")


def _row(counts: "Counts") -> list[str]:
    percent = [f"{100 * x:.2f}" for x in (counts.precision, counts.recall, counts.f1)]
    return [*percent, str(counts.tp), str(counts.fp), str(counts.fn)]


def _means(scores: "Scores") -> Iterator[str]:
    for task in scores.records:
        if task in scores.units:
            yield f"{task}: mean F1 over types {100 * scores.units[task].macro.f1:.2f} %"


def _rates(scores: "Scores") -> Iterator[str]:
    for task, rates in scores.rates.items():
        shares = {
            "of an unknown class": rates.unknown_class,
            "malformed": rates.malformed,
            "not in the text": rates.hallucinated,
            "found only by looser grounding": rates.loose,
        }
        words = ", ".join(f"{100 * rates.of_items(n):.2f} % {name} ({n})" for name, n in shares.items())
        answers = f"{100 * rates.parse_error:.2f} % of {rates.answers} answers not read to their end"
        yield f"{task}: {answers}; of {rates.items} items {words}"
