"""What a build will ask, take and cost, before anything is sent.

Three estimates: *low*, every record resolves in stage 1; *expected*, a share of the records goes on to each
further stage; *high*, every record goes through every stage of every model, each refused once, with replies
as long as they may be. The shares are those of an earlier run (a preview, say), or `SHARES`, which are ours.
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kcx_jax.corpora import Record
from kcx_jax.llm import Limits, Price, Prices, Usage
from kcx_jax.llm.prices import may_think
from kcx_jax.parallel.runs.duplicates import Originals
from kcx_jax.parallel.runs.statistics import Statistics
from kcx_jax.parallel.translation import prompts
from kcx_jax.parallel.translation.languages import check_tag
from kcx_jax.parallel.translation.lengths import BYTES_PER_TOKEN, expected_reply, longest_reply
from kcx_jax.parallel.translation.pipeline import TRIES
from kcx_jax.parallel.translation.prompts import REWRITE_SENTENCE, REWRITE_SPANS, STAGES, TRANSLATE
from kcx_jax.parallel.translation.spans import source_spans

# Of all records, those that reach a stage: assumed where no run says it.
SHARES = {
    (0, TRANSLATE): 1.0, (0, REWRITE_SPANS): 0.10, (0, REWRITE_SENTENCE): 0.05,
    (1, TRANSLATE): 0.02, (1, REWRITE_SPANS): 0.01, (1, REWRITE_SENTENCE): 0.005,
}  # fmt: skip
# Seconds a reply takes, where only the number of requests under way limits the pace.
LATENCY = 2.0


@dataclass
class Estimate:
    """Calls and tokens, and their cost in nano-dollars (None: a model has no price)."""

    calls: float = 0.0
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    nano_usd: int | None = 0

    def add(self, share: float, input_tokens: float, output_tokens: float, price: Price | None) -> None:
        """Add a call of so many tokens that happens for a `share` of the records."""
        self.calls += share
        self.input_tokens += share * input_tokens
        self.output_tokens += share * output_tokens
        usage = Usage(round(share * input_tokens), round(share * output_tokens))
        cost = None if price is None else price.cost(usage)
        self.nano_usd = None if cost is None or self.nano_usd is None else self.nano_usd + cost

    def seconds(self, limits: Limits, concurrency: int) -> float:
        """How long it takes within the limits, each reply taking `LATENCY`."""
        tokens = self.input_tokens + self.output_tokens
        waits = [self.calls * LATENCY / concurrency]
        for amount, limit, period in (
            (self.calls, limits.requests_per_minute, 60),
            (self.calls, limits.requests_per_day, 86_400),
            (tokens, limits.tokens_per_minute, 60),
        ):
            if limit is not None:
                waits.append(amount / limit * period)
        return max(waits)


@dataclass(frozen=True)
class Plan:
    """`estimates`: "low", "expected" and "high", over `records` records of `spans` spans, `duplicates` of which are
    not paid for."""

    records: int
    duplicates: int
    spans: int
    estimates: Mapping[str, Estimate]
    shutdowns: Mapping[str, datetime.date]


def plan(
    records: Iterable[Record],
    targets: Sequence[str],
    models: Sequence[str],
    prices: Prices,
    like: Statistics | None = None,
) -> Plan:
    """The plan for `records` into each of `targets`, with the rates of the run `like` if one is given.

    Raises `UsageError` for a target that is no language tag, and whatever reading `records` does.
    """
    for target in targets:
        check_tag(target)
    shares = SHARES if like is None else _shares_of(like)
    estimates = {"low": Estimate(), "expected": Estimate(), "high": Estimate()}
    rows = duplicates = spans = 0
    with Originals() as originals:
        for record in records:
            rows += len(targets)
            spans += len(targets) * len(source_spans(record))
            if originals.of(record) is not None:
                duplicates += len(targets)
                continue
            for target in targets:
                _add_record(record, target, models, prices, shares, estimates)
    shutdowns = {model: price.shutdown for model in models if (price := prices[model]) and price.shutdown}
    return Plan(rows, duplicates, spans, estimates, shutdowns)


def _add_record(
    record: Record,
    target: str,
    models: Sequence[str],
    prices: Prices,
    shares: Mapping[tuple[int, str], float],
    estimates: Mapping[str, Estimate],
) -> None:
    data = prompts.translate_data(record, target, source_spans(record))
    asked = _tokens(data)
    for index, model in enumerate(models):
        for stage in STAGES:
            # The later stages carry the translation too.
            sent = asked if stage == TRANSLATE else 1.5 * asked
            reply, longest = expected_reply(data), longest_reply(data, may_think(model))
            price = prices[model]
            if (index, stage) == (0, TRANSLATE):
                estimates["low"].add(1.0, sent, reply, price)
            estimates["expected"].add(shares.get((index, stage), 0.0), sent, reply, price)
            estimates["high"].add(float(TRIES), sent, longest, price)


def _tokens(data: Mapping[str, Any]) -> float:
    text = "".join(message["content"] for message in prompts.messages(data))
    return len(text.encode("utf-8", "replace")) / BYTES_PER_TOKEN


def _shares_of(run: Statistics) -> dict[tuple[int, str], float]:
    left, shares = float(max(run.finished, 1)), {}
    for index in range(len(run.models)):
        for stage in STAGES:
            shares[index, stage] = left / max(run.finished, 1)
            left -= run.resolved_at[index, stage]
    return shares
