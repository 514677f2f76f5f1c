"""Two results folders, or two systems in them, against each other: is the second one worse, beyond chance?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kcx_jax.corpora import Record, read_records
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.evaluation.runs.config import EvaluateConfig, load_config
from kcx_jax.evaluation.runs.folder import Results
from kcx_jax.evaluation.runs.scores import score_file
from kcx_jax.schema import TASKS, Task
from kcx_jax.scoring import MODES, Difference, Sheet, paired_bootstrap

Cell = tuple[str, str, Task]
LEVEL = 0.05  # of all rows together


@dataclass(frozen=True)
class Compared:
    """One system on one benchmark and task, in both: F1s in [0, 1], their difference, and whether it is a regression.

    `system` names both sides where they differ. Both are counted in `mode`, that of the first; `mode_after` is the one
    in which the second's own table counts.
    """

    system: str
    benchmark: str
    task: Task
    mode: str
    before: float
    after: float
    difference: Difference
    mode_after: str
    worse: bool = False

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "system": self.system,
            "benchmark": self.benchmark,
            "task": self.task,
            "mode": self.mode,
            "mode_after": self.mode_after,
            "f1": [self.before, self.after],
            "difference": self.difference.observed,
            "difference_interval_95": self.difference.interval_95,
            "p_worse": self.difference.p_worse,
            "worse": self.worse,
        }


def compare_runs(before: Path, after: Path) -> list[Compared]:
    """Every system, benchmark and task that both have, by paired bootstrap of the same records.

    Each side is a results folder, whose systems are paired by name, or the folder of one system in it
    (``RESULTS/systems/NAME``). A row is worse where its one-sided p-value passes Holm's correction over all rows at
    5 %, so that of many rows none is called worse by chance alone more often than that. There are as many draws as
    the config says, and more where there are many rows.

    Raises `UsageError` for a folder that is no results folder, and `KcxError` where the second is not about any system
    and benchmark of the first, or their gold differs. What it has no answers for is in `lost_cells`.
    """
    sides = _Side.of(before), _Side.of(after)
    there = sides[1].cells
    cells = [
        (names, benchmark, task)
        for names in _paired(*sides)
        for name, benchmark, task in sides[0].cells
        if name == names[0] and (names[1], benchmark, task) in there
    ]
    names, benchmarks = dict(_paired(*sides)), {each.name for each in sides[1].config.benchmarks}
    if not any(system in names and benchmark in benchmarks for system, benchmark, _ in sides[0].cells):
        raise KcxError(
            f"{before} and {after} have no system and benchmark in common, so there is nothing to compare"
        )
    draws = max(sides[0].config.samples, round(2 * len(cells) / LEVEL))
    rows = [_compared(sides, names, name, task, draws) for names, name, task in cells]
    return _holm(rows)


def lost_cells(before: Path, after: Path) -> list[Cell]:
    """(system, benchmark, task) that A has answers for and B has none: whether it is worse there, nobody knows.

    Raises as `compare_runs` for what is no results folder.
    """
    one, other = _Side.of(before), _Side.of(after)
    renamed = dict(_paired(one, other))
    there = other.cells
    return [cell for cell in one.cells if (renamed.get(cell[0]), *cell[1:]) not in there]


def comparison_sheet(rows: Sequence[Compared]) -> Sheet:
    """The rows as a table of figures in percent."""

    def cells(row: Compared) -> tuple[str, ...]:
        low, high = row.difference.interval_95
        return (
            row.system,
            row.benchmark,
            row.task,
            row.mode,
            f"{100 * row.before:.2f}",
            f"{100 * row.after:.2f}",
            f"{100 * row.difference.observed:+.2f}",
            f"{100 * low:+.2f} to {100 * high:+.2f}",
            f"{row.difference.p_worse:.4f}",
            "worse" if row.worse else "",
        )

    figures = ("A F1 %", "B F1 %", "B - A", "95 % interval", "p (B worse)", "")
    return Sheet(("system", "benchmark", "task", "mode", *figures), 4, [cells(row) for row in rows])


def comparison_notes(rows: Sequence[Compared]) -> list[str]:
    """Where the two sides count a benchmark in different modes: a line each."""
    modes = dict.fromkeys((row.benchmark, row.mode, row.mode_after) for row in rows)
    return [
        f"{benchmark}: both are counted in A's mode, {mode}; B's own table has it in mode {other}"
        for benchmark, mode, other in modes
        if mode != other
    ]


@dataclass(frozen=True)
class _Side:
    results: Results
    config: EvaluateConfig
    systems: tuple[str, ...]
    named: bool  # one system was named, not all of a folder

    @property
    def cells(self) -> list[Cell]:
        """What there are answers for."""
        return [
            (system, benchmark.name, task)
            for system in self.systems
            for benchmark in self.config.benchmarks
            for task in TASKS
            if self.results.records(system, benchmark.name, task).exists()
        ]

    def mode(self, benchmark: str) -> str:
        """How its table counts a benchmark."""
        own = {each.name: each.mode for each in self.config.benchmarks}
        return own.get(benchmark) or self.config.mode

    @classmethod
    def of(cls, path: Path) -> "_Side":
        root, named = path, ""
        if not (path / "config.yaml").exists() and path.parent.name == "systems":
            root, named = path.parent.parent, path.name
        if not (root / "config.yaml").exists():
            raise UsageError(
                f"{path} is no results folder of kcx evaluate, and no system's folder (RESULTS/systems/NAME) in one"
            )
        config = load_config(root / "config.yaml")
        systems = tuple(system.name for system in config.systems)
        if named and named not in systems:
            raise UsageError(f"{root} has no system {named!r}; it has: {', '.join(systems)}")
        return cls(Results(root), config, (named,) if named else systems, bool(named))


def _paired(one: _Side, other: _Side) -> list[tuple[str, str]]:
    if one.named and other.named:
        return [(one.systems[0], other.systems[0])]
    return [(name, name) for name in one.systems if name in other.systems]


def _compared(
    sides: tuple[_Side, _Side], names: tuple[str, str], benchmark: str, task: Task, draws: int
) -> Compared:
    gold = _gold(sides, benchmark)
    mode, mode_after = (side.mode(benchmark) for side in sides)
    found = [
        score_file(gold, side.results.records(name, benchmark, task), task, mode).units[task]
        for side, name in zip(sides, names, strict=True)
    ]
    one, other = (unit.by_record for unit in found)
    assert one is not None
    assert other is not None
    difference = paired_bootstrap(one, other, draws, averaging=MODES[mode].averaging)
    label = names[0] if names[0] == names[1] else f"{names[0]} -> {names[1]}"
    figures = found[0].total.f1, found[1].total.f1
    return Compared(label, benchmark, task, mode, *figures, difference, mode_after)


def _gold(sides: tuple[_Side, _Side], benchmark: str) -> list[Record]:
    one, other = (list(read_records(side.results.gold(benchmark), "jsonl")) for side in sides)
    if one != other:
        raise KcxError(
            f"{benchmark}: {sides[0].results.root} and {sides[1].results.root} hold different gold records; only "
            "answers to the same records can be compared"
        )
    return one


def _holm(rows: list[Compared]) -> list[Compared]:
    """The rows with those marked worse that pass Holm's step-down correction."""
    order = sorted(range(len(rows)), key=lambda i: rows[i].difference.p_worse)
    worse: set[int] = set()
    for rank, i in enumerate(order):
        if rows[i].difference.p_worse > LEVEL / (len(rows) - rank):
            break
        worse.add(i)
    return [replace(row, worse=i in worse) for i, row in enumerate(rows)]
