"""``kcx parallel preview``."""

import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from kcx_jax.cli.endpoint import ApiKeyEnv, BaseUrl, Concurrency
from kcx_jax.cli.parallel import options
from kcx_jax.cli.parallel.clients import clients_of


def command(
    input_: options.Input,
    source: options.Source,
    target: options.Target,
    run: options.Run,
    model: options.Model = None,
    base_url: BaseUrl = None,
    fallback: options.Fallback = None,
    preset: options.Preset = None,
    number: Annotated[int, typer.Option("-n", min=1, help="How many records to build.")] = 20,
    seed: options.Seed = 0,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the page goes; default: preview.html in the run."),
    ] = None,
    api_key_env: ApiKeyEnv = None,
    reader: options.Reader = "auto",
    budget: options.Budget = None,
    prices: options.PriceFile = None,
    requests_per_minute: options.Rpm = None,
    requests_per_day: options.Rpd = None,
    tokens_per_minute: options.Tpm = None,
    exactly_once: options.ExactlyOnce = False,
    shard: options.Shard = None,
    concurrency: Concurrency = 16,
    timeout: options.Timeout = 120.0,
    progress: options.Progress = "auto",
) -> None:
    """Build a few records, drawn over all lengths and types, and show them on a page with what they cost.

    A build with the same --run goes on from there and pays for none of them again.

    Example: kcx parallel preview train.jsonl -n 20 --source en --target zh --preset paper --run runs/en-zh
    """
    from kcx_jax.cli.parallel.progress import BuildProgress
    from kcx_jax.cli.parallel.tables import print_statistics
    from kcx_jax.corpora import read_records
    from kcx_jax.llm import load_prices
    from kcx_jax.parallel.preview import preview
    from kcx_jax.parallel.report import report
    from kcx_jax.parallel.report.page import write_report_page
    from kcx_jax.parallel.runs.shards import in_shard

    models = options.chosen_models(preset, model, fallback)
    table = load_prices(prices)
    options.warn_of_shutdown(models, table, date.today())
    cap, part = options.nano_of(budget), options.shard_of(shard)
    client, other = clients_of(
        models,
        table,
        base_url,
        api_key_env,
        concurrency=concurrency,
        timeout=timeout,
        limits=options.limits_of(requests_per_minute, requests_per_day, tokens_per_minute),
        exactly_once=exactly_once,
    )
    records = read_records(input_, reader=reader, language=source)
    if part is not None:
        records = in_shard(records, *part)
    with BuildProgress(progress) as told:
        made = preview(
            *(records, source, target.split(","), client, run, other, told),
            size=number,
            seed=seed,
            budget=cap,
        )
    page = html or run / "preview.html"
    with made:
        write_report_page(report(made, seed, shown=number), page, overwrite=True)
        print_statistics(made.statistics())
        print(f"look at {page}", file=sys.stderr)
        print(f"cost so far {made.ledger.spent()}", file=sys.stderr)
