"""What tokens cost. Money is in billionths of a dollar (nano-dollars), as whole numbers: sums stay exact.

A price file is YAML: `version`, and under `models` by name `input`, `output` and, where they differ,
`cached_input` (dollars per million tokens, as strings), `batch` (the share asked by the Batch API),
`shutdown` (a date) and `reasoning` (whether the model thinks before it answers, which is billed as output).
"""

import datetime
import functools
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from importlib import resources
from pathlib import Path
from typing import Any

from kcx_jax.errors import UsageError
from kcx_jax.llm.money import NANO
from kcx_jax.llm.reply import Usage

MILLION = 10**6
_KEYS = {"input", "output", "cached_input", "batch", "shutdown", "reasoning"}
# A dated name is that of its model: gpt-4o-2024-08-06.
_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True)
class Price:
    """One row: nano-dollars per million tokens. ``id`` names file version and model."""

    id: str
    input: int
    cached_input: int
    output: int
    batch: Decimal
    shutdown: datetime.date | None
    reasoning: bool

    def cost(self, usage: Usage, batch: bool = False) -> int | None:
        """Nano-dollars for these tokens, rounded half up; None when the endpoint did not say how many."""
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        cached = min(usage.cached_tokens or 0, usage.input_tokens)
        total = (usage.input_tokens - cached) * self.input + cached * self.cached_input
        total += usage.output_tokens * self.output
        share = self.batch if batch else Decimal(1)
        return int((total * share / MILLION + Decimal("0.5")) // 1)


class Prices:
    """The rows of one price file; an unknown model has none, and its cost is unknown, never zero."""

    def __init__(self, rows: dict[str, Price], version: str):
        self.version = version
        self._rows = rows

    def __getitem__(self, model: str) -> Price | None:
        return self._rows.get(model) or self._rows.get(_DATED.sub("", model))


def may_think(model: str) -> bool:
    """Whether a model may think before it answers; so may one that the package's own list does not know.

    Never by a user's prices: what is asked must not change with them.
    """
    price = _shipped()[model]
    return price is None or price.reasoning


@functools.cache
def _shipped() -> Prices:
    return load_prices()


def load_prices(path: str | Path | None = None) -> Prices:
    """The prices in a file, or those that come with the package. Raises `UsageError` naming file and key."""
    import yaml

    if path is None:
        where, text = "prices.yaml", resources.files("kcx_jax.llm").joinpath("prices.yaml").read_text("utf-8")
    else:
        where = str(path)
        try:
            text = Path(path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read the prices {where}: {error}") from error
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{where}: not YAML: {error}") from error
    if not isinstance(value, dict) or not isinstance(value.get("models"), dict) or "version" not in value:
        raise UsageError(f"{where}: must have the keys version and models (model -> prices)")
    version = str(value["version"])
    rows = {
        str(name): _price(f"{where}: {name}", f"{version}/{name}", row)
        for name, row in value["models"].items()
    }
    return Prices(rows, version)


def _price(where: str, name: str, row: Any) -> Price:
    if not isinstance(row, dict) or not {"input", "output"} <= set(row) <= _KEYS:
        raise UsageError(f"{where}: must have input and output, and may have {', '.join(sorted(_KEYS))}")
    shutdown = row.get("shutdown")
    if shutdown is not None and not isinstance(shutdown, datetime.date):
        raise UsageError(f"{where}: shutdown must be a date such as 2027-01-14")
    if not isinstance(row.get("reasoning", False), bool):
        raise UsageError(f"{where}: reasoning must be true or false")
    batch = _decimal(where, "batch", row.get("batch", "1"))
    if batch > 1:
        raise UsageError(f"{where}: batch is the share of the price, from 0 to 1")
    return Price(
        name,
        _nano(where, "input", row["input"]),
        _nano(where, "cached_input", row.get("cached_input", row["input"])),
        _nano(where, "output", row["output"]),
        batch,
        shutdown,
        row.get("reasoning", False),
    )


def _nano(where: str, key: str, value: Any) -> int:
    nano = _decimal(where, key, value) * NANO
    if nano != int(nano):
        raise UsageError(f"{where}: {key} has more than nine decimals")
    return int(nano)


def _decimal(where: str, key: str, value: Any) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite() or not 0 <= number < MILLION:
        raise UsageError(f"{where}: {key} is {value!r}: must be a number of dollars per million tokens")
    return number
