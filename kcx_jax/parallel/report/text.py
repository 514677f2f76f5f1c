"""The report of a run as Markdown, to be read as it is or to be put into an issue."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kcx_jax.llm import dollars
from kcx_jax.parallel.report.counts import STRATA
from kcx_jax.parallel.report.page import in_words, languages_of, spent_of

Facts = Mapping[str, Any]

_MARKUP = re.compile(r"([\\`*_\[\]<>|~&!#$])")
_LINE_ENDS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")


def as_markdown(report: Facts) -> str:
    """The figures and samples of a report (`kcx_jax.parallel.report.report`)."""
    return "\n".join(_lines(report)) + "\n"


def escape(text: object) -> str:
    """Any text as one line of Markdown that shows it and does nothing else."""
    return _MARKUP.sub(r"\\\1", _LINE_ENDS.sub(" ", str(text)))


def _lines(report: Facts) -> Iterator[str]:
    models = " then ".join(model["model"] for model in report["settings"]["models"])
    yield f"# {escape(languages_of(report))}, {escape(models)}"
    yield ""
    duplicates = f" ({report['duplicates']:,} duplicates, not paid for)" if report["duplicates"] else ""
    yield (
        f"{report['records']:,} records{duplicates}: {report['resolved']:,} pairs, {report['people']:,} for people, "
        f"{report['pending']:,} not at their end. Cost {spent_of(report['cost'])}."
    )
    yield from _table(
        "Stages",
        ("after", "model", "missing per 10,000", "95 %", "resolved here"),
        (
            (in_words(row["stage"]), row["model"], *_share(row["missing"], 10_000), f"{row['resolved']:,}")
            for row in report["stages"]
        ),
    )
    tallies = {
        "all records": report["faithfulness"]["all"],
        "records with a span": report["faithfulness"]["with_spans"],
    }
    yield from _tallies("Faithfulness, over all source records", tallies)
    yield from _table(
        "Rungs of the matching ladder",
        ("rung", "spans", "%", "95 %"),
        ((name, f"{share['count']:,}", *_share(share)) for name, share in report["rungs"].items()),
    )
    yield from _table(
        "The paper's figures",
        ("", "the paper's", "this run"),
        (
            (row["what"], f"{row['paper']:g} {row['unit']}", _ours(row["ours"], row["unit"]))
            for row in report["paper"]
        ),
    )
    for key, title in (("by_type", "Types"), ("by_languages", "Languages"), ("by_length", "Characters")):
        yield from _tallies(title, {group["name"]: group for group in report[key]})
    yield from _rest(report)


def _rest(report: Facts) -> Iterator[str]:
    yield from _table(
        "Cost",
        ("stage", "model", "calls", "tokens in", "tokens out", "known cost", "calls of unknown cost"),
        (
            (
                in_words(row["stage"]),
                row["model"],
                f"{row['calls']:,}",
                *(
                    "unknown" if row[name] is None else f"{row[name]:,}"
                    for name in ("input_tokens", "output_tokens")
                ),
                "unknown" if row["nano_usd"] is None else dollars(row["nano_usd"]),
                f"{row['unknown_cost']:,}",
            )
            for row in report["cost"]["rows"]
        ),
    )
    yield from _table(
        "Failures",
        ("kind", "stage", "model", "times", "example"),
        (
            (row["kind"], in_words(row["stage"]), row["model"], f"{row['count']:,}", _first(row["examples"]))
            for row in report["failures"]
        ),
    )
    yield from _table(
        "Flags",
        ("kind", "pairs", "%", "95 %", "example"),
        (
            (row["kind"], f"{row['pairs']['count']:,}", *_share(row["pairs"]), _first(row["examples"]))
            for row in report["flags"]
        ),
    )
    for name, words in STRATA.items():
        yield from _table(
            f"Samples: {words}",
            ("id", "source", "target"),
            ((sample["id"], sample["source"]["text"], _target(sample)) for sample in report["samples"][name]),
        )


def _first(examples: Sequence[Facts]) -> str:
    return f"{examples[0]['id']}: {examples[0]['detail']}" if examples else ""


def _target(sample: Facts) -> str:
    if sample["target"] is not None:
        return sample["target"]["text"]
    return sample["draft"]["sentence"] if "draft" in sample else ""


def _ours(value: float | None, unit: str) -> str:
    return "not measured" if value is None else f"{value:.2f} {unit}"


def _share(share: Facts, scale: int = 100) -> tuple[str, str]:
    if share["share"] is None:
        return "not measured", ""
    return f"{scale * share['share']:.2f}", f"{scale * share['low']:.2f} to {scale * share['high']:.2f}"


def _tallies(title: str, tallies: Mapping[str, Facts]) -> Iterator[str]:
    return _table(
        title,
        ("", "records", "verbatim, %", "95 %", "resolved, %", "95 %"),
        (
            (name, f"{tally['records']:,}", *_share(tally["verbatim"]), *_share(tally["resolved"]))
            for name, tally in tallies.items()
        ),
    )


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A heading and a table of plain text; nothing where there are no rows."""
    cells = [" | ".join(map(escape, row)) for row in rows]
    if cells:
        yield from ("", f"## {title}", "", f"| {' | '.join(head)} |", "|" + " --- |" * len(head))
        yield from (f"| {row} |" for row in cells)
