"""``kcx data``: benchmarks, annotated files and what is in them."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kcx_jax.cli import sample
from kcx_jax.cli.labels import AutoOption
from kcx_jax.errors import UsageError

if TYPE_CHECKING:
    from kcx_jax.corpora import Leakage, Record

app = typer.Typer(
    help="List benchmarks; show, convert, sample, compare and pack annotated files.", no_args_is_help=True
)
app.command("sample")(sample.command)

ReaderOption = Annotated[str, typer.Option("--reader", help="A reader's name, or auto: by the content.")]
LanguageOption = Annotated[
    str | None, typer.Option("--language", help="BCP 47 tag of files that do not say theirs, such as zh.")
]
InventoryOption = Annotated[
    str | None,
    typer.Option(
        "--inventory",
        help="What maps labels to classes: a name, or your own file.yaml; none keeps them. Default: the reader's.",
    ),
]
ColumnOption = Annotated[
    list[int] | None,
    typer.Option(
        "--column",
        help="The column of the tags, counted from 1; again for each more layer. Default: the reader's.",
    ),
]
RootOption = Annotated[
    Path | None,
    typer.Option("--root", metavar="DIR", envvar="KCX_DATA", help="Where benchmarks are, as DIR/NAME/..."),
]

OffsetUnitOption = Annotated[
    str | None,
    typer.Option(
        "--offset-unit",
        help="What the file's offsets count: code-points, utf-16 or utf-8. Default: the reader's.",
    ),
]


@app.command("list")
def list_benchmarks(
    task: Annotated[str | None, typer.Option(help="Only this task: ner, re, ed or eae.")] = None,
    language: Annotated[str | None, typer.Option(help="Only this language: a BCP 47 tag.")] = None,
    root: RootOption = None,
    json_: Annotated[bool, typer.Option("--json", help="Everything, as JSON, to stdout.")] = False,
) -> None:
    """List the benchmarks: tasks, languages, sizes, licence, reader, where to get them; with --root what is there.

    Example: kcx data list --task ner --language zh
    """
    from kcx_jax.cli.benchmarks import benchmark_json, print_list
    from kcx_jax.corpora import catalogue
    from kcx_jax.schema import TASKS

    if task is not None and task not in TASKS:
        raise UsageError(f"unknown task {task!r}; known: {', '.join(TASKS)}")
    entries = [
        entry
        for entry in catalogue()
        if (task is None or task in entry.tasks) and (language is None or language in entry.languages)
    ]
    if json_:
        print(json.dumps([benchmark_json(entry, root) for entry in entries], indent=2))
    else:
        print_list(entries, root)


@app.command()
def show(
    name: Annotated[Path, typer.Argument(metavar="NAME|FILE", help="A benchmark, or a corpus file.")],
    reader: ReaderOption = "auto",
    language: LanguageOption = None,
    inventory: InventoryOption = "default",
    column: ColumnOption = None,
    auto: AutoOption = False,
    offset_unit: OffsetUnitOption = None,
    limit: Annotated[int, typer.Option(min=1, help="How many records.")] = 10,
) -> None:
    """Print what the catalogue knows of a benchmark; or a file's records with spans in colour, relations and events.

    A name of the catalogue comes first; ./NAME is a file of that name. Example: kcx data show test.iob2 --limit 3
    """
    from rich.console import Console
    from rich.text import Text

    from kcx_jax.cli.benchmarks import print_entry
    from kcx_jax.cli.spans import render
    from kcx_jax.corpora import catalogue
    from kcx_jax.corpora.catalogue import find_benchmark
    from kcx_jax.extraction import Result
    from kcx_jax.page import visible
    from kcx_jax.schema import Schema

    is_file = name.exists() or name.suffix or len(name.parts) > 1  # a path that is not there is told as that
    if not is_file or str(name) in {entry.name for entry in catalogue()}:
        print_entry(find_benchmark(str(name)))
        return
    console = Console(highlight=False)
    for record in islice(
        _read(name, reader, language, inventory, column or (), None, auto, offset_unit), limit
    ):
        console.print(Text(f"{visible(record.id)} ({visible(record.language)})", "dim"), soft_wrap=True)
        console.print(render(Result(record, Schema(()))), soft_wrap=True)


@app.command()
def convert(
    input_: Annotated[Path, typer.Argument(metavar="INPUT", help="A corpus file.")],
    output: Annotated[Path, typer.Option(metavar="OUT", help="The file to write (gzip: .gz), or folder.")],
    reader: ReaderOption = "auto",
    writer: Annotated[
        str, typer.Option(help="The format to write, such as conll, brat or gliner.")
    ] = "jsonl",
    language: LanguageOption = None,
    inventory: InventoryOption = "default",
    column: ColumnOption = None,
    auto: AutoOption = False,
    offset_unit: OffsetUnitOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many records.")] = None,
    tag_scheme: Annotated[str, typer.Option(help="Of the writer conll: bio, iobes, bilou or bmes.")] = "bio",
    schema: Annotated[
        Path | None, typer.Option(help="Of the writer iepile-instructions: a schema file, what to ask for.")
    ] = None,
    template: Annotated[
        Path | None,
        typer.Option(help="Of iepile-instructions: YAML with the instruction's sentence for NER, RE and EE."),
    ] = None,
    allow_loss: Annotated[
        bool, typer.Option("--allow-loss", help="Leave out, and count, what the format cannot hold.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
) -> None:
    """Turn a corpus file into records, checked one by one, and write them in any of the formats.

    Example: kcx data convert test.conllu --output test.jsonl --language en
    """
    from kcx_jax.corpora import write_records
    from kcx_jax.schema import load_schema

    labels: dict[str, dict[str, None]] = {}
    records = islice(
        _read(input_, reader, language, inventory, column or (), labels, auto, offset_unit), limit
    )
    aside = _SetAside()
    passing = aside.watch(_counted(records, f"converting {input_.name}"))
    lost: Counter[str] = Counter()
    count = write_records(
        passing,
        output,
        overwrite,
        writer=writer,
        allow_loss=allow_loss,
        lost=lost,
        tag_scheme=tag_scheme,
        schema=None if schema is None else load_schema(schema),
        template=template,
    )
    for name, merged in labels.items():
        if len(merged) > 1:
            print(f"{name}: merged from the labels {', '.join(merged)}", file=sys.stderr)
    print(f"wrote {count} records to {output}", file=sys.stderr)
    for kind, number in lost.items():
        print(f"left out, as {writer} cannot hold it: {number} {kind}", file=sys.stderr)
    for line in aside.lines():
        print(line, file=sys.stderr)


@app.command()
def check(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="TRAIN... TEST | NAME...", help="Files, the last the test set; or names."),
    ],
    reader: ReaderOption = "auto",
    threshold: Annotated[float, typer.Option(help="Least similarity of near-duplicates, in (0, 1].")] = 0.8,
    shingle: Annotated[int, typer.Option(min=1, help="Characters of an n-gram that is compared.")] = 4,
    exact: Annotated[bool, typer.Option("--exact", help="Do not look for near-duplicates.")] = False,
    report: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all duplicates and counts as JSON.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the report.")] = False,
    root: RootOption = None,
) -> None:
    """Say how much of a test file stands in training files; or whether a benchmark's files under --root are right.

    Sentences and near-duplicates by their characters, mentions by their surface. Near-duplicates need the extra
    leakage. Example: kcx data check news.jsonl wiki.jsonl test.jsonl --json leakage.json
    """
    from kcx_jax.cli.benchmarks import verify
    from kcx_jax.corpora import catalogue, leakage
    from kcx_jax.corpora.catalogue import find_benchmark
    from kcx_jax.files import atomic_write, refuse_existing

    if {str(path) for path in inputs} <= {entry.name for entry in catalogue()}:
        if root is None:
            raise UsageError("to check benchmarks on disk say where they are: --root DIR or KCX_DATA")
        return verify([find_benchmark(str(path)) for path in inputs], root)
    *train, test = inputs
    if not train:
        raise UsageError(
            f"{test}: no benchmark, and nothing to compare it with: give training files, then a test file"
        )
    if report is not None:
        refuse_existing(report, overwrite)  # before the work, not after it
    training = chain.from_iterable(_read(path, reader, None, None) for path in train)
    found = leakage(
        _counted(training, "reading the training files"),
        _counted(_read(test, reader, None, None), f"reading {test.name}"),
        None if exact else threshold,
        shingle,
    )
    if report is not None:
        with atomic_write(report, overwrite=overwrite) as handle:
            json.dump(found.to_json(), handle, indent=2)
            handle.write("\n")
    _print_leakage(found)


@app.command()
def pack(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="What kcx train is given.")],
    output: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write.")],
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A.B=C", help="Change one setting, such as model=base."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace DIR; the old one stays beside it.")
    ] = False,
) -> None:
    """Render and encode the corpora of a training config once, for kcx train to map instead of reading them.

    Example: kcx data pack run.yaml --output packed && kcx train run.yaml --set packed=packed
    """
    from kcx_jax.training import load_config
    from kcx_jax.training.pack import pack
    from kcx_jax.training.stages import say_to_stderr

    pack(load_config(config, sets or []), output, overwrite, say_to_stderr)


def _print_leakage(found: "Leakage") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from kcx_jax.page import visible

    table = Table("of the test file", "in training", "of", "%", "such as")
    for name, share in found.shares().items():
        examples = Text(visible("; ".join(example[:40] for example in share.examples)))
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
    from kcx_jax.page import visible

    text = visible(json.dumps(item, ensure_ascii=False))
    return text if len(text) <= 100 else f"{text[:100]}..."


def _read(
    path: Path,
    reader: str,
    language: str | None,
    inventory: str | None,
    columns: Sequence[int] = (),
    labels: dict[str, dict[str, None]] | None = None,
    auto: bool = False,
    offset_unit: str | None = None,
) -> "Iterator[Record]":
    """The records of a file; says on stderr which reader was chosen, and what maps its labels.

    `labels` gathers what an inventory maps: class -> the labels that became it.
    """
    from kcx_jax.corpora import choose_reader, read_records
    from kcx_jax.corpora.readers.registry import READERS
    from kcx_jax.schema.ontology import ontology_version

    if reader == "auto":
        reader = choose_reader(path)
        print(f"{path}: read as {reader}", file=sys.stderr)
    if inventory == "default" and reader in READERS:
        inventory = READERS[reader].inventory
    inventory = None if inventory == "none" else inventory
    records = read_records(
        path, reader, language, inventory=inventory, columns=columns, auto=auto, offset_unit=offset_unit
    )
    if inventory is None or reader == "jsonl":  # records on disk have their classes
        return records
    version = ontology_version(inventory)
    print(f"labels by the inventory {inventory}, ontology version {version}", file=sys.stderr)
    return records if labels is None else _noting(records, labels)


def _noting(records: "Iterable[Record]", labels: dict[str, dict[str, None]]) -> "Iterator[Record]":
    """The records; `labels` gathers what the corpus called each class, and each role as ``Event.role``."""
    for record in records:
        meta = record.meta
        called = meta.get("source_labels", {})
        pairs = [(mention.type, called.get(mention.id)) for mention in record.entities or ()]
        links = (link.type for link in record.relations or ())
        pairs += zip(links, meta.get("source_relations", ()), strict=False)
        for event, source in zip(record.events or (), meta.get("source_events", ()), strict=False):
            pairs.append((event.type, source["type"]))
            roles = (f"{event.type}.{argument.role}" for argument in event.arguments)
            pairs += zip(roles, source["roles"], strict=False)
        for name, label in pairs:
            if label is not None:
                labels.setdefault(name, {})[label] = None
        yield record


def _counted(records: "Iterable[Record]", doing: str) -> "Iterator[Record]":
    """The records, with a counter on stderr while they pass."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield from progress.track(records, description=doing, total=None)
