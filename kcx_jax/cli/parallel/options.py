"""Options that the commands of ``kcx parallel`` share: groups that commands take as one object, and single ones."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kcx_jax.cli.endpoint import ApiKeyEnv, BaseUrl, Concurrency, key_from
from kcx_jax.cli.shard import shard_of
from kcx_jax.errors import UsageError

if TYPE_CHECKING:
    from kcx_jax.corpora import Record
    from kcx_jax.llm import BatchSettings, ChatClient, Limits, Prices

RunFolder = Annotated[
    Path, typer.Argument(metavar="DIR", help="The folder of a run, as given to build --run.")
]
OneTarget = Annotated[
    str | None, typer.Option("--target", help="Of a run with several target languages: which one.")
]
Run = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the run; an interrupted one goes on.")]
PriceFile = Annotated[
    Path | None,
    typer.Option("--prices", metavar="FILE", help="Prices (YAML); default: those of the package."),
]
Budget = Annotated[
    str | None, typer.Option(metavar="USD", help="The most the whole run may cost; then exit code 3.")
]
Progress = Annotated[str, typer.Option(help="auto (a bar on a terminal, else lines), lines, or json.")]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Draws the samples.")]
_Limit = Annotated[int | None, typer.Option(min=1, help="Limit of the account.")]

# A model that goes within so many days is worth a word before a long run.
NOTICE = timedelta(days=90)


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """What goes in, and into which languages."""

    input_: Annotated[Path, typer.Argument(metavar="INPUT", help="Annotated records; any corpus format.")]
    source: Annotated[str, typer.Option(help="Language of INPUT (BCP 47), such as en.")]
    target: Annotated[str, typer.Option(help="Language to translate into, such as zh; several: zh,de.")]
    reader: Annotated[str, typer.Option(help="Format of INPUT.")] = "auto"
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Take the I-th of N parts of INPUT (from 0), by content."),
    ] = None

    @property
    def targets(self) -> list[str]:
        """The languages to translate into."""
        return self.target.split(",")

    @property
    def part(self) -> tuple[int, int] | None:
        """Which part of INPUT is taken, of how many; None for all of it. Raises `UsageError` for one that is none."""
        return shard_of(self.shard)

    def records(self) -> "Iterator[Record]":
        """The records of INPUT, or of its part. Raises `UsageError` for a part that is none."""
        from kcx_jax.corpora import read_records
        from kcx_jax.parallel.runs.shards import in_shard

        records = read_records(self.input_, reader=self.reader, language=self.source)
        return iter(records) if self.part is None else in_shard(records, *self.part)


@dataclass(frozen=True, kw_only=True)
class Models:
    """The model that translates, and the one for what it fails at."""

    model: Annotated[str | None, typer.Option(help="Chat model that translates.")] = None
    fallback: Annotated[str | None, typer.Option(help="Model for what the first one fails at.")] = None
    preset: Annotated[
        str | None, typer.Option(help="Both models by name: paper (GPT-4o-mini, GPT-4o) or current.")
    ] = None

    def names(self) -> list[str]:
        """The models of a run, the fallback second if there is one. Raises `UsageError`."""
        from kcx_jax.parallel.runs.presets import preset_named

        if self.preset is not None and self.model is not None:
            raise UsageError("--preset and --model both name the model: give one of them")
        if self.preset is not None:
            first, second = preset_named(self.preset)
            return [first, self.fallback or second]
        if self.model is None:
            raise UsageError("which model? Give --model NAME, or --preset paper|current")
        return [self.model] if self.fallback is None else [self.model, self.fallback]


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast requests may go out."""

    requests_per_minute: _Limit = None
    requests_per_day: _Limit = None
    tokens_per_minute: _Limit = None
    concurrency: Concurrency = 16

    def limits(self) -> "Limits":
        """The limits as the client takes them."""
        from kcx_jax.llm import Limits

        return Limits(
            requests_per_minute=self.requests_per_minute,
            requests_per_day=self.requests_per_day,
            tokens_per_minute=self.tokens_per_minute,
        )


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where requests go, and how."""

    base_url: BaseUrl = None
    api_key_env: ApiKeyEnv = None
    exactly_once: Annotated[
        bool,
        typer.Option(
            "--exactly-once",
            help="Let the endpoint store completions (your data stays there), and look up what a crash lost "
            "before asking again.",
        ),
    ] = False
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds one request may take.")] = 120.0

    def clients(
        self, models: list[str], prices: "Prices", pace: Pace, batch: "BatchSettings | None" = None
    ) -> "tuple[ChatClient, ChatClient | None]":
        """A client for the first model and one for its fallback, if there is one; says which will soon be gone."""
        from kcx_jax.llm import ChatClient

        warn_of_shutdown(models, prices, date.today())
        settings: dict[str, Any] = {
            "concurrency": pace.concurrency,
            "timeout": self.timeout,
            "limits": pace.limits(),
            "exactly_once": self.exactly_once,
            "batch": batch,
        }
        key = key_from(self.api_key_env)
        client, *others = [
            ChatClient(name, self.base_url, key, price=prices[name], **settings) for name in models
        ]
        return client, next(iter(others), None)


@dataclass(frozen=True, kw_only=True)
class Translation:
    """How a run translates: what is not given stays as it would be."""

    variant: Annotated[
        str | None, typer.Option(help="How stage 1 asks: joint (the default), or xml (inline tags).")
    ] = None
    glossary: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settled translations of spans (JSON, YAML or TSV).")
    ] = None
    language_id: Annotated[
        bool | None,
        typer.Option(
            "--language-id/--no-language-id", help="Check the language of each translation (extra langid)."
        ),
    ] = None

    def given(self) -> dict[str, Any]:
        """The options that were given, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


def nano_of(amount: str | None) -> int | None:
    """An amount in dollars, exactly, as billionths of one. Raises `UsageError`."""
    if amount is None:
        return None
    try:
        value = Decimal(amount.removeprefix("$"))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value <= 0 or value >= 10**9:
        raise UsageError(f"--budget is {amount!r}: must be an amount of dollars, such as 12.50")
    return int(value * 10**9)


def warn_of_shutdown(models: list[str], prices: "Prices", today: date) -> None:
    """Say on stderr which of the models will soon be served no more, or is not any longer."""
    for model in models:
        price = prices[model]
        if price is not None and price.shutdown is not None and price.shutdown - today <= NOTICE:
            gone = "was" if price.shutdown <= today else "will be"
            print(f"kcx: {model} {gone} shut down on {price.shutdown:%d %B %Y}", file=sys.stderr)
