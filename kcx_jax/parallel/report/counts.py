"""What a run came to, for people: counted over all its records in one pass, whatever their number.

Faithfulness is a share of *all* source records, before people corrected anything. By the paper's definition
(``verbatim``) a record is faithful when every span that the model gave stands in the target sentence as it
is; ``resolved`` asks that every span has offsets there, by whatever rung of the ladder. A record that is
unresolved or has not come to its end is neither; a duplicate is what its original is. A record without a span
is both as soon as it has a translation: figures without such records stand beside.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kcx_jax.corpora import ParallelRecord, Record
from kcx_jax.parallel.report.drawing import Drawing
from kcx_jax.parallel.report.shares import Share
from kcx_jax.parallel.runs.run import Run
from kcx_jax.parallel.runs.statistics import Statistics, is_verbatim
from kcx_jax.parallel.translation.outcomes import Outcome, Problem
from kcx_jax.parallel.translation.prompts import REWRITE_SENTENCE, REWRITE_SPANS, STAGES
from kcx_jax.parallel.translation.spans import places_of, source_spans

# How a record came to its end: the last of these that holds for it.
STRATA = {
    "bare": "without a span",
    "verbatim": "every span verbatim, at once",
    "looser": "resolved at once by a looser rung",
    "spans": "repaired by span rewriting",
    "sentence": "repaired by sentence rewriting",
    "fallback": "by the fallback model",
    "people": "for people",
}
SHOWN, EXAMPLES = 6, 3  # of each stratum, and of each kind of failure
# Sentences by their characters: below each of these, and above the last.
LENGTHS = (25, 50, 100, 200, 400)

# What the paper reports: figure, unit, and the languages it was measured on.
PAPER = (
    ("left for people, WikiNEuRal (82 of 92,720)", 8.84, "per 10,000", ("en", "zh")),
    ("left for people, CLUENER2020 (15 of 10,000)", 15.0, "per 10,000", ("zh", "en")),
    ("faithfulness, mean over ten languages of WikiANN", 99.0, "%", None),
)


@dataclass
class Tally:
    """Of `records`, how many are resolved, and how many verbatim too."""

    records: int = 0
    resolved: int = 0
    verbatim: int = 0

    def add(self, outcome: Outcome | None) -> None:
        """Count one record."""
        self.records += 1
        if outcome is not None and outcome.pair is not None:
            self.resolved += 1
            self.verbatim += is_verbatim(outcome.pair)

    def to_json(self) -> dict[str, Any]:
        """As JSON values, both shares with their intervals."""
        return {
            "records": self.records,
            "verbatim": Share(self.verbatim, self.records).to_json(),
            "resolved": Share(self.resolved, self.records).to_json(),
        }


def length_bin(text: str) -> str:
    """The bin of a sentence: "25-49"."""
    low = 0
    for high in LENGTHS:
        if len(text) < high:
            return f"{low}-{high - 1}"
        low = high
    return f"{low}+"


def types_of(record: Record) -> set[str]:
    """The types of its entities and events."""
    return {mention.type for mention in record.entities or ()} | {event.type for event in record.events or ()}


def report(
    run: Run, seed: int = 0, shown: int = SHOWN, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Everything about `run` as JSON values; `seed` draws `shown` samples of each stratum.

    Also of a run that is not done. `progress` is told now and then how many records are read, and of how many."""
    total = sum(run.counts().values())
    counted = _Counted(Statistics(run.models(), total, run.duplicates()), seed, shown)
    for number, (record, target, outcome) in enumerate(run.all(), 1):
        counted.add(record, target, outcome)
        if progress is not None and number % 1_000 == 0:
            progress(number, total)
    return {
        "run": str(run.folder),
        "settings": run.config,
        "seed": seed,
        **counted.to_json(),
        "cost": _cost(run),
        "paper": _paper(run.config, counted),
    }


class _Counted:
    """What is counted, record by record."""

    def __init__(self, statistics: Statistics, seed: int, shown: int):
        self.statistics, self._seed = statistics, seed
        self.all, self.with_spans = Tally(), Tally()
        self.groups: dict[str, dict[str, Tally]] = {
            name: defaultdict(Tally) for name in ("type", "languages", "length")
        }
        self.failures: dict[tuple[str, str, str], int] = defaultdict(int)
        self.examples: dict[tuple[str, str, str], Drawing[dict[str, str]]] = {}
        self.flagged: dict[str, Drawing[dict[str, str]]] = {}
        self.samples = {name: Drawing[Outcome](shown, seed) for name in STRATA}

    def add(self, record: Record, target: str, outcome: Outcome | None) -> None:
        """Count one record."""
        self.all.add(outcome)
        if source_spans(record):
            self.with_spans.add(outcome)
        for type_ in types_of(record):
            self.groups["type"][type_].add(outcome)
        self.groups["languages"][f"{record.language} → {target}"].add(outcome)
        self.groups["length"][length_bin(record.text)].add(outcome)
        if outcome is None:
            return
        self.statistics.add(outcome)
        name = f"{target}\n{record.id}"
        if outcome.duplicate_of is None:
            for number, problem in enumerate(outcome.problems):
                self._add_failure(f"{name}\n{number}", record.id, target, problem)
        if outcome.pair is not None:
            self._add_flags(name, outcome.pair)
        if not outcome.unanswered:
            self.samples[_stratum(outcome)].offer(name, outcome)

    def _add_failure(self, name: str, id_: str, target: str, problem: Problem) -> None:
        kind = (problem.model, problem.stage, problem.kind)
        self.failures[kind] += 1
        drawing = self.examples.setdefault(kind, Drawing(EXAMPLES, self._seed))
        drawing.offer(name, {"id": id_, "target": target, "detail": problem.detail})

    def _add_flags(self, name: str, pair: ParallelRecord) -> None:
        for kind, what in pair.provenance.get("flags", {}).items():
            drawing = self.flagged.setdefault(kind, Drawing(EXAMPLES, self._seed))
            detail = ", ".join(what) if kind == "lost_numbers" else "; ".join(_in_both(pair, what))
            drawing.offer(name, {"id": pair.id, "target": pair.target.language, "detail": detail})

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        statistics = self.statistics
        spans = sum(statistics.rungs.values())
        return {
            "records": self.all.records,
            "duplicates": statistics.duplicates,
            "resolved": statistics.resolved,
            "people": statistics.unresolved,
            "pending": self.all.records - statistics.finished,
            "stages": list(self._stages()),
            "faithfulness": {"all": self.all.to_json(), "with_spans": self.with_spans.to_json()},
            "rungs": {name: Share(n, spans).to_json() for name, n in statistics.rungs.most_common()},
            "by_type": self._grouped("type"),
            "by_languages": self._grouped("languages"),
            "by_length": self._grouped("length"),
            "failures": [
                {
                    **dict(zip(("model", "stage", "kind"), kind, strict=True)),
                    "count": count,
                    "examples": list(self.examples[kind]),
                }
                for kind, count in sorted(self.failures.items(), key=lambda item: (-item[1], item[0]))
            ],
            "flags": [
                {
                    "kind": kind,
                    "pairs": Share(count, statistics.resolved).to_json(),
                    "examples": list(self.flagged[kind]),
                }
                for kind, count in sorted(statistics.flags.items(), key=lambda item: (-item[1], item[0]))
            ],
            "samples": {name: list(map(_sample, drawing)) for name, drawing in self.samples.items()},
        }

    def _stages(self) -> Iterator[dict[str, Any]]:
        left = self.all.records
        for row in self.statistics.funnel():
            left -= row["resolved"]
            yield {**row, "missing": Share(left, self.all.records).to_json()}

    def _grouped(self, name: str) -> list[dict[str, Any]]:
        tallies = self.groups[name]
        order = sorted(tallies, key=lambda key: (-tallies[key].records, key))
        if name == "length":
            order = [bin_ for bin_ in map(length_bin, _one_of_each_length()) if bin_ in tallies]
        return [{"name": key, **tallies[key].to_json()} for key in order]


def _one_of_each_length() -> Iterator[str]:
    return (" " * length for length in (0, *LENGTHS))


def _stratum(outcome: Outcome) -> str:
    if outcome.pair is None:
        return "people"
    if outcome.round > 0:
        return "fallback"
    if not outcome.pair.provenance["rungs"]:
        return "bare"
    later = {REWRITE_SPANS: "spans", REWRITE_SENTENCE: "sentence"}
    return later.get(outcome.stage) or ("verbatim" if is_verbatim(outcome.pair) else "looser")


def _in_both(pair: ParallelRecord, names: Iterable[str]) -> Iterator[str]:
    """Spans of the source, by their names in requests, with what stands for them in the target."""
    places = places_of(pair.source, pair.target)
    spans = {span.id: span for span in source_spans(pair.source)}
    for name in names:
        start, end = places[spans[name].start, spans[name].end]
        yield f"{spans[name].text} → {pair.target.text[start:end]}"


def _sample(outcome: Outcome) -> dict[str, Any]:
    pair, draft = outcome.pair, outcome.draft
    sample: dict[str, Any] = {
        "id": outcome.record.id,
        "target_language": outcome.target,
        "source": outcome.record.to_json(),
        "target": pair and pair.target.to_json(),
        "provenance": pair and pair.provenance,
        "problems": [asdict(problem) for problem in outcome.problems],
    }
    if draft is not None:
        sample["draft"] = {
            "sentence": draft.sentence,
            "spans": [
                {"source": span.text, "text": text, "stands": text in draft.sentence}
                for span in source_spans(outcome.record)
                if (text := draft.texts.get(span.id)) is not None
            ],
        }
    return sample


def _cost(run: Run) -> dict[str, Any]:
    """The bill by model and stage. Money is in nano-dollars; what nobody knows is counted, never 0."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for part in run.ledger.summary():
        key = part["model"], part["stage"]
        names = ("calls", "input_tokens", "output_tokens", "unpriced", "unknown_cost", "nano_usd")
        row = rows.setdefault(key, {"model": key[0], "stage": key[1], **dict.fromkeys(names)})
        for name in names:
            if part[name] is not None:
                row[name] = (row[name] or 0) + part[name]
    spent = run.ledger.spent()
    order = {name: place for place, name in enumerate((*run.models(), *STAGES))}
    last = len(order)
    listed = sorted(
        rows.values(), key=lambda row: (order.get(row["model"], last), order.get(row["stage"], last))
    )
    return {
        "known": spent.known,
        "possible": spent.possible,
        "unknown": spent.unpriced,
        "rows": listed,
    }


def _paper(config: Mapping[str, Any], counted: _Counted) -> list[dict[str, Any]]:
    """The paper's figures, each with the same figure of this run where the languages are the same."""
    left = Share(counted.all.records - counted.all.resolved, counted.all.records).value
    verbatim = Share(counted.with_spans.verbatim, counted.with_spans.records).value
    rows = []
    for what, figure, unit, languages in PAPER:
        if languages is not None and (config["source"], config["targets"]) != (languages[0], [languages[1]]):
            continue
        ours, scale = (verbatim, 100) if languages is None else (left, 10_000)
        rows.append(
            {"what": what, "unit": unit, "paper": figure, "ours": None if ours is None else scale * ours}
        )
    return rows
