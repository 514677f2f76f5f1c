"""A browser of answered sentences: gold above the systems' answers, what differs marked, with filters.

The cards are plain HTML, so a page shows (and prints) the first of them without the script; `SCRIPT` turns
pages and filters. `CSS` and `kcx_jax.corpora.highlight.CSS` draw them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kcx_jax.corpora import Record
from kcx_jax.corpora.highlight import facts, highlight
from kcx_jax.evaluation.items import Comparison, Item, compare
from kcx_jax.page import escape
from kcx_jax.schema import Task

PAGE = 4  # cards at a time

CSS = """
.filters { display: flex; flex-wrap: wrap; gap: .6rem .8rem; align-items: end; margin: 1rem 0 }
.filters[hidden], .pager[hidden], .case[hidden] { display: none }
.filters label { display: grid; gap: .2rem; font-size: .78rem; color: var(--muted) }
.filters select, .filters input, .pager button {
  font: inherit; font-size: .9rem; color: var(--ink); background: var(--card); min-height: 2.3rem;
  border: 1px solid var(--line); border-radius: .45rem; padding: .38rem .55rem;
}
.filters input { inline-size: 11rem }
.pager {
  display: flex; gap: .8rem; align-items: center; justify-content: center; margin: 1rem 0; font-size: .9rem;
}
.pager button { cursor: pointer; padding-inline: .9rem }
.pager button:disabled { opacity: .4; cursor: default }
.case { background: var(--card); border: 1px solid var(--line); border-radius: .7rem; margin: .8rem 0 }
.case > header {
  display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; padding: .5rem 1rem;
  border-bottom: 1px solid var(--line); font-size: .8rem; color: var(--muted);
}
.chip { border: 1px solid var(--line); border-radius: 1rem; padding: .05rem .6rem; color: var(--ink) }
.answered {
  display: grid; grid-template-columns: 8.5rem minmax(0, 1fr); gap: .2rem 1rem; padding: .55rem 1rem;
}
.answered + .answered { border-top: 1px solid var(--line) }
.answered h4 { margin: .45rem 0 0; font-size: .85rem; font-weight: 600; line-height: 1.35 }
.verdict { display: block; font-weight: 400; font-size: .8rem; color: var(--muted) }
.verdict.wrong { color: var(--bad) }
.notes { margin: .3rem 0 0; font-size: .82rem; color: var(--muted); overflow-wrap: anywhere }
.notes small { font-weight: 600 }
.answer {
  margin: .35rem 0 .1rem; font: .8rem/1.55 var(--mono, monospace); color: var(--muted);
  white-space: pre-wrap; overflow-wrap: anywhere; direction: ltr; text-align: left;
}
@media (max-width: 40rem) {
  .answered { grid-template-columns: 1fr }
  .answered h4 { margin: 0 }
  .verdict { display: inline; margin-inline-start: .5rem }
  .filters label { flex: 1 1 8rem }
  .filters input { inline-size: auto }
}
@media print { .filters, .pager { display: none } .case { break-inside: avoid } }
"""

SCRIPT = """
"use strict";
for (const browser of document.querySelectorAll(".browser")) {
  const cases = [...browser.querySelectorAll(".case")];
  const filters = browser.querySelector(".filters");
  const pager = browser.querySelector(".pager");
  const [before, after] = pager.querySelectorAll("button");
  const status = pager.querySelector("output");
  const size = Number(browser.dataset.page);
  let first = 0;
  const fits = (card) => [...filters.elements].every((field) => {
    const value = field.value.trim().toLowerCase();
    if (!value) return true;
    if (field.type === "search") return card.textContent.toLowerCase().includes(value);
    if (field.name.startsWith("system"))
      return (card.dataset.right.split(" ").includes(field.name.slice(6)) ? "right" : "wrong") === value;
    return card.dataset[field.name] === field.value;
  });
  const show = () => {
    const found = cases.filter(fits);
    const shown = new Set(found.slice(first, first + size));
    for (const card of cases) card.hidden = !shown.has(card);
    before.disabled = first === 0;
    after.disabled = first + size >= found.length;
    status.textContent = found.length
      ? `${first + 1}–${first + shown.size} of ${found.length}` : "no sentence like that";
  };
  const turn = (pages) => {
    first += pages * size;
    show();
    browser.scrollIntoView();
    if (document.activeElement.disabled || document.activeElement === document.body)
      (pages > 0 ? before : after).focus({ preventScroll: true });  // the keyboard's place is not lost
  };
  filters.addEventListener("input", () => { first = 0; show(); });
  filters.addEventListener("submit", (event) => event.preventDefault());
  before.addEventListener("click", () => turn(-1));
  after.addEventListener("click", () => turn(1));
  filters.hidden = pager.hidden = false;
  show();
}
"""


@dataclass(frozen=True)
class Case:
    """A sentence asked for one task: what is right, and what each system answered (record and code)."""

    gold: Record
    gold_answer: str
    task: Task
    answers: Mapping[str, tuple[Record, str]]


def browser(
    cases: Iterable[Case], systems: Sequence[str], languages: Mapping[str, str], colours: Mapping[str, int]
) -> str:
    """The cards of `cases` in the order given, with filters by language, task, verdict and text.

    `languages` names the languages of the cases by their tags; `colours` are those of `highlight`. Raises
    `KcxError` where a prediction does not belong to its gold record (`kcx_jax.scoring.score`).
    """
    cases = list(cases)
    tasks = list(dict.fromkeys(case.task for case in cases))
    cards = [
        _card(case, systems, languages, colours, hidden=place >= PAGE) for place, case in enumerate(cases)
    ]
    choices = [
        _select("language", "language", languages),
        _select("task", "task", {task: task.upper() for task in tasks}),
        *(
            _select(f"system{i}", name, {"right": "right", "wrong": "wrong"})
            for i, name in enumerate(systems)
        ),
    ]
    search = '<label>text<input type="search" name="text" autocomplete="off"></label>'
    return (
        f'<div class="browser" data-page="{PAGE}">'
        f'<form class="filters" aria-label="filter the sentences" hidden>{"".join(choices)}{search}</form>'
        f'{"".join(cards)}<div class="pager" hidden><button type="button">‹ previous</button>'
        '<output aria-live="polite"></output><button type="button">next ›</button></div></div>'
    )


def _select(name: str, label: str, options: Mapping[str, str]) -> str:
    listed = "".join(
        f'<option value="{escape(key)}">{escape(text)}</option>' for key, text in options.items()
    )
    return (
        f'<label>{escape(label)}<select name="{name}"><option value="">any</option>{listed}</select></label>'
    )


def _card(
    case: Case, systems: Sequence[str], languages: Mapping[str, str], colours: Mapping[str, int], hidden: bool
) -> str:
    gold, task = case.gold, case.task
    compared = {name: compare(gold, case.answers[name][0], task) for name in systems if name in case.answers}
    shown = next(iter(compared.values())).gold if compared else gold
    rows = [_row("gold", highlight(shown, colours) + facts(shown) + _code(case.gold_answer))]
    for name in systems:
        if name not in compared:
            rows.append(_row(f'{escape(name)}<span class="verdict">not asked</span>', ""))
            continue
        result = compared[name]
        verdict = "right" if result.right else "wrong"
        mark = f'<span class="verdict {verdict}">{"✓" if result.right else "✗"} {verdict}</span>'
        rows.append(_row(escape(name) + mark, _prediction(result, colours) + _code(case.answers[name][1])))
    right = " ".join(str(i) for i, name in enumerate(systems) if name in compared and compared[name].right)
    chips = "".join(
        f'<span class="chip">{chip}</span>'
        for chip in (escape(languages.get(gold.language, gold.language)), task.upper())
    )
    return (
        f'<article class="case" data-language="{escape(gold.language)}" data-task="{task}" '
        f'data-right="{right}"{" hidden" if hidden else ""}>'
        f"<header>{chips}<span>{escape(gold.id)}</span></header>{''.join(rows)}</article>"
    )


def _row(head: str, body: str) -> str:
    return f'<div class="answered"><h4>{head}</h4><div>{body}</div></div>'


def _prediction(result: Comparison, colours: Mapping[str, int]) -> str:
    """What differs from gold; nothing where all is the same, so that differences are what meets the eye."""
    if result.right and (result.predicted.entities, result.predicted.relations, result.predicted.events) == (
        result.gold.entities,
        result.gold.relations,
        result.gold.events,
    ):
        return ""
    wrong = {item.ref for item in result.wrong}
    notes = [f"missed: {', '.join(map(_item, result.missed))}"] if result.missed else []
    notes += [escape(line) for line in result.lost]
    below = "".join(f'<p class="notes">{note}</p>' for note in notes)
    return highlight(result.predicted, colours, wrong) + facts(result.predicted, wrong) + below


def _item(item: Item) -> str:
    return f"<bdi>{escape(item.text)}</bdi> <small>{escape(item.label)}</small>"


def _code(answer: str) -> str:
    return f'<pre class="answer">results = {escape(answer.strip())}</pre>'
