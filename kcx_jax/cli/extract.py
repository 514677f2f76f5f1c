"""``kcx extract``: entities, relations and events out of text."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from kcx_jax.cli.constraint import ConstraintOption
from kcx_jax.cli.endpoint import ApiKeyEnv, BaseUrl, Concurrency, key_from
from kcx_jax.cli.ground import Ground, GroundOption
from kcx_jax.cli.labels import AutoOption, print_names, unspoken_labels
from kcx_jax.errors import UsageError

if TYPE_CHECKING:
    from kcx_jax.corpora import Record
    from kcx_jax.extraction import Extractor, Result
    from kcx_jax.extraction.resume import ResumableOutput
    from kcx_jax.schema import Schema, Task

_PROBLEMS_SHOWN = 5  # the others are counted; all of them stand in the records


Texts = Annotated[list[str] | None, typer.Argument(metavar="TEXT", help="Texts to read.")]
Model = Annotated[str | None, typer.Option(metavar="DIR|ORG/NAME", help="A checkpoint folder or Hub id.")]
Adapter = Annotated[
    list[str] | None,
    typer.Option(metavar="DIR", help="A LoRA adapter for --model; several make a chain."),
]
ChatModel = Annotated[
    str | None, typer.Option(metavar="NAME", help="A model behind an OpenAI-compatible endpoint.")
]
SchemaFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="What to find: .py (never run), .yaml or .json.")
]
Labels = Annotated[
    str | None, typer.Option(metavar="A,B", help="Or plain entity labels, such as person,city.")
]
Tasks = Annotated[
    str | None, typer.Option(metavar="A,B", help="Of ner, re, ed, eae; default: what the schema has.")
]
Input = Annotated[
    Path | None,
    typer.Option("--input", metavar="IN", help="JSON Lines with a text each, or a text a line; - is stdin."),
]
Output = Annotated[
    Path | None, typer.Option(metavar="OUT.jsonl", help="Write records here; a stopped run goes on.")
]
Show = Annotated[bool, typer.Option("--show", help="Print the texts with coloured spans.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace OUT.jsonl.")]
Dtype = Annotated[
    str | None, typer.Option(help="float32 or bfloat16 for --model; default: the checkpoint's.")
]
MaxNewTokens = Annotated[
    int | None, typer.Option(min=1, help="Where answers are cut off; default: 256 for --model.")
]


def command(
    texts: Texts = None,
    model: Model = None,
    adapter: Adapter = None,
    chat_model: ChatModel = None,
    base_url: BaseUrl = None,
    api_key_env: ApiKeyEnv = None,
    schema: SchemaFile = None,
    labels: Labels = None,
    auto: AutoOption = False,
    tasks: Tasks = None,
    ground: GroundOption = Ground.STRICT,
    input_: Input = None,
    output: Output = None,
    show: Show = False,
    overwrite: Overwrite = False,
    dtype: Dtype = None,
    max_new_tokens: MaxNewTokens = None,
    constraint: ConstraintOption = None,
    concurrency: Concurrency = 8,
) -> None:
    """Find entities, relations and events in texts, with offsets, and print them as JSON Lines.

    Example: kcx extract "Ada Lovelace was born in London." --labels person,city
    --chat-model M --base-url http://127.0.0.1:8000/v1
    """
    from kcx_jax.schema import render_schema

    if texts and input_ is not None:
        raise UsageError("give texts on the command line or --input, not both")
    loaded = _schema(schema, labels, auto)
    wanted = None if tasks is None else cast("list[Task]", _words(tasks, "--tasks"))
    settings = {
        "model": model,
        "adapter": adapter or None,
        "chat_model": chat_model,
        "base_url": base_url,
        "dtype": dtype,
        "max_new_tokens": max_new_tokens,
        "constraint": None if constraint is None else constraint.value,
        "schema": render_schema(loaded),
        "tasks": wanted,
        "ground": ground.value,
    }
    records = _records(texts or [], input_)
    report = _Report(on_screen=show or (output is None and sys.stdout.isatty()))
    # What is wrong with the call or its files shows before a model is loaded.
    with _destination(output, settings, overwrite, silent=show) as destination:
        pending = destination.remaining(records)
        extractor = _extractor(settings, key_from(api_key_env), concurrency)
        for result in report.counted(extractor.extract(pending, loaded, wanted, ground.value)):
            destination.write(_row(result))
            if show:
                _show(result)
        destination.finish()
    report.print(output, destination.done)


def _schema(path: Path | None, labels: str | None, auto: bool) -> "Schema":
    from kcx_jax.schema import load_schema

    if (path is None) == (labels is None):
        raise UsageError("say what to find: either --schema FILE or --labels person,city")
    loaded = load_schema(path if path is not None else _words(cast(str, labels), "--labels"), auto=auto)
    if auto:
        print_names(loaded)
    return loaded


def _words(text: str, option: str) -> list[str]:
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise UsageError(f"{option} {text!r}: names with commas between them, such as person,city")
    return words


def _extractor(settings: dict[str, Any], api_key: str | None, concurrency: int) -> "Extractor":
    from rich.console import Console
    from rich.markup import escape

    from kcx_jax.extraction import Extractor

    model, chat_model = settings["model"], settings["chat_model"]
    if (model is None) == (chat_model is None):
        raise UsageError("say which model answers: either --model DIR or --chat-model NAME")
    limit = settings["max_new_tokens"]
    if chat_model is not None:
        for option in ("adapter", "dtype", "constraint"):
            if settings[option] is not None:
                raise UsageError(f"--{option} goes with --model, not with --chat-model")
        return Extractor.from_openai(
            chat_model, settings["base_url"], api_key, max_new_tokens=limit, concurrency=concurrency
        )
    if settings["base_url"] is not None:
        raise UsageError("--base-url goes with --chat-model, not with --model")
    given = {"max_new_tokens": limit, "constraint": settings["constraint"]}
    options = {name: value for name, value in given.items() if value is not None}
    with Console(stderr=True).status(f"Loading {escape(model)}"):
        return Extractor.from_pretrained(model, settings["adapter"], settings["dtype"], **options)


def _records(texts: Sequence[str], path: Path | None) -> "Iterator[Record]":
    from kcx_jax.corpora import Record
    from kcx_jax.corpora.lines import read_lines
    from kcx_jax.extraction.inputs import read_texts

    if texts:
        return (Record(str(number), "und", text) for number, text in enumerate(texts))
    if path is None and sys.stdin.isatty():
        raise UsageError("nothing to read: give a text, --input FILE, or text on stdin")
    if path is None or str(path) == "-":
        path = Path("/dev/stdin")
    return read_texts(read_lines(path), str(path))


def _row(result: "Result") -> dict[str, Any]:
    """A record with the code of its answers in its meta, and there the labels of classes that are called otherwise."""
    row = result.record.to_json()
    row["meta"] = {**result.record.meta, "answers": result.answers}
    if labels := unspoken_labels(result.schema):
        row["meta"]["labels"] = labels
    return row


def _show(result: "Result") -> None:
    from rich.console import Console

    from kcx_jax.cli.spans import render

    Console(highlight=False).print(render(result), soft_wrap=True)


def _destination(
    output: Path | None, settings: dict[str, Any], overwrite: bool, silent: bool
) -> "ResumableOutput | _Stdout":
    from kcx_jax.extraction.resume import ResumableOutput

    return _Stdout(silent) if output is None else ResumableOutput(output, settings, overwrite)


class _Stdout:
    """Rows on stdout, or nowhere, with the face of `ResumableOutput`."""

    done = 0

    def __init__(self, silent: bool):
        self.silent = silent

    def __enter__(self) -> "_Stdout":
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def remaining(self, records: "Iterator[Record]") -> "Iterator[Record]":
        return records

    def write(self, row: dict[str, Any]) -> None:
        from kcx_jax.corpora.jsonl import json_line

        if not self.silent:
            sys.stdout.buffer.write(json_line(row))
            sys.stdout.buffer.flush()

    def finish(self) -> None:
        pass


class _Report:
    """Progress while it runs, and what came of it, on stderr."""

    def __init__(self, on_screen: bool):
        self.on_screen = on_screen  # results pass by on the terminal: no progress line between them
        self.counts = {"texts": 0, "entities": 0, "relations": 0, "events": 0, "problems": 0}

    def counted(self, results: "Iterable[Result]") -> "Iterator[Result]":
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        console = Console(stderr=True, highlight=False)
        columns = SpinnerColumn(), TextColumn("{task.completed} texts"), TimeElapsedColumn()
        visible = console.is_terminal and not self.on_screen
        with Progress(*columns, console=console, transient=True, disable=not visible) as progress:
            line = progress.add_task("", total=None)
            for result in results:
                self._count(result)
                yield result
                progress.advance(line)

    def _count(self, result: "Result") -> None:
        from kcx_jax.cli.spans import shown

        self.counts["texts"] += 1
        for kind in ("entities", "relations", "events"):
            self.counts[kind] += len(getattr(result, kind))
        for problem in result.problems:
            self.counts["problems"] += 1
            if self.counts["problems"] <= _PROBLEMS_SHOWN:
                line = f"text {result.record.id}, {problem.task}: {problem.kind}: {problem.detail}"
                print(shown(line), file=sys.stderr)

    def print(self, output: Path | None, earlier: int) -> None:
        """One line with the counts; `earlier` texts were done by a run before."""
        counts = ", ".join(f"{number} {kind}" for kind, number in self.counts.items())
        before = f" ({earlier} texts were done before)" if earlier else ""
        place = f" in {output}" if output else ""
        print(f"{counts}{place}{before}", file=sys.stderr)
