"""``kcx parallel recipe``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from kcx_jax.cli.grouped import grouped
from kcx_jax.cli.parallel import options
from kcx_jax.errors import KcxError


@grouped
def command(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A recipe (YAML), see configs/parallel/.")],
    corpora: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the corpora's files.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the runs go, a folder each.")],
    endpoint: options.Endpoint,
    pace: options.Pace,
    translation: options.Translation,
    share: Annotated[
        float, typer.Option(min=0, max=1, help="Build so much of each corpus; more of it goes on from there.")
    ] = 1.0,
    budget: options.Budget = None,
    prices: options.PriceFile = None,
    progress: options.Progress = "auto",
) -> None:
    """Build all corpora of a recipe, each as a run with its report; the same command goes on after a stop.

    --variant, --glossary and --language-id take the place of what the recipe says, for all corpora.

    Example: kcx parallel recipe configs/parallel/parallelner.yaml --corpora data --out parallelner --share 0.01
    """
    from kcx_jax.cli.parallel.progress import BuildProgress
    from kcx_jax.llm import load_prices
    from kcx_jax.parallel import PARALLEL
    from kcx_jax.parallel.recipe import build_corpus, load_recipe, prepare
    from kcx_jax.parallel.report import report
    from kcx_jax.parallel.report.page import write_report_page
    from kcx_jax.parallel.runs.presets import preset_named

    recipe = load_recipe(config).with_translation(**translation.given())
    client, fallback = endpoint.clients(list(preset_named(recipe.preset)), load_prices(prices), pace)
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
