"""The demo's report: one HTML file that shows what a run did, and needs nothing but a browser to be read.

Every string of the results is data that a model or a server may have written: it is escaped, and the page's
policy lets the browser load nothing and run no script but the page's own.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kcx_jax.corpora import Record, highlight
from kcx_jax.corpora.highlight import type_colours
from kcx_jax.demo.corpus import schema
from kcx_jax.demo.reading import LANGUAGE_NAMES
from kcx_jax.demo.report_run import (
    STEP_TITLES,
    export_section,
    parallel_section,
    settings_section,
    training_section,
)
from kcx_jax.demo.settings import UNSEEN
from kcx_jax.evaluation import browser
from kcx_jax.evaluation.browser import Case
from kcx_jax.evaluation.items import compare, items
from kcx_jax.evaluation.plots import grouped_bars
from kcx_jax.evaluation.table import TASK_NAMES, measured
from kcx_jax.page import (
    NOT_MEASURED,
    duration,
    escape,
    figure,
    number,
    percent,
    section,
    table,
    write_page,
)
from kcx_jax.prompts import answer_instances
from kcx_jax.schema import render_answer
from kcx_jax.scoring.errors import HEADLINES

Results = Mapping[str, Any]

NAVIGATION = {
    "scores": "Scores",
    "sentences": "Sentences",
    "parallel": "Parallel data",
    "training": "Training",
    "export": "Export",
    "settings": "How this was made",
}
HONEST = (
    "All figures are of a tiny model on a synthetic corpus. They show that the path works from end to end, "
    "and say nothing about larger models or real text."
)


def write_report(results: Results, path: str | Path, overwrite: bool = False) -> None:
    """Write the page of a run's results (JSON values by step, as `kcx_jax.demo.steps` makes them) to `path`.

    What is absent from the results is shown as not measured. Raises `KcxError` when `path` exists and
    `overwrite` is false, or when a record among the results is damaged.
    """
    answers = results.get("answers") or {}
    cases = _cases(answers)
    colours = type_colours(concept.name for concept in schema().entities)
    navigation = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in NAVIGATION.items())
    sections = (
        _scores_section(answers),
        _sentences_section(answers, cases, colours),
        parallel_section(results.get("parallel") or {}, colours),
        training_section(results),
        export_section(results.get("export") or {}),
        settings_section(results),
    )
    body = f'<nav aria-label="sections"><ul>{navigation}</ul></nav><main>{"".join(sections)}</main>'
    write_page(
        path,
        "kcx demo: report",
        header=_header(results, cases, colours),
        body=f"{body}<footer>{HONEST}</footer>",
        css=highlight.CSS + browser.CSS,
        script=browser.SCRIPT,
        overwrite=overwrite,
    )


def _header(results: Results, cases: Sequence[Case], colours: Mapping[str, int]) -> str:
    parameters = (results.get("base") or {}).get("parameters")
    size = f"{parameters / 1e6:.1f}-million-parameter" if parameters else "small"
    lede = (
        f"A {size} language model learns to write what a sentence says as Python objects. It is tuned in "
        f"English and Chinese, then asked in both and in {LANGUAGE_NAMES[UNSEEN]}, which its tuning never saw."
    )
    tiles = "".join(
        f"<li><span>{name}</span><strong>{value}</strong><span>{note}</span></li>"
        for name, value, note in _key_figures(results)
    )
    return (
        '<p class="eyebrow">kcx demo</p><h1>Information extraction as code, end to end</h1>'
        f'<p class="lede">{lede}</p><p class="hint">{HONEST}</p>{_worked_example(results, cases, colours)}'
        f'<ul class="tiles">{tiles}</ul>'
    )


def _key_figures(results: Results) -> Iterator[tuple[str, str, str]]:
    """Name, figure and explanation of what the page is about."""
    answers = results.get("answers") or {}
    systems = answers.get("systems") or [""]
    best, others = systems[-1], systems[:-1]
    tuned = [language for language in answers.get("languages", ()) if language != UNSEEN]
    shown = " · ".join(percent(_f1(answers, best, language, "ner")) for language in tuned) or NOT_MEASURED
    names = " · ".join(LANGUAGE_NAMES.get(language, language) for language in tuned)
    yield f"Entities: {escape(names)}", shown, f"strict F1 on names never read, {escape(best)}"
    without = percent(_f1(answers, others[-1], UNSEEN, "ner")) if others else NOT_MEASURED
    note = f"never tuned on; {escape(others[-1])} alone: {without}" if others else "never tuned on"
    yield f"Entities: {LANGUAGE_NAMES[UNSEEN]}", percent(_f1(answers, best, UNSEEN, "ner")), note
    missing = [stage.get("missing_per_10k") for stage in (results.get("parallel") or {}).get("stages") or ()]
    change = f"{number(missing[0])} → {number(missing[-1])}" if missing else NOT_MEASURED
    yield "Parallel data", change, "of ten thousand sentences miss a span, after the first stage and the last"
    difference = (results.get("export") or {}).get("max_logit_difference")
    exported = NOT_MEASURED if difference is None else f"{difference:.1e}"
    yield "Export", exported, "largest logit difference when reloaded in transformers"
    seconds = [(results.get(name) or {}).get("seconds") for name in STEP_TITLES]
    whole = duration(sum(s or 0.0 for s in seconds)) if any(seconds) else NOT_MEASURED
    devices = escape(str((results.get("environment") or {}).get("devices", "")))
    yield "Whole run", whole, f"on {devices}" if devices else ""


def _worked_example(results: Results, cases: Sequence[Case], colours: Mapping[str, int]) -> str:
    """One sentence as text and as code: the first of several entities that the last system got right."""
    system = ((results.get("answers") or {}).get("systems") or [""])[-1]
    for case in cases:
        if case.task != "ner" or system not in case.answers:
            continue
        predicted, answer = case.answers[system]
        if len(items(case.gold, "ner")) > 1 and compare(case.gold, predicted, "ner").right:
            text = highlight.highlight(predicted, colours)
            caption = f"A held-out sentence, and what {escape(system)} answered: one that it got right."
            code = f"<pre>{escape(answer)}</pre>"
            return f'<figure class="worked">{text}{code}<figcaption>{caption}</figcaption></figure>'
    return ""


def _f1(answers: Results, system: str, language: str, task: str) -> float | None:
    cell = measured(answers.get("scores", {}), system, language, task)
    return None if cell is None else cell["f1"]


def _scores_section(answers: Results) -> str:
    systems, languages = answers.get("systems") or [], answers.get("languages") or []
    tasks = answers.get("tasks") or []
    intro = (
        "Strict F1: what is counted stands above each plot, and everything given that is not exactly "
        "right counts against a system, also what is not in the text. No name and no sentence asked about occurs "
        "in training. With so few sentences, a few points more or less are chance. An asterisk marks "
        f"{LANGUAGE_NAMES[UNSEEN]}, which tuning never saw."
    )
    if not systems:
        return section("scores", "Scores", intro, f"<p>{NOT_MEASURED}</p>")
    legend = "".join(
        f'<li style="--s:var(--series-{index})">{escape(system)}</li>' for index, system in enumerate(systems)
    )
    plots = []
    for task in tasks:
        values = {
            system: [_percent(_f1(answers, system, la, task)) for la in languages] for system in systems
        }
        name = TASK_NAMES.get(task, task)
        groups = [_language(language) for language in languages]
        svg = grouped_bars(groups, values, f"{name}: strict F1 by language")
        plots.append(figure(svg, f"{escape(name)}, F1 %", escape(HEADLINES[task].definition)))
    return section(
        "scores",
        "Scores",
        intro,
        f'<ul class="legend">{legend}</ul><div class="plots">{"".join(plots)}</div>',
        _score_table(answers, systems, languages, tasks),
    )


def _score_table(
    answers: Results, systems: Sequence[str], languages: Sequence[str], tasks: Sequence[str]
) -> str:
    def rows(task: str) -> Iterator[Sequence[str]]:
        for language in languages:
            cells = [measured(answers.get("scores", {}), system, language, task) for system in systems]
            best = max((cell["f1"] for cell in cells if cell), default=0.0)
            gold = next((number(cell["gold"]) for cell in cells if cell), "nothing")
            head = f"{task.upper()} · {escape(_language(language))}<small>{gold} in gold</small>"
            yield head, *(_figures(cell, best) for cell in cells)

    head = ("task · language", *(f"{escape(system)}" for system in systems))
    caption = '<p class="hint">F1, then precision, recall, and how many items were right of those given.</p>'
    return table(head, map(rows, tasks), "scores of each system", "scores") + caption


def _figures(cell: Mapping[str, Any] | None, best: float) -> str:
    if cell is None:
        return NOT_MEASURED
    counts = f"{number(cell['tp'])} of {number(cell['predicted'])}"
    parts = (f"P {percent(cell['precision'])}", f"R {percent(cell['recall'])}", counts)
    detail = " ".join(f"<span>{part}</span>" for part in parts)
    classes = ' class="best"' if cell["f1"] == best > 0 else ""
    return f"<span{classes}>{percent(cell['f1'])}</span><small>{detail}</small>"


def _language(language: str) -> str:
    return LANGUAGE_NAMES.get(language, language) + "*" * (language == UNSEEN)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _cases(answers: Results) -> list[Case]:
    cases = []
    for entry in answers.get("records") or ():
        where = f"the answer to {entry['id']!r} ({entry['task']})"
        gold = Record.from_json(entry["gold"], f"{where}: gold")
        code = _code(render_answer(answer_instances(gold, schema(), entry["task"])))
        predicted = {
            system: (Record.from_json(given["record"], f"{where}: {system}"), _code(given["answer"]))
            for system, given in entry["predicted"].items()
        }
        cases.append(Case(gold, entry["task"], predicted, gold_answer=code))
    return cases


def _code(answer: str) -> str:
    return f"results = {answer.strip()}"


def _sentences_section(answers: Results, cases: Sequence[Case], colours: Mapping[str, int]) -> str:
    intro = (
        "Held-out sentences with gold and, as code, what each system wrote. Where that differs from gold "
        "the sentence is shown again: a dashed frame and ✗ mark what is wrong, dots and ∅ what is missed. Sentences "
        "with nothing to find come last."
    )
    if not cases:
        return section("sentences", "Sentences", intro, f"<p>{NOT_MEASURED}</p>")
    languages = {language: _language(language) for language in dict.fromkeys(c.gold.language for c in cases)}
    # Where there is nothing to find there is little to see: those sentences come last.
    ordered = sorted(cases, key=lambda case: not items(case.gold, case.task))
    tasks = list(dict.fromkeys(case.task for case in cases))
    cards = browser.Cards(
        answers.get("systems") or [], browser.types_of(cases), colours, languages, tasks=tasks
    )
    return section("sentences", "Sentences", intro, cards.html(map(cards.card, ordered)))
