"""The report's sections about the run itself: parallel data, training, export, settings and time."""

from collections.abc import Iterator, Mapping
from typing import Any

from kcx_jax.corpora import Record
from kcx_jax.corpora.highlight import facts, highlight
from kcx_jax.evaluation.plots import loss_curves
from kcx_jax.page import (
    NOT_MEASURED,
    bar,
    duration,
    escape,
    figure,
    number,
    pairs,
    percent,
    section,
    table,
)

Results = Mapping[str, Any]

STEP_TITLES = {
    "base": "Base model",
    "parallel": "Parallel data",
    "align": "Stage 1: alignment",
    "extract": "Stage 2: extraction, both runs",
    "answers": "Answers and scores",
    "export": "Export",
}
# How the pipeline's stages are called in words, by the beginning of their names.
_STAGE_WORDS = {
    "translate": "joint translation",
    "rewrite spans": "span rewriting",
    "rewrite sentence": "sentence rewriting",
}
_EXAMPLES = 12


def parallel_section(parallel: Results, colours: Mapping[str, int]) -> str:
    """The funnel of the pipeline, what went wrong on purpose, and some of the pairs it made."""
    intro = (
        "A language model translates a sentence together with its spans; where a span is not in the "
        "translation, the spans are rewritten, and then the sentence. Here the model is a scripted server on "
        "this machine that knows the right translations and makes mistakes on purpose, so the figures show "
        "the repair at work, not how well any language model translates."
    )
    return section(
        "parallel", "Parallel data", intro, _funnel(parallel), _faults(parallel), _examples(parallel, colours)
    )


def _funnel(parallel: Results) -> str:
    records, stages = parallel.get("records"), parallel.get("stages") or []
    if not stages:
        return f"<p>{NOT_MEASURED}</p>"
    rows = [("records going in", bar(1.0), number(10_000), number(records), "")]
    for stage in stages:
        missing = stage.get("missing_per_10k")
        share = None if missing is None else missing / 10_000
        left = None if share is None or records is None else records * share
        cells = (bar(share or 0.0), number(missing), number(left), percent(stage.get("faithful")))
        words, _, model = _stage(stage["name"]).partition(" (")
        by = f"<small>{escape(model.removesuffix(')'))}</small>" if model else ""
        rows.append((f"after {escape(words)}{by}", *cells))
    rows.append(("left unresolved, for people", "", "", number(parallel.get("unresolved")), ""))
    head = ("", "still missing a span", "per 10,000", "records", "faithful, %")
    return table(head, [rows], "the pipeline, stage by stage", "bars")


def _stage(name: str) -> str:
    name = name.replace("_", " ")
    for start, words in _STAGE_WORDS.items():
        if name.startswith(start):
            return words + name.removeprefix(start)
    return name


def _faults(parallel: Results) -> str:
    faults = parallel.get("faults")
    if faults is None:
        return ""
    counted = sorted(faults.items(), key=lambda item: -item[1])
    listed = "".join(
        f"<li>{escape(name.replace('_', ' '))} <b>{number(count)}</b></li>" for name, count in counted
    )
    requests = number(parallel.get("requests"))
    heading = f"<h3>Mistakes made on purpose <small>{requests} requests</small></h3>"
    return f'{heading}<ul class="faults">{listed}</ul>'


def _examples(parallel: Results, colours: Mapping[str, int]) -> str:
    examples = parallel.get("examples") or []
    if not examples:
        return ""
    shown = []
    for example in examples[:_EXAMPLES]:
        sides = [Record.from_json(example[side], f"the example's {side}") for side in ("source", "target")]
        halves = "".join(f"<div>{highlight(side, colours)}{facts(side)}</div>" for side in sides)
        stage = escape(_stage(str(example.get("stage", ""))))
        shown.append(f'<div class="card pair"><p>resolved by {stage}</p>{halves}</div>')
    heading = f"Pairs <small>{len(shown)} of {len(examples)} examples</small>"
    return f"<h3>{heading}</h3>{''.join(shown)}"


def training_section(results: Results) -> str:
    """The loss of every training run, with its steps and what tree packing saved."""
    base, align = results.get("base") or {}, results.get("align") or {}
    runs = (results.get("extract") or {}).get("runs") or {}
    figures = [
        _curve("Base model", {"base model": base.get("curve")}, 0, _base_note(base)),
        _curve("Stage 1: alignment", {"stage 1": align.get("curve")}, 3, _run_note(align)),
        _curve(
            "Stage 2: extraction",
            {name: run.get("curve") for name, run in runs.items()},
            1,
            "<br>".join(f"{escape(name)}: {_run_note(run)}" for name, run in runs.items()),
        ),
    ]
    intro = (
        "Loss on the answer's tokens. Sentences that share a schema are packed behind one copy of it: the "
        "share of tokens that this saved stands with each run."
    )
    return section("training", "Training", intro, f'<div class="plots three">{"".join(figures)}</div>')


def _curve(title: str, curves: Mapping[str, Any], first_series: int, note: str) -> str:
    known = {name: curve for name, curve in curves.items() if curve}
    picture = loss_curves(known, f"{title}: loss over steps", first_series) if known else NOT_MEASURED
    return figure(picture, title, note)


def _base_note(base: Results) -> str:
    known = []
    if "parameters" in base:
        known.append(f"{base['parameters'] / 1e6:.1f} million parameters")
    if "vocab_size" in base:
        known.append(f"{number(base['vocab_size'])} pieces")
    if "source" in base:
        known.append({"shipped": "shipped with the package"}.get(base["source"], escape(base["source"])))
    return " · ".join(known)


def _run_note(run: Results) -> str:
    known = []
    if run.get("steps") is not None:
        known.append(f"{number(run['steps'])} steps")
    if run.get("samples") is not None:
        known.append(f"{number(run['samples'])} samples")
    if run.get("saving") is not None:
        known.append(f"{percent(run['saving'])} % of tokens saved")
    return " · ".join(known)


def export_section(export: Results) -> str:
    """Where the exported files lie, and how close the reloaded model is."""
    difference = export.get("max_logit_difference")
    if difference is None:
        found = f"{NOT_MEASURED}: this needs torch, transformers and peft"
    else:
        found = f"{difference:.1e}"
    values = {"PEFT adapter": export.get("peft"), "Merged, Llama layout": export.get("llama")}
    intro = "The tuned model as files that other libraries read: an adapter, and a merged checkpoint."
    logits = f"<p>Largest logit difference after reloading in transformers: <strong>{found}</strong></p>"
    return section("export", "Export", intro, logits, pairs(values))


def settings_section(results: Results) -> str:
    """Settings, versions and time: what it takes to make this page again."""
    times = {title: (results.get(name) or {}).get("seconds") for name, title in STEP_TITLES.items()}
    intro = "The same settings and versions on the same machine give the same scores."
    return section(
        "settings",
        "How this was made",
        intro,
        "<h3>Time</h3>",
        table(("", "share", "time"), [_time_rows(times)], "time of each step", "bars"),
        "<h3>Settings</h3>",
        pairs(results.get("settings") or {}),
        "<h3>Versions and machine</h3>",
        pairs(results.get("environment") or {}),
    )


def _time_rows(times: Mapping[str, float | None]) -> Iterator[tuple[str, str, str]]:
    total = sum(seconds or 0.0 for seconds in times.values())
    for title, seconds in times.items():
        yield title, bar((seconds or 0.0) / total if total else 0.0), duration(seconds)
    yield "<strong>all</strong>", "", f"<strong>{duration(total or None)}</strong>"
