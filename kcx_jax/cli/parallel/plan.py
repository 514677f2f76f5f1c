"""``kcx parallel plan``."""

import sys
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kcx_jax.cli.endpoint import Concurrency
from kcx_jax.cli.parallel import options

if TYPE_CHECKING:
    from kcx_jax.llm import Limits
    from kcx_jax.parallel.runs.plan import Plan


def command(
    input_: options.Input,
    source: options.Source,
    target: options.Target,
    model: options.Model = None,
    fallback: options.Fallback = None,
    preset: options.Preset = None,
    reader: options.Reader = "auto",
    prices: options.PriceFile = None,
    requests_per_minute: options.Rpm = None,
    requests_per_day: options.Rpd = None,
    tokens_per_minute: options.Tpm = None,
    shard: options.Shard = None,
    concurrency: Concurrency = 16,
    like: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A run (a preview) whose rates of repair to expect.")
    ] = None,
) -> None:
    """Estimate the calls, tokens, cost and time of a build; sends nothing and needs no key.

    Example: kcx parallel plan train.jsonl --source en --target zh --preset paper --requests-per-minute 500
    """
    from kcx_jax.corpora import read_records
    from kcx_jax.llm import load_prices
    from kcx_jax.parallel import Run
    from kcx_jax.parallel.runs.plan import plan
    from kcx_jax.parallel.runs.shards import in_shard

    models = options.chosen_models(preset, model, fallback)
    table = load_prices(prices)
    limits = options.limits_of(requests_per_minute, requests_per_day, tokens_per_minute)
    records = read_records(input_, reader=reader, language=source)
    part = options.shard_of(shard)
    if part is not None:
        records = in_shard(records, *part)
    statistics = None
    if like is not None:
        with Run.open(like) as run:
            statistics = run.statistics()
    made = plan(records, target.split(","), models, table, statistics)
    _print(made, models, limits, concurrency, table.version)
    options.warn_of_shutdown(models, table, date.today())


def _print(made: "Plan", models: list[str], limits: "Limits", concurrency: int, version: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from kcx_jax.llm import dollars

    console = Console()
    console.print(f"{made.records:,} translations of {made.spans:,} spans, by {' then '.join(models)}")
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
