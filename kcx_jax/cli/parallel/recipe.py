"""``kcx parallel recipe``."""

import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from kcx_jax.cli.endpoint import ApiKeyEnv, BaseUrl, Concurrency
from kcx_jax.cli.parallel import options
from kcx_jax.cli.parallel.clients import clients_of
from kcx_jax.errors import KcxError


def command(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A recipe (YAML), see configs/parallel/.")],
    corpora: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the corpora's files.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the runs go, a folder each.")],
    share: Annotated[
        float, typer.Option(min=0, max=1, help="Build so much of each corpus; more of it goes on from there.")
    ] = 1.0,
    base_url: BaseUrl = None,
    api_key_env: ApiKeyEnv = None,
    budget: options.Budget = None,
    prices: options.PriceFile = None,
    requests_per_minute: options.Rpm = None,
    requests_per_day: options.Rpd = None,
    tokens_per_minute: options.Tpm = None,
    exactly_once: options.ExactlyOnce = False,
    concurrency: Concurrency = 16,
    timeout: options.Timeout = 120.0,
    progress: options.Progress = "auto",
) -> None:
    """Build all corpora of a recipe, each as a run with its report; the same command goes on after a stop.

    Example: kcx parallel recipe configs/parallel/parallelner.yaml --corpora data --out parallelner --share 0.01
    """
    from kcx_jax.cli.parallel.progress import BuildProgress
    from kcx_jax.llm import load_prices
    from kcx_jax.parallel import PARALLEL
    from kcx_jax.parallel.recipe import build_corpus, load_recipe, prepare
    from kcx_jax.parallel.report import report
    from kcx_jax.parallel.report.page import write_report_page
    from kcx_jax.parallel.runs.presets import preset_named

    recipe = load_recipe(config)
    models, table = list(preset_named(recipe.preset)), load_prices(prices)
    options.warn_of_shutdown(models, table, date.today())
    client, fallback = clients_of(
        models,
        table,
        base_url,
        api_key_env,
        concurrency=concurrency,
        timeout=timeout,
        limits=options.limits_of(requests_per_minute, requests_per_day, tokens_per_minute),
        exactly_once=exactly_once,
    )
    cap, left = options.nano_of(budget), 0
    prepare(recipe, corpora, out)
    for corpus in recipe.corpora:
        with BuildProgress(progress) as told:
            run = build_corpus(recipe, corpus, corpora, out, client, fallback, told, share=share, budget=cap)
        with run:
            statistics = run.statistics()
            left += statistics.total - statistics.finished
            write_report_page(report(run), run.folder / "report.html", overwrite=True)
            print(
                f"{corpus.name}: {statistics.resolved} pairs in {run.folder / PARALLEL}, {statistics.unresolved} "
                f"for people, cost {run.ledger.spent()}; look at {run.folder / 'report.html'}",
                file=sys.stderr,
            )
    if left:
        raise KcxError(f"{left} records got no answer. The same command tries them again.")
