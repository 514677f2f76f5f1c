"""``kcx data``: benchmarks, annotated files and what is in them."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kcx_jax.errors import UsageError

if TYPE_CHECKING:
    from kcx_jax.corpora import Record

app = typer.Typer(help="List benchmarks; show, convert and compare annotated files.", no_args_is_help=True)

ReaderOption = Annotated[str, typer.Option("--reader", help="A reader's name, or auto: by the content.")]
LanguageOption = Annotated[
    str | None, typer.Option("--language", help="BCP 47 tag of files that do not say theirs, such as zh.")
]
InventoryOption = Annotated[
    str | None,
    typer.Option("--inventory", help="What maps labels to classes; none keeps them. Default: the reader's."),
]
ColumnOption = Annotated[
    list[int] | None,
    typer.Option(
        "--column",
        help="The column of the tags, counted from 1; again for each more layer. Default: the reader's.",
    ),
]


@app.command("list")
def list_benchmarks() -> None:
    """List the benchmarks that can be read, with their licences and where to get them.

    Example: kcx data list
    """
    from rich.console import Console
    from rich.table import Table

    from kcx_jax.corpora import catalogue

    table = Table("name", "task", "languages", "splits", "licence", "reader")
    table.add_column("where", overflow="fold")
    for entry in catalogue():
        table.add_row(
            entry.name,
            entry.task,
            " ".join(entry.languages),
            " ".join(entry.splits),
            entry.licence,
            entry.reader,
            f"{entry.url} ({entry.note})" if entry.note else entry.url,
        )
    Console(highlight=False).print(table)


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="A corpus file.")],
    reader: ReaderOption = "auto",
    language: LanguageOption = None,
    inventory: InventoryOption = "default",
    column: ColumnOption = None,
    limit: Annotated[int, typer.Option(min=1, help="How many records.")] = 10,
) -> None:
    """Print records with their spans in colour, and their relations and events.

    Example: kcx data show test.iob2 --limit 3
    """
    from rich.console import Console
    from rich.text import Text

    from kcx_jax.cli.spans import render, shown
    from kcx_jax.extraction import Result
    from kcx_jax.schema import Schema

    console = Console(highlight=False)
    for record in islice(_read(file, reader, language, inventory, column or ()), limit):
        console.print(Text(f"{shown(record.id)} ({shown(record.language)})", "dim"), soft_wrap=True)
        console.print(render(Result(record, Schema(()))), soft_wrap=True)


@app.command()
def convert(
    input_: Annotated[Path, typer.Argument(metavar="INPUT", help="A corpus file.")],
    output: Annotated[Path, typer.Option(metavar="OUT", help="The file to write; gzip if it ends in .gz.")],
    reader: ReaderOption = "auto",
    writer: Annotated[str, typer.Option(help="The format to write: jsonl.")] = "jsonl",
    language: LanguageOption = None,
    inventory: InventoryOption = "default",
    column: ColumnOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many records.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
) -> None:
    """Turn a corpus file into records, checked one by one.

    Example: kcx data convert test.conllu --output test.jsonl --language en
    """
    from kcx_jax.corpora import write_records

    if writer != "jsonl":
        raise UsageError(f"unknown writer {writer!r}; known: jsonl")
    records = islice(_read(input_, reader, language, inventory, column or ()), limit)
    aside = _SetAside()
    passing = aside.watch(_counted(records, f"converting {input_.name}"))
    count = write_records(passing, output, overwrite)
    print(f"wrote {count} records to {output}", file=sys.stderr)
    for line in aside.lines():
        print(line, file=sys.stderr)


@app.command()
def check(
    train: Annotated[Path, typer.Argument(metavar="TRAIN", help="What a model is trained on.")],
    test: Annotated[Path, typer.Argument(metavar="TEST", help="What it is tested on.")],
    reader: ReaderOption = "auto",
) -> None:
    """Say how much of a test file stands in a training file: sentences, and mentions by their surface.

    Example: kcx data check train.jsonl test.jsonl
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from kcx_jax.cli.spans import shown
    from kcx_jax.corpora import leakage

    training = _counted(_read(train, reader, None, None), f"reading {train.name}")
    found = leakage(training, _counted(_read(test, reader, None, None), f"reading {test.name}"))
    table = Table("of the test file", "in training", "of", "%", "such as")
    for name, share in (
        ("sentences", found.sentences),
        ("mentions", found.mentions),
        ("distinct names", found.names),
    ):
        examples = Text(shown("; ".join(example[:40] for example in share.examples)))
        table.add_row(name, str(share.seen), str(share.total), f"{100 * share.fraction:.2f}", examples)
    Console(highlight=False).print(table)


@app.command()
def ceiling(
    file: Annotated[Path, typer.Argument(help="A corpus file.")],
    reader: ReaderOption = "auto",
    language: LanguageOption = None,
    inventory: InventoryOption = "default",
    mode: Annotated[str, typer.Option(help="How to count, as in kcx score.")] = "strict",
) -> None:
    """Print the F1 that gold itself reaches when it is written as answers and found again in the text.

    Example: kcx data ceiling test.iob2
    """
    from kcx_jax.cli.ceiling import print_ceiling
    from kcx_jax.evaluation.oracle import oracle

    records = _counted(_read(file, reader, language, inventory), f"reading {file.name}")
    print_ceiling(oracle(records, mode=mode))


class _SetAside:
    """What readers could not bring into records, by kind: how many, and the first examples."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    def watch(self, records: "Iterable[Record]") -> "Iterator[Record]":
        """The records, unchanged."""
        for record in records:
            for kind, count in record.meta.get("set_aside", {}).items():
                self.counts[kind] += count
                items = record.meta.get("unplaced", {}).get(kind, [None])
                shown = (record.id if item is None else f"{record.id}: {_short(item)}" for item in items)
                self.examples[kind] = [*self.examples.get(kind, ()), *shown][:3]
            yield record

    def lines(self) -> Iterator[str]:
        """A line for each kind."""
        for kind, count in self.counts.items():
            yield f"set aside: {count} {kind}, such as {'; '.join(self.examples[kind])}"


def _short(item: object) -> str:
    from kcx_jax.cli.spans import shown

    text = shown(json.dumps(item, ensure_ascii=False))
    return text if len(text) <= 100 else f"{text[:100]}..."


def _read(
    path: Path, reader: str, language: str | None, inventory: str | None, columns: Sequence[int] = ()
) -> "Iterator[Record]":
    """The records of a file; says on stderr which reader was chosen."""
    from kcx_jax.corpora import choose_reader, read_records

    if reader == "auto":
        reader = choose_reader(path)
        print(f"{path}: read as {reader}", file=sys.stderr)
    inventory = None if inventory == "none" else inventory
    return read_records(path, reader, language, inventory=inventory, columns=columns)


def _counted(records: "Iterable[Record]", doing: str) -> "Iterator[Record]":
    """The records, with a counter on stderr while they pass."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield from progress.track(records, description=doing, total=None)
