"""The table of a run: measured cells beside published ones, for Markdown, LaTeX and programs."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from kcx_jax.errors import UsageError
from kcx_jax.evaluation.runs.config import BenchmarkSettings, EvaluateConfig, MeanSettings
from kcx_jax.evaluation.runs.folder import Results
from kcx_jax.evaluation.runs.published import PublishedCell, find_cells, table_name, table_of
from kcx_jax.schema import Task
from kcx_jax.scoring import MODES, Sheet, latex, markdown

NOT_RUN = "not run"
NO_GOLD = "no gold"
_PUBLISHED = "{} (published)"

# A measured cell: F1, its interval and the counts in [0, 1] and items, or the reason why there is none.
Cell = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A line of the table: a benchmark and task, or a mean over benchmarks; cells by system."""

    label: str
    task: Task
    mode: str
    records: int | None
    cells: Mapping[str, Cell]
    published: Mapping[str, PublishedCell]
    of: tuple[str, ...] = ()  # the benchmarks that a mean is over

    @property
    def has_gold(self) -> bool:
        """Whether gold has an item, as far as is known."""
        return all(cell.get("gold") != 0 for cell in self.cells.values())


@dataclass(frozen=True)
class ResultTable:
    """All rows, the systems in the order of the config, and what stands below."""

    title: str
    systems: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def published_systems(self) -> tuple[str, ...]:
        """The systems that have a published figure in a row."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.published))


def check_rows(config: EvaluateConfig) -> None:
    """Raise `UsageError` for a published row that there is not, and for a mean over no benchmark."""
    for each in _referring(config):
        if each.published is not None:
            find_cells(each.published)
    for mean in config.means:
        for pattern in mean.of:
            if not any(fnmatchcase(benchmark.name, pattern) for benchmark in config.benchmarks):
                raise UsageError(f"mean {mean.name}: no benchmark is called {pattern!r}")


def make_table(
    config: EvaluateConfig, results: Results, not_run: Mapping[tuple[str, str, Task], str]
) -> ResultTable:
    """The table of a resolved config, of what its folder holds; `not_run` says why cells are missing."""
    scores = {
        (system.name, benchmark.name): results.scored(system.name, benchmark.name)
        for system in config.systems
        for benchmark in config.benchmarks
    }
    names = tuple(system.name for system in config.systems)
    rows: list[Row] = []
    for benchmark in config.benchmarks:
        mode = benchmark.mode or config.mode
        for task in benchmark.tasks or ("ner",):
            reasons = {name: not_run.get((name, benchmark.name, task), "") for name in names}
            cells = {name: _cell(scores[name, benchmark.name], task, mode, reasons[name]) for name in names}
            counts = (scores[name, benchmark.name].get("records") for name in names)
            records = next((count for count in counts if count is not None), None)
            published = find_cells(benchmark.published) if benchmark.published else {}
            rows.append(Row(benchmark.name, task, mode, records, cells, published))
    means = [row for mean in config.means for row in _mean_rows(mean, rows, names)]
    notes = tuple(_notes(config, [*rows, *means]))
    return ResultTable(config.title, names, (*rows, *means), notes)


def write_table(table: ResultTable, results: Results) -> None:
    """Write ``table.md``, ``table.tex`` and ``table.json``; equal results give equal bytes."""
    sheet = _sheet(table)
    results.write_text("table.md", markdown([sheet], table.notes, table.title))
    results.write_text("table.tex", latex([sheet], (table.title, *table.notes)))
    results.write_json(results.root / "table.json", table_json(table))


def table_json(table: ResultTable) -> dict[str, Any]:
    """The table as plain JSON values; measured figures in [0, 1], published ones in percent."""
    return {
        "title": table.title,
        "systems": list(table.systems),
        "rows": [
            {
                "benchmark": row.label,
                "task": row.task,
                "mode": row.mode,
                "records": row.records,
                "measured": dict(row.cells),
                "published_percent": {
                    name: {"figure": cell.figure, "note": cell.note} for name, cell in row.published.items()
                },
            }
            for row in table.rows
        ],
        "notes": list(table.notes),
    }


def _referring(config: EvaluateConfig) -> list[BenchmarkSettings | MeanSettings]:
    """What may name a published row."""
    return [*config.benchmarks, *config.means]


def _cell(scores: dict[str, Any], task: Task, mode: str, reason: str) -> Cell:
    if reason or task not in scores.get("tasks", {}):
        return {"not_run": reason or "not asked yet"}
    found = scores["tasks"][task]
    unit, drawn = found["units"][task], found["resampling"][task]
    return {
        "f1": unit["f1"],
        "f1_interval_95": drawn["f1_interval_95"],
        "gold": (unit["tp"] + unit["fn"]) // MODES[mode].parts,
        "predicted": (unit["tp"] + unit["fp"]) // MODES[mode].parts,
        "records": found["records"][task],
        "answers": found["rates"][task]["answers"],
        "missing": len(found["missing"][task]),
        "unanswered": found.get("unanswered", 0),
        "parse_error_rate": found["rates"][task]["parse_error_rate"],
        "hallucinated_rate": found["rates"][task]["hallucinated_rate"],
    }


def _mean_rows(mean: MeanSettings, rows: list[Row], systems: tuple[str, ...]) -> Iterator[Row]:
    """A row for each task that the benchmarks of a mean have; a system has a cell where it has all of theirs.

    Benchmarks without gold are left out, as in the leaderboard: nobody can be right there.
    """
    chosen = [row for row in rows if any(fnmatchcase(row.label, pattern) for pattern in mean.of)]
    for task in dict.fromkeys(row.task for row in chosen):
        parts = [row for row in chosen if row.task == task]
        modes = list(dict.fromkeys(row.mode for row in parts))
        cells = {name: _mean([row.cells[name] for row in parts if row.has_gold]) for name in systems}
        published = find_cells(mean.published) if mean.published else {}
        yield Row(
            mean.name, task, " and ".join(modes), None, cells, published, tuple(row.label for row in parts)
        )


def _mean(cells: Sequence[Cell]) -> Cell:
    if not cells:
        return {"f1": 0.0, "gold": 0, "benchmarks": 0}
    figures = [cell["f1"] for cell in cells if "f1" in cell]
    if len(figures) < len(cells):
        return {"not_run": f"{len(cells) - len(figures)} of {len(cells)} benchmarks are not run"}
    return {"f1": sum(figures) / len(figures), "benchmarks": len(figures)}


def _sheet(table: ResultTable) -> Sheet:
    published = table.published_systems
    head = ("benchmark", "task", "mode", *table.systems, *map(_PUBLISHED.format, published))
    rows = [
        (
            row.label,
            row.task,
            row.mode,
            *(_measured(row.cells[name]) for name in table.systems),
            *(_published(row.published.get(name)) for name in published),
        )
        for row in table.rows
    ]
    return Sheet(head, 3, rows)


def _measured(cell: Cell) -> str:
    if "f1" not in cell:
        return NOT_RUN
    if cell.get("gold") == 0:
        return NO_GOLD
    figure = f"{100 * cell['f1']:.2f}"
    if "f1_interval_95" not in cell:
        return figure
    low, high = (f"{100 * edge:.2f}" for edge in cell["f1_interval_95"])
    return f"{figure} ({low} to {high})"


def _published(cell: PublishedCell | None) -> str:
    return "" if cell is None else f"{cell.figure:.2f}{'*' if cell.note else ''}"


def _notes(config: EvaluateConfig, rows: list[Row]) -> Iterator[str]:
    yield "F1 in percent, with the interval that holds 95 % of draws of the records. A mean has none."
    references = [each.published for each in _referring(config) if each.published]
    if references:
        yield "Cells marked (published) stand in papers; this project measured none of them. An empty one is not known."
    for reference in {table_name(each): each for each in references}.values():
        yield f"published: {table_of(reference).source}"
        yield from table_of(reference).notes
    for row in rows:
        for name, cell in row.published.items():
            if cell.note:
                yield f"* {row.label}, {name} (published): {cell.note}"
    for mode in dict.fromkeys(each.mode or config.mode for each in config.benchmarks):
        yield f"{mode}: {MODES[mode].definition}"
    for benchmark in config.benchmarks:
        if changes := _changes(benchmark, config.seed):
            yield f"{benchmark.name}: {'; '.join(changes)}"
    yield from config.notes
    yield from _left_out(rows)
    yield from _without_answer(rows, {system.name for system in config.systems if system.kind == "chat"})
    yield from _reasons(rows)


def _changes(benchmark: BenchmarkSettings, seed: int) -> list[str]:
    """What of a benchmark is not as its authors made it."""
    found = []
    if benchmark.limit is not None:
        found.append(f"at most {benchmark.limit} records, drawn with seed {seed}")
    if benchmark.join > 1:
        found.append(f"{benchmark.join} neighbouring records are one document")
    if benchmark.classes:
        found.append(f"only the classes {', '.join(benchmark.classes)}")
    if not benchmark.prompts.descriptions:
        found.append("classes without descriptions")
    if benchmark.prompts.exemplars is not None:
        found.append(f"{benchmark.prompts.exemplars} exemplars a class, from the training file")
    if benchmark.prompts.pair:
        found.append("prompts name the pair that is asked about")
    if found and benchmark.published:
        found.append("so the published cells beside it are not comparable")
    return found


def _left_out(rows: Sequence[Row]) -> Iterator[str]:
    """The benchmarks that a mean is not over, since they have no gold."""
    bare = {(row.label, row.task) for row in rows if not row.of and not row.has_gold}
    for row in rows:
        if names := [label for label in row.of if (label, row.task) in bare]:
            yield f"{row.label} ({row.task}): benchmarks without gold are left out of means: {', '.join(names)}"


def _without_answer(rows: Sequence[Row], chats: Collection[str]) -> Iterator[str]:
    """What of each cell counts as empty without having been answered so."""
    for row in rows:
        for name, cell in row.cells.items():
            where = f"{name} on {row.label} ({row.task})"
            missing, unanswered = cell.get("missing", 0), cell.get("unanswered", 0)
            if missing:
                yield f"{where}: {missing} of {cell['records']} records have no prediction, and count as empty"
            if unanswered:
                again = (
                    "; the same command asks them again, but for what was refused" if name in chats else ""
                )
                yield f"{where}: {unanswered} of {cell['answers']} questions got no answer, and count as empty{again}"


def _reasons(rows: list[Row]) -> Iterator[str]:
    """Every reason for a missing cell, once, with the systems that it keeps out."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for name, cell in row.cells.items():
            if "not_run" in cell and not row.of:
                found.setdefault(cell["not_run"], []).append(f"{name} on {row.label} ({row.task})")
    for reason, where in found.items():
        shown = ", ".join(where[:3]) + (f" and {len(where) - 3} more" if len(where) > 3 else "")
        yield f"not run: {shown}: {reason}"
