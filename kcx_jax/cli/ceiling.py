"""The table of ``kcx data ceiling``: what gold itself scores, and why it is not more."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kcx_jax.evaluation.oracle import Ceiling


def print_ceiling(found: "Ceiling") -> None:
    """Two tables on stdout: the figures of every measure, and the losses with their first examples."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from kcx_jax.page import visible

    totals = Table("measure", "P %", "R %", "F1 %", "gold items", "not found again")
    for scores in found.scores.values():
        for name, unit in scores.units.items():
            counts = unit.total
            figures = [f"{100 * x:.2f}" for x in (counts.precision, counts.recall, counts.f1)]
            totals.add_row(name, *figures, str(counts.tp + counts.fn), str(counts.fn))
    console = Console(highlight=False)
    console.print(totals)
    if found.losses:
        losses = Table("task", "why", "items", "such as")
        for loss in found.losses:
            examples = "; ".join(f"{id}: {surface[:40]}" for id, surface in loss.examples)
            losses.add_row(loss.task, loss.cause, str(loss.count), Text(visible(examples)))
        console.print(losses)
    console.print(
        f"discontinuous spans, written from their first character to their last: {found.discontinuous}"
    )
