"""``kcx parallel build``."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from kcx_jax.cli.grouped import flat, grouped
from kcx_jax.cli.parallel import options
from kcx_jax.errors import KcxError

if TYPE_CHECKING:
    from kcx_jax.parallel import Run


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
    batch: Annotated[
        bool,
        typer.Option("--batch", help="Send through the Batch API: half the price, an answer within a day."),
    ] = False,
    batch_size: Annotated[
        int,
        typer.Option(
            min=1, max=50_000, help="Requests of one batch at most; so many records are kept in memory."
        ),
    ] = 10_000,
    enqueued_tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens that the account may have in batches at once.")
    ] = None,
    ray: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Build N parts as tasks on a Ray cluster, and merge them."),
    ] = None,
    progress: options.Progress = "auto",
) -> None:
    """Translate sentences together with their annotation, in three stages.

    Joint translation, then rewriting of spans that are not in the target sentence, then of the sentence.
    The same command continues a run that was stopped; what was answered is not asked again.

    Example: kcx parallel build train.jsonl --source en --target zh --run runs/en-zh
    --base-url http://127.0.0.1:8000/v1 --model qwen
    """
    given = flat(locals())
    if ray is not None:
        from kcx_jax.cli.parallel.on_ray import build_on_ray

        build_on_ray(given.pop("ray"), given)
        return
    from kcx_jax.cli.parallel.progress import BuildProgress
    from kcx_jax.llm import BatchSettings, load_prices
    from kcx_jax.parallel import Settings, build

    batches = BatchSettings(batch_size, enqueued_tokens=enqueued_tokens) if batch else None
    cap, settings = options.nano_of(budget), Settings.of(**translation.given())
    client, other = endpoint.clients(models.names(), load_prices(prices), pace, batches)
    work = (corpus.records(), corpus.source, corpus.targets, client, run, other)
    try:
        with BuildProgress(progress) as report:
            made = build(*work, report, settings=settings, budget=cap, shard=corpus.part)
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        raise
    with made:
        _tell(made)


def _tell(made: "Run") -> None:
    """Say what was made. Raises `KcxError` where some records got no answer."""
    from kcx_jax.cli.parallel.tables import print_statistics
    from kcx_jax.parallel import PARALLEL, UNRESOLVED

    statistics = made.statistics()
    print_statistics(statistics)
    print(f"{statistics.resolved} pairs in {_named(made, PARALLEL)}", file=sys.stderr)
    if statistics.unresolved:
        print(f"{statistics.unresolved} cases for people in {_named(made, UNRESOLVED)}", file=sys.stderr)
    print(f"cost {made.ledger.spent()}", file=sys.stderr)
    left = statistics.total - statistics.finished
    if left:
        raise KcxError(
            f"{left} records got no answer (kcx parallel status {made.folder} says why). "
            "The same command tries them again."
        )


def _named(made: "Run", name: str) -> str:
    return ", ".join(map(str, made.files(name).values()))
