"""Systems x languages x tasks in one table: strict scores as plain values, and shown in the terminal."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from kcx_jax.corpora import Record
from kcx_jax.evaluation.answers import Answered
from kcx_jax.schema import Task
from kcx_jax.scoring import Scores, score

TASK_NAMES: dict[str, str] = {
    "ner": "Entities (NER)",
    "re": "Relations (RE)",
    "ed": "Event triggers (ED)",
    "eae": "Event arguments (EAE)",
}

Answers = Mapping[str, Mapping[str, Mapping[Task, Sequence[Answered]]]]  # by system, language, task
ScoreTable = dict[str, dict[str, dict[str, dict[str, Any]]]]


def score_table(gold: Mapping[str, Sequence[Record]], answers: Answers) -> ScoreTable:
    """Score `answers` (system -> language -> task -> answers) against `gold` (language -> records).

    A cell, ``table[system][language][task]``, holds the task's headline measure: "f1", "precision" and
    "recall" in [0, 1]; the counts "tp", "fp", "fn", "gold" and "predicted" of items; "records"; "flagged"
    (answers that could not be read to their end); "per_type". Raises what `kcx_jax.scoring.score` raises.
    """
    return {
        system: {
            language: {
                task: _cell(score(gold[language], [one.record for one in answered], [task]), task)
                for task, answered in tasks.items()
            }
            for language, tasks in languages.items()
        }
        for system, languages in answers.items()
    }


def _cell(scores: Scores, task: Task) -> dict[str, Any]:
    unit = scores.units[task]
    counts = unit.total
    return {
        **counts.to_json(),
        "gold": counts.tp + counts.fn,
        "predicted": counts.tp + counts.fp,
        "records": scores.records[task],
        "flagged": scores.flagged[task],
        "per_type": {label: part.to_json() for label, part in unit.per_type.items()},
    }


def console_table(table: ScoreTable, untuned: Collection[str] = ()) -> Table:
    """F1 in percent, one row a task and language, one column a system; the best of a row stands out.

    `untuned` languages, which tuning has not seen, are marked. A dash stands where there is no cell, or where
    gold has nothing to be found.
    """
    systems = list(table)
    shown = Table(title="strict F1, %", caption="* tuning has not seen this language" if untuned else None)
    shown.add_column("task")
    shown.add_column("language")
    for system in systems:
        shown.add_column(escape(system), justify="right")
    languages = _ordered(languages for languages in table.values())
    tasks = _ordered(cells for by_language in table.values() for cells in by_language.values())
    for task in tasks:
        for language in languages:
            cells = [measured(table, system, language, task) for system in systems]
            best = max((cell["f1"] for cell in cells if cell), default=0.0)
            figures = [_figure(cell, best) for cell in cells]
            first = TASK_NAMES.get(task, task) if language == languages[0] else ""
            shown.add_row(first, language + "*" * (language in untuned), *figures)
        shown.add_section()
    return shown


def measured(table: Mapping[str, Any], system: str, language: str, task: str) -> Mapping[str, Any] | None:
    """The cell, unless there is none or gold has nothing to be found, which no score can measure."""
    cell = table.get(system, {}).get(language, {}).get(task)
    return cell if cell and cell["gold"] else None


def _figure(cell: Mapping[str, Any] | None, best: float) -> str:
    if cell is None:
        return "–"
    figure = f"{100 * cell['f1']:.1f}"
    return f"[bold]{figure}[/bold]" if cell["f1"] == best > 0 else figure


def _ordered(mappings: Any) -> list[str]:
    """The keys of all mappings, each once, in the order of their first appearance."""
    return list(dict.fromkeys(key for mapping in mappings for key in mapping))
