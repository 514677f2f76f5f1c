"""The page of a results folder: one file that needs nothing but a browser, of at most `MOST_BYTES`.

Every string of the results is data that a model, a server or a corpus may have written: it is escaped, and the page's
policy lets the browser load nothing and run no script but the page's own.
"""

from importlib import resources
from pathlib import Path

from kcx_jax.corpora import highlight
from kcx_jax.corpora.highlight import type_colours
from kcx_jax.evaluation import browser
from kcx_jax.evaluation.runs.report.curves import training_runs
from kcx_jax.evaluation.runs.report.loaded import LoadedRun
from kcx_jax.evaluation.runs.report.pooled import pooled
from kcx_jax.evaluation.runs.report.sections import (
    benchmarks_section,
    errors_section,
    header,
    heat_section,
    leaderboard_section,
    made_section,
    training_section,
)
from kcx_jax.evaluation.runs.report.selection import Entry, chosen
from kcx_jax.evaluation.runs.report.sentences import FILE, Sentences
from kcx_jax.evaluation.runs.report.standings import best_first, standings
from kcx_jax.files import atomic_write
from kcx_jax.page import number, page_html, section

PAGE = "report.html"
MOST_BYTES = 20_000_000

NAVIGATION = {
    "leaderboard": "Leaderboard",
    "benchmarks": "Benchmarks",
    "languages": "Languages",
    "types": "Types",
    "errors": "Errors",
    "sentences": "Sentences",
    "training": "Training",
    "made": "How this was made",
}
_DIGITS = 200  # bytes that the numbers of embedded sentences may add


def write_run_page(run: LoadedRun, sentences: Sentences, most_bytes: int = MOST_BYTES) -> Path:
    """Write the page of a run into its folder, in the place of what is there, and give its path.

    It holds as many sentences as make it at most `most_bytes` of UTF-8. Raises `KcxError` for damaged records.
    """
    ranking = standings(run)
    order = best_first(run, ranking)
    sections = (
        leaderboard_section(ranking, [row["mode"] for row in run.rows]),
        benchmarks_section(run, order),
        heat_section("languages", pooled(run, "per_language"), order),
        heat_section("types", pooled(run, "per_type"), order),
        errors_section(run, sentences.counts),
    )
    after = training_section(training_runs(run.config)) + made_section(run)
    cards = browser.Cards(
        run.systems,
        [name for name, _ in sorted(sentences.types.items())],
        type_colours(name for name, _ in sentences.entity_types.most_common()),
        {tag: tag for tag, _ in sentences.languages.most_common()},
        tasks=list(dict.fromkeys(entry.group[1] for entry in sentences.entries)),
        sources=list(dict.fromkeys(entry.group[0] for entry in sentences.entries)),
    )

    def page(shown: list[str]) -> str:
        middle = _sentences_section(cards.html(shown), len(shown), len(sentences.entries))
        return _page(run, header(run, ranking), "".join(sections) + middle + after)

    room = most_bytes - len(page([]).encode("utf-8")) - _DIGITS
    text = page(_embedded(sentences, cards, room))
    path = run.results.root / PAGE
    with atomic_write(path, overwrite=True) as handle:
        handle.write(text)
    return path


def _embedded(sentences: Sentences, cards: browser.Cards, room: int) -> list[str]:
    """The cards that have room, those with errors first."""

    def made(entry: Entry) -> str:
        return cards.card(sentences.case(entry))

    found = chosen(sentences.entries, room, made)
    return [card for _, card in sorted(found, key=lambda each: not each[0].wrong)]


def _sentences_section(cards: str, shown: int, there: int) -> str:
    share = (
        f"all {number(there)}"
        if shown == there
        else f"{number(shown)} of {number(there)}, so that every kind of error and every benchmark has its share; the "
        f"others are in <code>{FILE}</code> beside this page"
    )
    intro = (
        f"Gold above what each system answered: {share}. Where an answer differs from gold, the sentence is shown "
        "again: a dashed frame and ✗ mark what is wrong, dots and ∅ what is missed. Right and wrong are strict: "
        "offsets and type."
    )
    return section("sentences", "Sentences", intro, cards)


def _page(run: LoadedRun, top: str, sections: str) -> str:
    links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in NAVIGATION.items())
    css = resources.files("kcx_jax.evaluation.runs.report").joinpath("report.css").read_text("utf-8")
    return page_html(
        f"{run.config.title}: kcx evaluate",
        header=top,
        body=f'<nav aria-label="sections"><ul>{links}</ul></nav><main>{sections}</main>',
        css=highlight.CSS + browser.CSS + css,
        script=browser.SCRIPT,
    )
