"""The report of a run as one HTML file: figures first, then records to look at.

Every string of it may be a model's or a stranger's: all are escaped, and the page loads nothing and runs
nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kcx_jax.corpora import Record
from kcx_jax.corpora.highlight import CSS, direction, facts, highlight, type_colours
from kcx_jax.llm import Spent, dollars
from kcx_jax.page import NOT_MEASURED, bar, escape, number, pairs, section, table, write_page
from kcx_jax.parallel.report.counts import STRATA

Facts = Mapping[str, Any]

NAVIGATION = {
    "stages": "Stages",
    "faithfulness": "Faithfulness",
    "groups": "Types and lengths",
    "cost": "Cost",
    "failures": "Failures",
    "flags": "Flags",
    "samples": "Samples",
    "settings": "Settings",
}
# Rows of a table of types; a corpus may have thousands, which the JSON has all.
MOST_ROWS = 40
# How the pipeline's stages are called in words.
STAGE_WORDS = {
    "translate": "joint translation",
    "rewrite_spans": "span rewriting",
    "rewrite_sentence": "sentence rewriting",
}
UNKNOWN = '<span class="not">unknown</span>'

OWN_CSS = """
.tiles { grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)) }
#failures th:last-child, #flags th:last-child { text-align: start }
.pair .side > small { color: var(--muted) }
.draft { list-style: none; margin: .3rem 0 0; padding: 0; font-size: .88rem; overflow-wrap: anywhere }
.draft .wrong { color: var(--bad) }
.problems { grid-column: 1 / -1; margin: 0; padding-inline-start: 1.1rem; font-size: .82rem; color: var(--muted) }
.problems li, .examples { overflow-wrap: anywhere; white-space: normal }
.examples { text-align: start; min-inline-size: 14rem }
"""


def write_report_page(report: Facts, path: str | Path, overwrite: bool = False) -> None:
    """Write the page of a report (`kcx_jax.parallel.report.report`) to `path`.

    Raises `KcxError` when `path` exists and `overwrite` is false.
    """
    colours = type_colours(group["name"] for group in report["by_type"])
    sections = (
        _stages(report),
        _faithfulness(report),
        _groups(report),
        _cost(report["cost"]),
        _failures(report["failures"]),
        _flags(report["flags"]),
        _samples(report["samples"], colours),
        section("settings", "Settings", "What decided the replies.", pairs(_settings(report))),
    )
    links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in NAVIGATION.items())
    write_page(
        path,
        f"kcx parallel: report of {Path(report['run']).name}",
        header=_header(report),
        body=f'<nav aria-label="sections"><ul>{links}</ul></nav><main>{"".join(sections)}</main>',
        css=CSS + OWN_CSS,
        overwrite=overwrite,
    )


def languages_of(report: Facts) -> str:
    """The languages of the run, in words."""
    settings = report["settings"]
    return f"{settings['source']} → {', '.join(settings['targets'])}"


def spent_of(cost: Facts) -> Spent:
    """The bill of a report."""
    return Spent(cost["known"], cost["possible"], cost["unknown"])


def in_words(stage: str) -> str:
    """A stage's name for people."""
    return STAGE_WORDS.get(stage, stage.replace("_", " ") or "not said")


def _header(report: Facts) -> str:
    faithful = report["faithfulness"]["with_spans"]
    missing = report["stages"][-1]["missing"]
    tiles = (
        ("Records", number(report["records"]), _records(report)),
        ("Missing per 10,000", _share(missing, 10_000, 2), "after all stages and models"),
        ("Faithful, verbatim", _share(faithful["verbatim"]), "% of the records with a span"),
        ("Faithful, resolved", _share(faithful["resolved"]), "% of the records with a span"),
        ("For people", number(report["people"]), f"{number(report['pending'])} not at their end yet"),
        ("Cost", dollars(report["cost"]["known"]), _unknown_cost(report["cost"])),
    )
    listed = "".join(
        f"<li><span>{name}</span><strong>{value}</strong><span>{note}</span></li>"
        for name, value, note in tiles
    )
    models = " then ".join(model["model"] for model in report["settings"]["models"])
    return (
        '<p class="eyebrow">kcx parallel report</p>'
        f"<h1>{escape(languages_of(report))}</h1>"
        f'<p class="lede">{escape(models)} <span class="muted">· {escape(report["run"])}</span></p>'
        f'<ul class="tiles">{listed}</ul>'
    )


def _records(report: Facts) -> str:
    more = f", {number(report['duplicates'])} duplicates, not paid for" if report["duplicates"] else ""
    return f"{number(report['resolved'])} became pairs{more}"


def _unknown_cost(cost: Facts) -> str:
    if not cost["unknown"]:
        return "of all calls"
    at_most = f", at most {dollars(cost['possible'])}" if cost["possible"] else ""
    return f"and {number(cost['unknown'])} calls of unknown cost{at_most}"


def _share(share: Facts, scale: int = 100, digits: int = 2) -> str:
    return NOT_MEASURED if share["share"] is None else number(scale * share["share"], digits)


def _with_interval(share: Facts, scale: int = 100, digits: int = 2) -> str:
    if share["share"] is None:
        return NOT_MEASURED
    low, high = (number(scale * share[end], digits) for end in ("low", "high"))
    return f"{_share(share, scale, digits)}<small>{low} – {high}</small>"


def _stages(report: Facts) -> str:
    rows = [("records going in", bar(1.0), number(10_000), number(report["records"]), "")]
    for row in report["stages"]:
        missing = row["missing"]
        rows.append(
            (
                f"after {escape(in_words(row['stage']))}<small>{escape(row['model'])}</small>",
                bar(missing["share"] or 0.0),
                _with_interval(missing, 10_000),
                number(missing["count"]),
                number(row["resolved"]),
            )
        )
    head = ("", "still missing a span", "per 10,000", "records", "resolved here")
    intro = (
        "Of all records, those of which some span has no place in the translation yet, by stage and model. "
        "Records that did not come to their end count as missing. Below each figure: its 95 % interval "
        "(Wilson)."
    )
    return section("stages", "Stages", intro, table(head, [rows], "the pipeline, stage by stage", "bars"))


def _faithfulness(report: Facts) -> str:
    names = {"all": "all records", "with_spans": "records with a span"}
    rows = [
        (
            words,
            number(tally["records"]),
            _with_interval(tally["verbatim"]),
            _with_interval(tally["resolved"]),
        )
        for name, words in names.items()
        for tally in [report["faithfulness"][name]]
    ]
    rungs = [
        (
            escape(name.replace("_", " ")),
            bar(share["share"]),
            _with_interval(share),
            number(share["count"]),
        )
        for name, share in report["rungs"].items()
    ]
    intro = (
        "Over all source records, before people corrected anything; a record that is unresolved or not at its "
        "end is unfaithful, and a duplicate is what its original is. Verbatim is the paper's definition: every span "
        "the model gave stands in the sentence as it is. Resolved: every span has its offsets there, by whatever rung "
        "of the ladder. A record without a span cannot fail, so both figures are given without such records too."
    )
    return section(
        "faithfulness",
        "Faithfulness",
        intro,
        table(("", "records", "verbatim, %", "resolved, %"), [rows], "faithfulness"),
        "<h3>Rungs of the matching ladder <small>spans of the pairs</small></h3>",
        table(("", "share", "%", "spans"), [rungs], "rungs of the matching ladder", "bars"),
        *_paper(report["paper"]),
    )


def _paper(rows: Sequence[Facts]) -> Iterator[str]:
    yield "<h3>The paper's figures <small>arXiv 2411.04794</small></h3>"
    cells = [
        (
            escape(row["what"]),
            f"{row['paper']:g} {row['unit']}",
            NOT_MEASURED if row["ours"] is None else f"{row['ours']:.2f} {row['unit']}",
        )
        for row in rows
    ]
    yield table(("", "the paper's", "this run"), [cells], "the paper's figures beside this run's")
    yield (
        '<p class="muted">The paper\'s are of its own corpora, models and prompts. The two compare only where this '
        "run has the same corpus.</p>"
    )


def _groups(report: Facts) -> str:
    parts = []
    for key, title in (("by_type", "Type"), ("by_languages", "Languages"), ("by_length", "Characters")):
        groups = report[key]
        rows = [
            (
                escape(group["name"]),
                number(group["records"]),
                _with_interval(group["verbatim"]),
                _with_interval(group["resolved"]),
            )
            for group in groups[:MOST_ROWS]
        ]
        more = len(groups) - len(rows)
        parts.append(f"<h3>{title}{f' <small>{more} more in the JSON</small>' if more else ''}</h3>")
        parts.append(table(("", "records", "verbatim, %", "resolved, %"), [rows], title))
    intro = "Faithfulness of the records that hold the type, of each pair of languages, and by length."
    return section("groups", "Types, languages, lengths", intro, *parts)


def _cost(cost: Facts) -> str:
    rows = [
        (
            f"{escape(in_words(row['stage']))}<small>{escape(row['model'])}</small>",
            number(row["calls"]),
            *(
                UNKNOWN if row[name] is None else number(row[name])
                for name in ("input_tokens", "output_tokens")
            ),
            UNKNOWN if row["nano_usd"] is None else dollars(row["nano_usd"]),
            number(row["unknown_cost"]),
        )
        for row in cost["rows"]
    ]
    head = ("", "calls", "tokens in", "tokens out", "known cost", "calls of unknown cost")
    intro = f"Every attempt counts, also those of no use. {escape(str(spent_of(cost)))}."
    return section("cost", "Cost", intro, table(head, [rows], "cost by model and stage"))


def _failures(failures: Sequence[Facts]) -> str:
    intro = (
        "Why replies, or whole stages, were of no use; most of these records were mended afterwards. With some "
        "examples, drawn at random."
    )
    if not failures:
        return section("failures", "Failures", intro, "<p>None.</p>")
    rows = [
        (
            f"{escape(row['kind'].replace('_', ' '))}<small>{_place(row)}</small>",
            number(row["count"]),
            _examples(row),
        )
        for row in failures
    ]
    return section("failures", "Failures", intro, table(("", "times", "examples"), [rows], "failures"))


def _flags(flags: Sequence[Facts]) -> str:
    intro = (
        "What is odd about pairs that were taken, and may be right. Lost numbers: of one or two digits, which are "
        "often spelled out. Other script: a span without a letter of the target's script. Inside, apart: a span "
        "stands within another one, or outside the one it was in, otherwise than in the source. With some examples, "
        "drawn at random."
    )
    if not flags:
        return section("flags", "Flags", intro, "<p>None.</p>")
    rows = [
        (
            escape(row["kind"].replace("_", " ")),
            number(row["pairs"]["count"]),
            _with_interval(row["pairs"]),
            _examples(row),
        )
        for row in flags
    ]
    return section(
        "flags", "Flags", intro, table(("", "pairs", "% of the pairs", "examples"), [rows], "flags")
    )


def _examples(row: Facts) -> str:
    return f'<div class="examples">{"".join(map(_example, row["examples"]))}</div>'


def _place(problem: Facts) -> str:
    return escape(f"{in_words(problem['stage'])}, {problem['model']}")


def _example(example: Facts) -> str:
    return f"<div><bdi>{escape(example['id'])}</bdi>: <bdi>{escape(example['detail'])}</bdi></div>"


def _samples(samples: Facts, colours: Mapping[str, int]) -> str:
    parts = []
    for name, words in STRATA.items():
        parts.append(f"<h3>{words}</h3>")
        parts += [pair_card(sample, colours) for sample in samples[name]] or ["<p>None.</p>"]
    intro = "Drawn at random, the same for the same seed."
    return section("samples", "Samples", intro, *parts)


def pair_card(sample: Facts, colours: Mapping[str, int]) -> str:
    """A record and what became of it, side by side."""
    source = Record.from_json(sample["source"], f"sample {sample['id']!r}")
    if sample["target"] is not None:
        target = _side(Record.from_json(sample["target"], f"sample {sample['id']!r}"), colours)
    else:
        target = _draft(sample.get("draft"), sample["target_language"])
    problems = "".join(
        f"<li>{_place(problem)}: <bdi>{escape(problem['detail'])}</bdi></li>"
        for problem in sample["problems"]
    )
    listed = f'<ul class="problems">{problems}</ul>' if problems else ""
    return (
        f'<article class="card pair"><p><bdi>{escape(sample["id"])}</bdi> · {_origin(sample["provenance"])}</p>'
        f"{_side(source, colours)}{target}{listed}</article>"
    )


def _origin(provenance: Facts | None) -> str:
    if provenance is None:
        return "for people"
    rungs = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in provenance["rungs"].items())
    flags = ", ".join(name.replace("_", " ") for name in provenance.get("flags", ()))
    return _place(provenance) + escape("".join(f" · {told}" for told in (rungs, flags) if told))


def _side(record: Record, colours: Mapping[str, int]) -> str:
    return (
        f'<div class="side"><small>{escape(record.language)}</small>'
        f"{highlight(record, colours)}{facts(record)}</div>"
    )


def _draft(draft: Facts | None, language: str) -> str:
    head = f'<div class="side"><small>{escape(language)}, last draft</small>'
    if draft is None:
        return f'{head}<p class="not">none</p></div>'
    text = draft["sentence"]
    sentence = f'<p class="sentence" lang="{escape(language)}" dir="{direction(text)}">{escape(text)}</p>'
    return f'{head}{sentence}<ul class="draft">{"".join(_draft_spans(draft["spans"]))}</ul></div>'


def _draft_spans(spans: Iterable[Facts]) -> Iterator[str]:
    for span in spans:
        sign, name = ("✓", "right") if span["stands"] else ("✗ not in it:", "wrong")
        yield (
            f'<li class="{name}">{sign} <bdi>{escape(span["source"])}</bdi> → <bdi>{escape(span["text"])}</bdi></li>'
        )


def _settings(report: Facts) -> dict[str, Any]:
    settings = dict(report["settings"])
    models = settings.pop("models")
    named = {f"model {number}": model for number, model in enumerate(models, 1)}
    return {**settings, **named, "seed of the samples": report["seed"]}
