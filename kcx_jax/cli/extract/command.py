"""The command itself."""

from pathlib import Path
from typing import Annotated

import typer

from kcx_jax.cli.extract.options import Engine, Goal, Source
from kcx_jax.cli.grouped import flat, grouped


@grouped
def command(
    source: Source,
    engine: Engine,
    goal: Goal,
    output: Annotated[
        Path | None, typer.Option(metavar="OUT.jsonl", help="Write records here; a stopped run goes on.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the texts with coloured spans.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.jsonl.")] = False,
    ray: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Read N shards as tasks on a Ray cluster, and join them."),
    ] = None,
) -> None:
    """Find entities, relations and events in texts, with offsets, and print them as JSON Lines.

    Example: kcx extract "Ada Lovelace was born in London." --labels person,city
    --chat-model M --base-url http://127.0.0.1:8000/v1
    """
    given = flat(locals())
    if ray is not None:
        from kcx_jax.cli.extract.on_ray import extract_on_ray

        extract_on_ray(given.pop("ray"), given)
        return
    from kcx_jax.cli.extract.progress import Report
    from kcx_jax.cli.extract.writing import destination_of
    from kcx_jax.schema import render_schema

    schema = goal.loaded()
    reading = goal.reading(schema)
    report = Report(to_screen=show or output is None)
    records = source.records(report.skipped)
    settings = {**engine.settings(), **reading, "schema": render_schema(schema), "shard": source.shard}
    # What is wrong with the call or its files shows before a model is loaded.
    with destination_of(output, settings, overwrite, show) as destination:
        pending = destination.remaining(records)
        extractor = engine.extractor()
        for result in report.counted(extractor.extract(pending, schema, **reading), extractor):
            destination.write(result)
        destination.finish()
    report.print(output, destination.done, extractor)
