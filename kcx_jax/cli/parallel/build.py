"""``kcx parallel build``."""

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
    input_: options.Input,
    source: options.Source,
    target: options.Target,
    run: options.Run,
    model: options.Model = None,
    base_url: BaseUrl = None,
    fallback: options.Fallback = None,
    preset: options.Preset = None,
    api_key_env: ApiKeyEnv = None,
    reader: options.Reader = "auto",
    budget: options.Budget = None,
    prices: options.PriceFile = None,
    requests_per_minute: options.Rpm = None,
    requests_per_day: options.Rpd = None,
    tokens_per_minute: options.Tpm = None,
    variant: Annotated[str, typer.Option(help="How stage 1 asks: joint, or xml (inline tags).")] = "joint",
    glossary: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settled translations of spans (JSON, YAML or TSV).")
    ] = None,
    language_id: Annotated[
        bool, typer.Option("--language-id", help="Check the language of each translation (extra langid).")
    ] = False,
    exactly_once: options.ExactlyOnce = False,
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
    shard: options.Shard = None,
    ray: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Build N parts as tasks on a Ray cluster, and merge them."),
    ] = None,
    concurrency: Concurrency = 16,
    timeout: options.Timeout = 120.0,
    progress: options.Progress = "auto",
) -> None:
    """Translate sentences together with their annotation, in three stages.

    Joint translation, then rewriting of spans that are not in the target sentence, then of the sentence.
    The same command continues a run that was stopped; what was answered is not asked again.

    Example: kcx parallel build train.jsonl --source en --target zh --run runs/en-zh
    --base-url http://127.0.0.1:8000/v1 --model qwen
    """
    given = dict(locals())
    if ray is not None:
        from kcx_jax.cli.parallel.on_ray import build_on_ray

        build_on_ray(given.pop("ray"), given)
        return
    from kcx_jax.cli.parallel.progress import BuildProgress
    from kcx_jax.cli.parallel.tables import print_statistics
    from kcx_jax.corpora import read_records
    from kcx_jax.llm import BatchSettings, load_prices
    from kcx_jax.parallel import PARALLEL, UNRESOLVED, Settings, build
    from kcx_jax.parallel.glossary import read_glossary
    from kcx_jax.parallel.shards import in_shard

    models = options.chosen_models(preset, model, fallback)
    table = load_prices(prices)
    options.warn_of_shutdown(models, table, date.today())
    cap = options.nano_of(budget)
    part = options.shard_of(shard)
    settings = Settings(variant, read_glossary(glossary) if glossary else {}, language_id)
    client, other = clients_of(
        models,
        table,
        base_url,
        api_key_env,
        concurrency=concurrency,
        timeout=timeout,
        limits=options.limits_of(requests_per_minute, requests_per_day, tokens_per_minute),
        exactly_once=exactly_once,
        batch=BatchSettings(batch_size, enqueued_tokens=enqueued_tokens) if batch else None,
    )
    records = read_records(input_, reader=reader, language=source)
    if part is not None:
        records = in_shard(records, *part)
    try:
        with BuildProgress(progress) as report:
            made = build(
                records,
                source,
                target.split(","),
                client,
                run,
                other,
                report,
                settings=settings,
                budget=cap,
            )
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        raise
    with made:
        statistics = made.statistics()
        print_statistics(statistics)
        print(f"{statistics.resolved} pairs in {run / PARALLEL}", file=sys.stderr)
        if statistics.unresolved:
            print(f"{statistics.unresolved} cases for people in {run / UNRESOLVED}", file=sys.stderr)
        print(f"cost {made.ledger.spent()}", file=sys.stderr)
        left = statistics.total - statistics.finished
    if left:
        raise KcxError(
            f"{left} records got no answer (kcx parallel status {run} says why). The same command tries them again."
        )
