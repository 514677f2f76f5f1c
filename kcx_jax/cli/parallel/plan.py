"""``kcx parallel plan``."""

import sys
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kcx_jax.cli.grouped import grouped
from kcx_jax.cli.parallel import options

if TYPE_CHECKING:
    from kcx_jax.llm import Limits
    from kcx_jax.parallel.runs.plan import Plan


@grouped
def command(
    corpus: options.Corpus,
    models: options.Models,
    pace: options.Pace,
    prices: options.PriceFile = None,
    like: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A run (a preview) whose rates of repair to expect.")
    ] = None,
) -> None:
    """Estimate the calls, tokens, cost and time of a build; sends nothing and needs no key.

    Example: kcx parallel plan train.jsonl --source en --target zh --preset paper --requests-per-minute 500
    """
    from kcx_jax.llm import load_prices
    from kcx_jax.parallel import Run
    from kcx_jax.parallel.runs.plan import plan

    names, table, statistics = models.names(), load_prices(prices), None
    if like is not None:
        with Run.open(like) as run:
            statistics = run.statistics()
    made = plan(corpus.records(), corpus.targets, names, table, statistics)
    _print(made, names, pace.limits(), pace.concurrency, table.version)
    options.warn_of_shutdown(names, table, date.today())


def _print(made: "Plan", models: list[str], limits: "Limits", concurrency: int, version: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from kcx_jax.llm import dollars

    console = Console()
    console.print(f"{made.records:,} translations of {made.spans:,} spans, by {' then '.join(models)}")
    if made.duplicates:
        console.print(f"of which {made.duplicates:,} duplicates, not paid for")
    table = Table("", "calls", "input tokens", "output tokens", "cost", "time")
    for name, each in made.estimates.items():
        cost = "unknown" if each.nano_usd is None else dollars(each.nano_usd)
        time = timedelta(seconds=round(each.seconds(limits, concurrency)))
        counts = [f"{number:,.0f}" for number in (each.calls, each.input_tokens, each.output_tokens)]
        table.add_row(name, *counts, cost, str(time))
    console.print(table)
    for model, day in made.shutdowns.items():
        console.print(f"{model} is announced to be shut down on {day:%d %B %Y}")
    print(f"prices of {version}; tokens estimated from bytes", file=sys.stderr)
