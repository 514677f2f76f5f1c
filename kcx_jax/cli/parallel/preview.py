"""``kcx parallel preview``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from kcx_jax.cli.grouped import grouped
from kcx_jax.cli.parallel import options


@grouped
def command(
    corpus: options.Corpus,
    run: options.Run,
    models: options.Models,
    endpoint: options.Endpoint,
    pace: options.Pace,
    translation: options.Translation,
    budget: options.Budget = None,
    prices: options.PriceFile = None,
    number: Annotated[int, typer.Option("-n", min=1, help="How many records to build.")] = 20,
    seed: options.Seed = 0,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the page goes; default: preview.html in the run."),
    ] = None,
    progress: options.Progress = "auto",
) -> None:
    """Build a few records, drawn over all lengths and types, and show them on a page with what they cost.

    A build with the same --run goes on from there and pays for none of them again.

    Example: kcx parallel preview train.jsonl -n 20 --source en --target zh --preset paper --run runs/en-zh
    """
    from kcx_jax.cli.parallel.progress import BuildProgress
    from kcx_jax.cli.parallel.tables import print_statistics
    from kcx_jax.llm import load_prices
    from kcx_jax.parallel import Settings
    from kcx_jax.parallel.preview import preview
    from kcx_jax.parallel.report import report
    from kcx_jax.parallel.report.page import write_report_page

    cap, settings = options.nano_of(budget), Settings.of(**translation.given())
    client, other = endpoint.clients(models.names(), load_prices(prices), pace)
    work = (corpus.records(), corpus.source, corpus.targets, client, run, other)
    with BuildProgress(progress) as told:
        made = preview(*work, told, size=number, seed=seed, settings=settings, budget=cap)
    page = html or run / "preview.html"
    with made:
        write_report_page(report(made, seed, shown=number), page, overwrite=True)
        print_statistics(made.statistics())
        print(f"look at {page}", file=sys.stderr)
        print(f"cost so far {made.ledger.spent()}", file=sys.stderr)
