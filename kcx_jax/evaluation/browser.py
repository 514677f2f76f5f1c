"""A browser of answered sentences: gold above the systems' answers, what differs marked, with filters.

The cards are plain HTML, so a page shows (and prints) the first of them without the script; `SCRIPT` turns
pages and filters. `CSS` and `kcx_jax.corpora.highlight.CSS` draw them. A control elsewhere in the page whose
`data-show` holds choices ("task=ner&system0=missed") leads to the sentences that have them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from kcx_jax.corpora import Record
from kcx_jax.corpora.highlight import Parts, facts, highlight
from kcx_jax.evaluation.items import Comparison, compare
from kcx_jax.page import escape
from kcx_jax.schema import Task
from kcx_jax.scoring import ItemError, item_errors
from kcx_jax.scoring.errors import KINDS

PAGE = 4  # cards at a time
LONG_TEXT = 1_500  # characters, from which a text scrolls in a box of its own
LONG_ANSWER = 320  # characters, from which an answer is folded

_FILES = resources.files("kcx_jax.evaluation")
CSS = _FILES.joinpath("browser.css").read_text("utf-8")
SCRIPT = _FILES.joinpath("browser.js").read_text("utf-8")

_CARD = '<article class="case"'
_HIDDEN = f"{_CARD} hidden"


@dataclass(frozen=True)
class Case:
    """A sentence asked for one task: what is right, and what each system answered (record and raw answer).

    A system that was not asked is not in `answers`; one that gave nothing has a record without annotation there.
    `gold_answer` is what a right answer looks like, `source` the benchmark ("": there is none to tell).
    """

    gold: Record
    task: Task
    answers: Mapping[str, tuple[Record, str]]
    gold_answer: str = ""
    source: str = ""


def types_of(cases: Iterable[Case]) -> list[str]:
    """The types of all items, right or wrong, in the order of the alphabet."""
    found = {
        side.type
        for case in cases
        for record in (case.gold, *(record for record, _ in case.answers.values()))
        for error in item_errors(case.gold, record, case.task)
        for side in (error.gold, error.predicted)
        if side is not None and side.type
    }
    return sorted(found)


class Cards:
    """What the cards of one browser have in common: systems, types, colours (`type_colours`), names of languages."""

    def __init__(
        self,
        systems: Sequence[str],
        types: Sequence[str],
        colours: Mapping[str, int],
        languages: Mapping[str, str],
        tasks: Sequence[str] = (),
        sources: Sequence[str] = (),
    ):
        self._systems, self._types, self._languages = systems, types, languages
        self._colours = colours
        self._type_numbers = {name: str(number) for number, name in enumerate(types)}
        self._tasks, self._sources = tasks, sources

    def card(self, case: Case) -> str:
        """A case as HTML, hidden and so not longer in `html`.

        Raises `KcxError` where a prediction is not of its gold record (`kcx_jax.scoring.score`).
        """
        gold = case.gold
        found = {
            number: compare(gold, case.answers[name][0], case.task)
            for number, name in enumerate(self._systems)
            if name in case.answers
        }
        shown = next(iter(found.values())).gold if found else gold
        text = _boxed(highlight(shown, self._colours), gold)
        rows = [_row("gold", text + facts(shown) + _answer(case.gold_answer), "answered gold")]
        for number, name in enumerate(self._systems):
            rows.append(self._system_row(name, found.get(number), case))
        right = " ".join(str(number) for number, each in found.items() if each.right)
        chips = (self._languages.get(gold.language, gold.language), case.task.upper(), case.source)
        listed = "".join(f'<span class="chip">{escape(chip)}</span>' for chip in chips if chip)
        return (
            f'{_HIDDEN} data-language="{escape(gold.language)}" data-task="{case.task}" '
            f'data-source="{escape(case.source)}" data-asked="{" ".join(map(str, found))}" data-right="{right}" '
            f'data-items="{self._items(found)}"><header>{listed}<bdi>{escape(gold.id)}</bdi></header>'
            f"{''.join(rows)}</article>"
        )

    def html(self, cards: Iterable[str]) -> str:
        """The cards in the order given, with filters by language, task, source, type, system, error and text."""
        shown = [
            f"{_CARD}{card.removeprefix(_HIDDEN)}" if place < PAGE else card
            for place, card in enumerate(cards)
        ]
        search = '<label>text<input type="search" name="text" autocomplete="off"></label>'
        return (
            f'<div class="browser" data-page="{PAGE}">'
            f'<form class="filters" aria-label="filter the sentences" hidden>{"".join(self._choices())}{search}'
            f'<button type="reset">clear</button></form>{"".join(shown)}'
            '<div class="pager" hidden><button type="button">‹ previous</button>'
            '<output aria-live="polite"></output><button type="button">next ›</button></div></div>'
        )

    def _choices(self) -> Iterator[str]:
        yield _select("language", "language", self._languages)
        for name, label, options in (("task", "task", self._tasks), ("source", "benchmark", self._sources)):
            if len(options) > 1:
                yield _select(
                    name, label, {each: each.upper() if name == "task" else each for each in options}
                )
        yield _select("type", "type", {number: name for name, number in self._type_numbers.items()})
        verdicts = {"right": "right", "wrong": "wrong"}
        verdicts |= {kind: f"– {kind.replace('_', ' ')}" for kind in KINDS if kind != "right"}
        if len(self._systems) > 1:
            yield _select("system", "any system", verdicts)
        for number, name in enumerate(self._systems):
            yield _select(f"system{number}", name, verdicts)

    def _items(self, found: Mapping[int, Comparison]) -> str:
        """SYSTEM.KIND.TYPE for every item of the card, each once; types by their place in the list."""
        tokens = (
            f"{number}.{error.kind}.{self._type_numbers.get(side.type, '')}"
            for number, each in found.items()
            for error in each.errors
            for side in (error.gold, error.predicted)
            if side is not None
        )
        return " ".join(dict.fromkeys(tokens))

    def _system_row(self, name: str, found: Comparison | None, case: Case) -> str:
        if found is None:
            return _row(f'<bdi>{escape(name)}</bdi><span class="verdict">not asked</span>', "")
        verdict = "right" if found.right else "wrong"
        mark = f'<span class="verdict {verdict}">{"✓" if found.right else "✗"} {verdict}</span>'
        body = _prediction(found, self._colours) + _answer(case.answers[name][1])
        return _row(f"<bdi>{escape(name)}</bdi>{mark}", body)


def _select(name: str, label: str, options: Mapping[str, str]) -> str:
    listed = "".join(
        f'<option value="{escape(key)}">{escape(text)}</option>' for key, text in options.items()
    )
    return (
        f'<label>{escape(label)}<select name="{name}"><option value="">any</option>{listed}</select></label>'
    )


def _row(head: str, body: str, classes: str = "answered") -> str:
    return f'<div class="{classes}"><h4>{head}</h4><div>{body}</div></div>'


def _boxed(text: str, record: Record) -> str:
    """A long text in a box that scrolls, with the keyboard too, so that the answers stay in reach."""
    if len(record.text) < LONG_TEXT:
        return text
    return f'<div class="long" role="region" tabindex="0" aria-label="the whole text">{text}</div>'


def _prediction(result: Comparison, colours: Mapping[str, int]) -> str:
    """What differs from gold; nothing where all is the same, so that differences are what meets the eye."""
    if result.right and (result.predicted.entities, result.predicted.relations, result.predicted.events) == (
        result.gold.entities,
        result.gold.relations,
        result.gold.events,
    ):
        return ""
    wrong = {item.ref for item in result.wrong}
    text = _boxed(highlight(result.predicted, colours, wrong, _missed(result.errors)), result.predicted)
    notes = [*_notes(result.errors), *map(escape, result.unread)]
    below = "".join(f'<p class="notes">{note}</p>' for note in notes)
    return text + facts(result.predicted, wrong) + below


def _missed(errors: Iterable[ItemError]) -> Iterator[tuple[str, Parts]]:
    """Labels and spans of what was missed and stands at one place; a relation stands at two."""
    for error in errors:
        if error.kind == "missed" and error.gold is not None and len(error.gold.spans) == 1:
            yield error.gold.type, error.gold.spans


def _notes(errors: Sequence[ItemError]) -> Iterator[str]:
    """A line for each kind of error, with its items."""
    for kind in KINDS:
        found = [_note(error) for error in errors if error.kind == kind != "right"]
        if found:
            yield f"<b>{kind.replace('_', ' ')}</b> {'; '.join(found)}"


def _note(error: ItemError) -> str:
    """An item in words; of one that is right in part, only what gold has otherwise."""
    given = error.predicted or error.gold
    assert given is not None
    words = f"<bdi>{escape(given.text)}</bdi> <small>{escape(given.type)}</small>"
    if error.gold is None or error.predicted is None:
        return words
    of_gold = []
    if error.gold.text != given.text or error.kind != "wrong_type":
        of_gold.append(f"<bdi>{escape(error.gold.text)}</bdi>")
    if error.gold.type != given.type:
        of_gold.append(f"<small>{escape(error.gold.type)}</small>")
    return f"{words}, in gold {' '.join(of_gold)}"


def _answer(answer: str) -> str:
    if not answer.strip():
        return ""
    shown = f'<pre class="answer">{escape(answer.strip())}</pre>'
    if len(answer) < LONG_ANSWER:
        return shown
    return f'<details class="raw"><summary>the answer as written</summary>{shown}</details>'
