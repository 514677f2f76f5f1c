"""``kcx parallel``: build parallel annotated data with a chat model."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kcx_jax.cli import parallel_export, parallel_pair, parallel_projection, parallel_review
from kcx_jax.cli.endpoint import ApiKeyEnv, BaseUrl, Concurrency, key_from

if TYPE_CHECKING:
    from kcx_jax.parallel import BuildResult

app = typer.Typer(help="Build parallel annotated data with a chat model.", no_args_is_help=True)
app.command()(parallel_pair.pair)
app.command()(parallel_export.export)
app.command()(parallel_projection.projection)
app.add_typer(parallel_review.app, name="review")

Run = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run, as given to build --run.")]


@app.command()
def build(
    input_: Annotated[Path, typer.Argument(metavar="INPUT", help="Annotated records; any corpus format.")],
    source: Annotated[str, typer.Option(help="Language of INPUT (BCP 47), such as en.")],
    target: Annotated[str, typer.Option(help="Language to translate into, such as zh.")],
    run: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the run; an interrupted one goes on.")],
    model: Annotated[str, typer.Option(help="Chat model that translates.")],
    base_url: BaseUrl = None,
    fallback: Annotated[str | None, typer.Option(help="Model for what the first one fails at.")] = None,
    api_key_env: ApiKeyEnv = None,
    reader: Annotated[str, typer.Option(help="Format of INPUT.")] = "auto",
    concurrency: Concurrency = 16,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds one request may take.")] = 120.0,
) -> None:
    """Translate sentences together with their annotation, in three stages.

    Joint translation, then rewriting of spans that are not in the target sentence, then of the sentence.
    The same command continues a run that was stopped; what was answered is not asked again.

    Example: kcx parallel build train.jsonl --source en --target zh --run runs/en-zh
    --base-url http://127.0.0.1:8000/v1 --model qwen
    """
    from kcx_jax.corpora import read_records
    from kcx_jax.llm import ChatClient
    from kcx_jax.parallel import PARALLEL, UNRESOLVED, build

    api_key = key_from(api_key_env)
    client, *others = [
        ChatClient(name, base_url, api_key, concurrency=concurrency, timeout=timeout)
        for name in (model, fallback)
        if name is not None
    ]
    records = list(read_records(input_, reader=reader, language=source))
    try:
        with _Progress(len(records)) as progress:
            result = build(records, source, target, client, run, next(iter(others), None), progress)
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        raise
    _print_table(result)
    print(f"{len(result.pairs)} pairs in {run / PARALLEL}", file=sys.stderr)
    if result.unresolved:
        print(f"{len(result.unresolved)} cases for people in {run / UNRESOLVED}", file=sys.stderr)


@app.command()
def status(run: Run) -> None:
    """Show how far a run is, what it made so far, and its calls by model, stage and outcome.

    Works beside a running build and sends nothing. Example: kcx parallel status runs/en-zh
    """
    from rich.console import Console
    from rich.table import Table

    from kcx_jax.llm import Ledger
    from kcx_jax.parallel import LEDGER, replay

    _print_table(replay(run))
    table = Table("model", "stage", "state", "error", "calls", "input tokens", "output tokens", "no usage")
    with Ledger(run / LEDGER, readonly=True) as ledger:
        for row in ledger.summary():
            table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console().print(table)


class _Progress:
    """A bar on stderr: finished records, and how many of them need people."""

    def __init__(self, total: int):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("records"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> "_Progress":
        self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def __call__(self, statistics) -> None:
        told = f"{statistics.unresolved} for people, {statistics.calls} replies"
        self._bar.update(self._task, completed=statistics.finished, description=told)


def _print_table(result: "BuildResult") -> None:
    from rich.console import Console
    from rich.table import Table

    statistics = result.statistics
    table = Table("model", "stage", "resolved", "missing per 10,000")
    for row in statistics.funnel():
        table.add_row(row["model"], row["stage"], str(row["resolved"]), f"{row['missing_per_10k']:.2f}")
    console = Console()
    console.print(table)
    left = statistics.total - statistics.finished
    console.print(
        f"{statistics.finished} records finished, {statistics.unresolved} for people, {left} to come"
    )
    console.print(
        f"faithful: {statistics.faithfulness_verbatim:.2%} verbatim, "
        f"{statistics.faithfulness_resolved:.2%} resolved to offsets"
    )
