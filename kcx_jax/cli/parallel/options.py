"""Options that the commands of ``kcx parallel`` share, and what they mean together."""

import sys
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kcx_jax.errors import UsageError

if TYPE_CHECKING:
    from kcx_jax.llm import Limits, Prices

Input = Annotated[Path, typer.Argument(metavar="INPUT", help="Annotated records; any corpus format.")]
Source = Annotated[str, typer.Option(help="Language of INPUT (BCP 47), such as en.")]
Target = Annotated[str, typer.Option(help="Language to translate into, such as zh; several: zh,de.")]
RunFolder = Annotated[
    Path, typer.Argument(metavar="DIR", help="The folder of a run, as given to build --run.")
]
Model = Annotated[str | None, typer.Option(help="Chat model that translates.")]
Fallback = Annotated[str | None, typer.Option(help="Model for what the first one fails at.")]
Preset = Annotated[
    str | None, typer.Option(help="Both models by name: paper (GPT-4o-mini, GPT-4o) or current.")
]
PriceFile = Annotated[
    Path | None,
    typer.Option("--prices", metavar="FILE", help="Prices (YAML); default: those of the package."),
]
Reader = Annotated[str, typer.Option(help="Format of INPUT.")]
Rpm = Annotated[int | None, typer.Option("--requests-per-minute", min=1, help="Limit of the account.")]
Rpd = Annotated[int | None, typer.Option("--requests-per-day", min=1, help="Limit of the account.")]
Tpm = Annotated[int | None, typer.Option("--tokens-per-minute", min=1, help="Limit of the account.")]
Shard = Annotated[
    str | None, typer.Option(metavar="I/N", help="Take the I-th of N parts of INPUT (from 0), by content.")
]

Run = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the run; an interrupted one goes on.")]
Budget = Annotated[
    str | None, typer.Option(metavar="USD", help="The most the whole run may cost; then exit code 3.")
]
ExactlyOnce = Annotated[
    bool,
    typer.Option(
        "--exactly-once",
        help="Let the endpoint store completions (your data stays there), and look up what a crash lost "
        "before asking again.",
    ),
]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds one request may take.")]
Progress = Annotated[str, typer.Option(help="auto (a bar on a terminal, else lines), lines, or json.")]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Draws the samples.")]

# A model that goes within so many days is worth a word before a long run.
NOTICE = timedelta(days=90)


def chosen_models(preset: str | None, model: str | None, fallback: str | None) -> list[str]:
    """The models of a run, the fallback second if there is one."""
    from kcx_jax.parallel.runs.presets import preset_named

    if preset is not None and model is not None:
        raise UsageError("--preset and --model both name the model: give one of them")
    if preset is not None:
        first, second = preset_named(preset)
        return [first, fallback or second]
    if model is None:
        raise UsageError("which model? Give --model NAME, or --preset paper|current")
    return [model] if fallback is None else [model, fallback]


def limits_of(rpm: int | None, rpd: int | None, tpm: int | None) -> "Limits":
    """The limits as the client takes them."""
    from kcx_jax.llm import Limits

    return Limits(requests_per_minute=rpm, requests_per_day=rpd, tokens_per_minute=tpm)


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


def shard_of(shard: str | None) -> tuple[int, int] | None:
    """``2/8`` as (2, 8). Raises `UsageError`."""
    if shard is None:
        return None
    part, _, parts = shard.partition("/")
    if not (part.isascii() and part.isdigit() and parts.isascii() and parts.isdigit()) or int(part) >= int(
        parts
    ):
        raise UsageError(f"--shard is {shard!r}: must be I/N with I from 0 to N - 1, such as 0/8")
    return int(part), int(parts)


def warn_of_shutdown(models: list[str], prices: "Prices", today: date) -> None:
    """Say on stderr which of the models will soon be served no more, or is not any longer."""
    for model in models:
        price = prices[model]
        if price is not None and price.shutdown is not None and price.shutdown - today <= NOTICE:
            gone = "was" if price.shutdown <= today else "will be"
            print(f"kcx: {model} {gone} shut down on {price.shutdown:%d %B %Y}", file=sys.stderr)
