"""What a run has come to, as tables on stdout."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kcx_jax.llm import Ledger
    from kcx_jax.parallel import Statistics


def print_statistics(statistics: "Statistics") -> None:
    """Records by stage, and how faithful the pairs are."""
    from rich.console import Console
    from rich.table import Table

    table = Table("model", "stage", "resolved", "missing per 10,000")
    for row in statistics.funnel():
        table.add_row(row["model"], row["stage"], str(row["resolved"]), f"{row['missing_per_10k']:.2f}")
    console = Console()
    console.print(table)
    if statistics.duplicates:
        console.print(
            f"{statistics.total} records, of which {statistics.duplicates} duplicates, not paid for"
        )
    left = statistics.total - statistics.finished
    console.print(
        f"{statistics.finished} records finished, {statistics.unresolved} for people, {left} to come"
    )
    console.print(
        f"faithful: {statistics.faithfulness_verbatim:.2%} verbatim, "
        f"{statistics.faithfulness_resolved:.2%} resolved to offsets"
    )
    if statistics.flags:
        flags = ", ".join(
            f"{count} {name.replace('_', ' ')}" for name, count in statistics.flags.most_common()
        )
        console.print(f"flagged pairs: {flags}")


def print_calls(ledger: "Ledger") -> None:
    """Calls by model, stage and outcome, with their tokens and cost."""
    from rich.console import Console
    from rich.table import Column, Table

    from kcx_jax.llm import dollars

    words = (Column(name, overflow="fold") for name in ("model", "stage", "outcome"))  # whole, however narrow
    table = Table(*words, "calls", "tokens in", "out", "cost")
    for row in ledger.summary():
        outcome = f"{row['state']}: {row['error_class']}" if row["error_class"] else row["state"]
        cost = "" if row["nano_usd"] is None else dollars(row["nano_usd"])
        tokens = [f"{row[name] or 0:,}" for name in ("input_tokens", "output_tokens")]
        table.add_row(row["model"], row["stage"], outcome, f"{row['calls']:,}", *tokens, cost)
    console = Console()
    console.print(table)
    console.print(f"cost {ledger.spent()}")
