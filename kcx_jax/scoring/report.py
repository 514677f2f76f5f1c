"""Scores as sheets of plain cells, and these as tables of a page (Markdown) and of a paper (LaTeX)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kcx_jax.scoring.counts import Counts
from kcx_jax.scoring.datasets import DatasetMeans
from kcx_jax.scoring.metrics import Scores

_FIGURES = ("P %", "R %", "F1 %")
_COUNTS = ("right", "wrong", "missed")
_TEXT = "text F1 %"
_RATES = (
    "answers",
    "not read to their end %",
    "items",
    "unknown class %",
    "malformed %",
    "not in the text %",
    "looser grounding %",
)
_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}

# Of each measure: its intervals and, against another system, that one's F1 and the p-value (`kcx score --samples`).
Resampling = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Sheet:
    """A table: its head, how many of its columns are words and not figures, and its rows of as many cells."""

    head: tuple[str, ...]
    words: int
    rows: list[tuple[str, ...]]


def sheets(scores: Scores, text: Scores | None = None, resampling: Resampling | None = None) -> list[Sheet]:
    """The measures; types with their mean, and languages where there are several; the rates of each task.

    Args:
        text: the scores of the same answers in mode text, to stand beside. resampling: intervals, to stand
            beside as well.
    """
    extra = _Beside(text, resampling or {})
    measures = [
        (name, *_figures(unit.total), *extra.cells(name, "total", ""), *_counts(unit.total))
        for name, unit in scores.units.items()
    ]
    found = [Sheet(("measure", *_FIGURES, *extra.head(True), *_COUNTS), 1, measures)]
    for title, part in (("type", "per_type"), ("language", "per_language")):
        rows = [
            row for task in scores.records if task in scores.units for row in _part(scores, task, part, extra)
        ]
        if rows:
            found.append(Sheet(("measure", title, *_FIGURES, *extra.head(False), *_COUNTS), 2, rows))
    return [*found, Sheet(("task", *_RATES), 1, list(_rates(scores)))]


def dataset_sheets(
    means: DatasetMeans, text: DatasetMeans | None = None, resampling: Mapping[str, Resampling] | None = None
) -> list[Sheet]:
    """A row for each measure of each dataset, with the mean below; the rates of each dataset.

    Args:
        text: the same answers in mode text. resampling: of each dataset.
    """
    beside = {
        name: _Beside(text.datasets[name] if text else None, (resampling or {}).get(name, {}))
        for name in means.datasets
    }
    head = next(iter(beside.values())).head(True)
    rows: list[tuple[str, ...]] = []
    for unit, mean in means.means.items():
        for name, scores in means.datasets.items():
            if unit in scores.units:
                total = scores.units[unit].total
                cells = beside[name].cells(unit, "total", "")
                rows.append((unit, name, *_figures(total), *cells, *_counts(total)))
        texts = (_percent(text.means[unit].f1) if unit in text.means else "",) if text else ()
        blank = ("",) * (len(head) - len(texts) + len(_COUNTS))
        rows.append((unit, f"mean of {len(mean.classes)}", *_figures(mean), *texts, *blank))
    rates = [(name, *row) for name, scores in means.datasets.items() for row in _rates(scores)]
    return [
        Sheet(("measure", "dataset", *_FIGURES, *head, *_COUNTS), 2, rows),
        Sheet(("dataset", "task", *_RATES), 2, rates),
    ]


def definitions(scores: Scores) -> list[str]:
    """A line for each measure, and the mode's."""
    lines = [f"{name}: {unit.definition}" for name, unit in scores.units.items()]
    return [*lines, f"{scores.mode}: {scores.definition}"]


def markdown(tables: Iterable[Sheet], notes: Iterable[str], title: str = "") -> str:
    """The sheets as Markdown tables below the title, if there is one, and the notes (`definitions`) as a list."""
    blocks = [f"# {_inline(title)}\n"] if title else []
    for sheet in tables:
        rule = ("---",) * sheet.words + ("---:",) * (len(sheet.head) - sheet.words)
        rows = [
            [_inline(cell).replace("|", "\\|") for cell in row] for row in (sheet.head, rule, *sheet.rows)
        ]
        blocks.append("".join(f"| {' | '.join(row)} |\n" for row in rows))
    return "\n".join([*blocks, "".join(f"- {_inline(note)}\n" for note in notes)])


def latex(tables: Iterable[Sheet], notes: Iterable[str]) -> str:
    """The sheets as LaTeX `tabular`s, without packages; the notes (`definitions`) stand above as comments."""
    blocks = ["".join(f"% {_inline(note)}\n" for note in notes)]
    for sheet in tables:
        head, *rows = map(_latex_row, (sheet.head, *sheet.rows))
        columns = "l" * sheet.words + "r" * (len(sheet.head) - sheet.words)
        rule = "\\hline\n"
        body = f"{rule}{head}{rule}{''.join(rows)}{rule}"
        blocks.append(f"\\begin{{tabular}}{{{columns}}}\n{body}\\end{{tabular}}\n")
    return "\n".join(blocks)


class _Beside:
    """The columns beside the figures: the F1 of mode text, intervals, another system."""

    def __init__(self, text: Scores | None, resampling: Resampling) -> None:
        self._text, self._resampling = text, resampling
        first: Mapping[str, Any] = next(iter(resampling.values()), {})
        self._rival = "p_value" in first

    def head(self, whole: bool) -> tuple[str, ...]:
        """The columns' names; another system stands beside the `whole` alone."""
        names: tuple[str, ...] = (_TEXT,) if self._text else ()
        names += ("95 % interval",) if self._resampling else ()
        return names + (("other F1 %", "p") if whole and self._rival else ())

    def cells(self, unit: str, part: str, label: str) -> tuple[str, ...]:
        """The cells of a measure's "total", "macro", or a label of its "per_type" or "per_language"."""
        cells: tuple[str, ...] = ()
        if self._text:
            found = getattr(self._text.units[unit], part) if unit in self._text.units else None
            counts = found.get(label) if isinstance(found, dict) else found
            cells += (_percent(counts.f1) if counts else "",)
        if self._resampling:
            drawn = self._resampling[unit]
            interval = {
                "total": drawn["f1_interval_95"],
                "macro": drawn["macro_f1_interval_95"],
                "per_type": drawn["f1_interval_95_per_type"].get(label),
                "per_language": drawn["f1_interval_95_per_language"].get(label),
            }[part]
            cells += (" to ".join(map(_percent, interval)) if interval else "",)
            if part == "total" and self._rival:
                cells += (_percent(drawn["f1_against"]), f"{drawn['p_value']:.4f}")
        return cells


def _part(scores: Scores, task: str, part: str, extra: _Beside) -> Iterator[tuple[str, ...]]:
    """The rows of a task's headline measure by type or language; one language is the whole."""
    unit = scores.units[task]
    found: dict[str, Counts] = getattr(unit, part)
    if part == "per_language" and len(found) < 2:
        return
    for label, counts in found.items():
        yield task, label, *_figures(counts), *extra.cells(task, part, label), *_counts(counts)
    if part == "per_type":
        cells = extra.cells(task, "macro", "")
        yield task, "mean over types", *_figures(unit.macro), *cells, *("",) * len(_COUNTS)


def _figures(counts: Counts) -> tuple[str, ...]:
    return tuple(_percent(x) for x in (counts.precision, counts.recall, counts.f1))


def _counts(counts: Counts) -> tuple[str, ...]:
    return str(counts.tp), str(counts.fp), str(counts.fn)


def _rates(scores: Scores) -> Iterator[tuple[str, ...]]:
    for task, rates in scores.rates.items():
        counts = (rates.unknown_class, rates.malformed, rates.hallucinated, rates.loose)
        shares = [_percent(rates.of_items(count)) for count in counts]
        yield task, str(rates.answers), _percent(rates.parse_error), str(rates.items), *shares


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _latex_row(cells: Iterable[str]) -> str:
    row = " & ".join(map(_escaped, cells))
    # The end of the row before would take these as its argument.
    guard = "{}" if row.startswith(("[", "*")) else ""
    return f"{guard}{row} \\\\\n"


def _inline(cell: str) -> str:
    return " ".join(cell.split())


def _escaped(cell: str) -> str:
    return "".join(_LATEX.get(character, character) for character in _inline(cell))
