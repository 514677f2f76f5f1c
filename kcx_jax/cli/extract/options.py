"""The options of ``kcx extract``, in groups: what to find, who answers, and what is read."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from kcx_jax.cli.constraint import ConstraintOption
from kcx_jax.cli.endpoint import ApiKeyEnv, BaseUrl, Concurrency, key_from
from kcx_jax.cli.ground import Ground, GroundOption
from kcx_jax.cli.labels import AutoOption, print_names
from kcx_jax.cli.shard import shard_of
from kcx_jax.errors import KcxError, UsageError

if TYPE_CHECKING:
    from kcx_jax.corpora import Record
    from kcx_jax.extraction import Extractor
    from kcx_jax.extraction.inputs import Item
    from kcx_jax.schema import Schema, Task

WINDOW = 1000


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What is to be found, and how texts are read for it."""

    schema: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What to find: .py (never run), .yaml or .json.")
    ] = None
    labels: Annotated[
        str | None, typer.Option(metavar="A,B", help="Or plain entity labels, such as person,city.")
    ] = None
    auto: AutoOption = False
    tasks: Annotated[
        str | None, typer.Option(metavar="A,B", help="Of ner, re, ed, eae; default: what the schema has.")
    ] = None
    ground: GroundOption = Ground.STRICT
    window: Annotated[
        int, typer.Option(min=0, help="Longer texts are read in windows of so many characters; 0: whole.")
    ] = WINDOW
    overlap: Annotated[
        int | None, typer.Option(min=0, help="Characters that windows share; default: a fifth of --window.")
    ] = None

    def loaded(self) -> "Schema":
        """The schema. Raises `UsageError` for none, or for one that cannot be read."""
        from kcx_jax.schema import load_schema

        if (self.schema is None) == (self.labels is None):
            raise UsageError("say what to find: either --schema FILE or --labels person,city")
        source = self.schema if self.schema is not None else _words(cast(str, self.labels), "--labels")
        schema = load_schema(source, auto=self.auto)
        if self.auto:
            print_names(schema)
        return schema

    def reading(self, schema: "Schema") -> dict[str, Any]:
        """The arguments of `Extractor.extract` beside texts and schema. Raises `UsageError` for what cannot be."""
        from kcx_jax.extraction.reading import Reader
        from kcx_jax.extraction.windows import Window

        given: dict[str, Any] = {
            "tasks": None if self.tasks is None else cast("list[Task]", _words(self.tasks, "--tasks")),
            "ground": self.ground.value,
            "window": self.window or None,
            "overlap": self.overlap,
        }
        Reader(schema, given["tasks"], given["ground"], Window.of(given["window"], given["overlap"]))
        return given


def _words(text: str, option: str) -> list[str]:
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise UsageError(f"{option} {text!r}: names with commas between them, such as person,city")
    return words


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Who answers."""

    model: Annotated[
        str | None, typer.Option(metavar="DIR|ORG/NAME", help="A checkpoint folder or Hub id.")
    ] = None
    adapter: Annotated[
        list[str] | None,
        typer.Option(metavar="DIR", help="A LoRA adapter for --model; several make a chain."),
    ] = None
    chat_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="A model behind an OpenAI-compatible endpoint.")
    ] = None
    base_url: BaseUrl = None
    api_key_env: ApiKeyEnv = None
    dtype: Annotated[
        str | None, typer.Option(help="float32 or bfloat16 for --model; default: the checkpoint's.")
    ] = None
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, help="Where answers are cut off; default: 256 for --model.")
    ] = None
    context_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Tokens that a request to --chat-model and its reply may have together."),
    ] = None
    constraint: ConstraintOption = None
    concurrency: Concurrency = 8

    def settings(self) -> dict[str, Any]:
        """What of this decides an answer, as JSON values."""
        kept = {**vars(self), "adapter": self.adapter or None}
        kept["constraint"] = None if self.constraint is None else self.constraint.value
        return {name: kept[name] for name in kept if name not in ("api_key_env", "concurrency")}

    def extractor(self) -> "Extractor":
        """The extractor, with its model loaded. Raises `UsageError` for options that do not go together."""
        from rich.console import Console
        from rich.markup import escape

        from kcx_jax.extraction import Extractor

        key, limit = key_from(self.api_key_env), self.max_new_tokens
        if (self.model is None) == (self.chat_model is None):
            raise UsageError("say which model answers: either --model DIR or --chat-model NAME")
        if self.chat_model is not None:
            self._refuse(("adapter", "dtype", "constraint"), "--model", "--chat-model")
            return Extractor.from_openai(
                self.chat_model,
                self.base_url,
                key,
                max_new_tokens=limit,
                context_tokens=self.context_tokens,
                concurrency=self.concurrency,
            )
        self._refuse(("base_url", "context_tokens"), "--chat-model", "--model")
        model = cast(str, self.model)
        given = {"max_new_tokens": limit, "constraint": self.settings()["constraint"]}
        options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        with Console(stderr=True).status(f"Loading {escape(model)}"):
            return Extractor.from_pretrained(model, self.adapter or None, self.dtype, **options)

    def _refuse(self, names: tuple[str, ...], with_: str, not_with: str) -> None:
        for name in names:
            if getattr(self, name) not in (None, []):
                raise UsageError(f"--{name.replace('_', '-')} goes with {with_}, not with {not_with}")


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is read."""

    texts: Annotated[list[str] | None, typer.Argument(metavar="TEXT", help="Texts to read.")] = None
    input_: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="IN",
            help="JSON Lines with a text each, a text a line, or Parquet with a column text; - is stdin.",
        ),
    ] = None
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out lines that cannot be read, and count them.")
    ] = False
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Read every N-th text only, from the I-th on (from 0)."),
    ] = None

    def records(self, skipped: "list[KcxError]") -> "Iterator[Record]":
        """The texts, or those of the shard; with --skip-bad the errors of the others are put into `skipped`.

        Raises `UsageError` for nothing to read, and `KcxError` naming file and line for a bad one.
        """
        if self.texts and self.input_ is not None:
            raise UsageError("give texts on the command line or --input, not both")
        part, parts = shard_of(self.shard) or (0, 1)
        return islice(self._good(self._items(), skipped), part, None, parts)

    def _items(self) -> "Iterator[Item]":
        from kcx_jax.corpora import Record
        from kcx_jax.extraction.inputs import read_input, read_stdin

        if self.texts:
            return (Record(str(number), "und", text) for number, text in enumerate(self.texts))
        if self.input_ is None and sys.stdin.isatty():
            raise UsageError("nothing to read: give a text, --input FILE, or text on stdin")
        return read_stdin() if self.input_ is None or str(self.input_) == "-" else read_input(self.input_)

    def _good(self, items: "Iterator[Item]", skipped: "list[KcxError]") -> "Iterator[Record]":
        for item in items:
            if not isinstance(item, KcxError):
                yield item
            elif self.skip_bad:
                skipped.append(item)
            else:
                raise KcxError(f"{item}. Mend it, or leave such lines out with --skip-bad.")
