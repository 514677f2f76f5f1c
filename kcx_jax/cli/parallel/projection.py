"""``kcx parallel projection``: label projection as others do it, under the figures of the builder."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kcx_jax.cli.grouped import grouped
from kcx_jax.cli.parallel import options
from kcx_jax.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kcx_jax.corpora import Record
    from kcx_jax.llm import ChatClient
    from kcx_jax.parallel.projection import Projection


@grouped
def command(
    input_: Annotated[
        Path,
        typer.Argument(metavar="PAIRS|CORPUS", help="Pairs, whose targets are gold, or annotated records."),
    ],
    source: Annotated[str, typer.Option(help="Language of the records (BCP 47), such as en.")],
    target: Annotated[str, typer.Option(help="Language to project into, such as zh.")],
    method: Annotated[
        list[str], typer.Option(help="translate-find, clap, markers or align (extra align); again for more.")
    ],
    run: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder that keeps the calls; equal ones are shared.")
    ],
    model: Annotated[str, typer.Option(help="Chat model that translates.")],
    endpoint: options.Endpoint,
    pace: options.Pace,
    reader: Annotated[str, typer.Option(help="Format of CORPUS.")] = "auto",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many records.")] = None,
    budget: options.Budget = None,
    prices: options.PriceFile = None,
    json_: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE.")] = False,
) -> None:
    """Project annotation into another language by methods of the field, and count what they lose.

    Faithfulness is over all records: every span verbatim in the translation, or at an offset of it by any rung, with
    95 % intervals. With PAIRS the spans are also scored against gold.

    Example: kcx parallel projection pairs.jsonl --source en --target zh --method clap --method markers
    --run runs/projection --base-url http://127.0.0.1:8000/v1 --model qwen --json projection.json
    """
    from kcx_jax.files import atomic_write, refuse_existing
    from kcx_jax.llm import Budget, Ledger, judge_answers, load_prices
    from kcx_jax.parallel import LEDGER
    from kcx_jax.parallel.projection import METHODS, figures

    for name in method:
        if name not in METHODS:
            raise UsageError(f"unknown method {name!r}; known: {', '.join(METHODS)}")
    if json_ is not None:
        refuse_existing(json_, overwrite)  # before the calls, not after them
    table, cap = load_prices(prices), options.nano_of(budget)
    client, _ = endpoint.clients([model], table, pace)
    records, gold = _read(input_, reader, source, target, limit)
    made: list[dict[str, Any]] = []
    with Ledger(run / LEDGER) as ledger:
        if "projection" not in (ledger.run_config() or {"projection": None}):
            raise UsageError(f"--run {run} is the folder of a build; a projection needs one of its own")
        ledger.start_run({"source": source, "target": target, "projection": client.settings()})
        judge_answers(ledger, table.__getitem__)
        client = client.within(ledger, Budget(cap, ledger.spent()))
        try:
            for name in dict.fromkeys(method):
                made.append(figures(_project(records, target, client, name), gold))
        except KeyboardInterrupt:
            print("Stopped. The same command goes on from here.", file=sys.stderr)
            raise
        ledger.store.flush()
        spent = ledger.spent()
    _print_table(made)
    print(f"cost {spent}", file=sys.stderr)
    if json_ is not None:
        with atomic_write(json_, overwrite=overwrite) as handle:
            json.dump(made, handle, ensure_ascii=False, indent=1)
            handle.write("\n")


def _read(
    path: Path, reader: str, source: str, target: str, limit: int | None
) -> "tuple[list[Record], dict[str, Record] | None]":
    """The records, and the true targets by id where the file is one of pairs.

    Raises `UsageError` for a record in another language; `KcxError` for an id that stands twice.
    """
    from itertools import islice

    from kcx_jax.corpora import read_parallel, read_records
    from kcx_jax.errors import KcxError

    gold: dict[str, Record] | None = None
    if reader == "auto" and _holds_pairs(path):
        pairs = list(islice(read_parallel(path), limit))
        records, gold = [pair.source for pair in pairs], {pair.source.id: pair.target for pair in pairs}
    else:
        records = list(islice(read_records(path, reader=reader, language=source), limit))
    if len({record.id for record in records}) < len(records):
        raise KcxError(f"{path}: some records have the same id; figures are counted by record")
    others = {record.language for record in records} - {source}
    others |= {record.language for record in (gold or {}).values()} - {target}
    if others:
        raise UsageError(
            f"{path} also has the languages {', '.join(sorted(others))}; asked for {source}, {target}"
        )
    return records, gold


def _holds_pairs(path: Path) -> bool:
    from kcx_jax.corpora.lines import read_lines

    first = next((line for _, line in read_lines(path) if line.strip()), "")
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and {"source", "target"} <= value.keys()


def _project(records: "Sequence[Record]", target: str, client: "ChatClient", method: str) -> "Projection":
    from rich.console import Console
    from rich.progress import Progress

    from kcx_jax.parallel.projection import project

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(method, total=len(records))
        return project(records, target, client, method, lambda: progress.advance(task))


def _print_table(made: list[dict[str, Any]]) -> None:
    """A column a method."""
    from rich.console import Console
    from rich.table import Table

    table = Table("", *(row["method"] for row in made))
    for name, key in (
        ("verbatim %", "faithful_verbatim"),
        ("resolved %", "faithful_resolved"),
        ("spans %", "spans"),
    ):
        table.add_row(name, *(_percent(row[key]) for row in made))
    for key in ("calls", "input_tokens", "output_tokens"):
        table.add_row(key.replace("_", " "), *(str(row[key]) for row in made))
    if all("span_f1" in row for row in made):
        table.add_row("span F1", *(f"{100 * row['span_f1']['f1']:.2f}" for row in made))
    console = Console()
    console.print(table)
    if unknown := sum(row["unknown_usage"] for row in made):
        console.print(f"of {unknown} replies the endpoint did not say the tokens; they are not in the table")


def _percent(share: dict[str, Any]) -> str:
    low, high = share["interval_95"]
    return f"{100 * share['share']:.1f} ({100 * low:.1f}-{100 * high:.1f})"
