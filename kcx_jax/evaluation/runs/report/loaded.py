"""A results folder as it is read back: its config, table, facts and scores."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kcx_jax.errors import KcxError
from kcx_jax.evaluation.runs.config import EvaluateConfig, load_config
from kcx_jax.evaluation.runs.folder import Results, read_values


@dataclass(frozen=True)
class LoadedRun:
    """What a folder says about its run; `table` and `facts` are the JSON values of table.json and run.json."""

    results: Results
    config: EvaluateConfig
    table: dict[str, Any]
    facts: dict[str, Any]

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The table's rows of benchmarks, those of means left out, which come last."""
        count = sum(len(benchmark.tasks or ("ner",)) for benchmark in self.config.benchmarks)
        return self.table["rows"][:count]

    @property
    def systems(self) -> list[str]:
        """The systems in the order of the config."""
        return self.table["systems"]

    @cached_property
    def _measured(self) -> set[tuple[str, str, str]]:
        return {
            (system, row["benchmark"], row["task"])
            for row in self.rows
            for system, cell in row["measured"].items()
            if "f1" in cell
        }

    def measured(self, system: str, benchmark: str, task: str) -> bool:
        """Whether the table has a figure; what lies in the folder besides is of no account."""
        return (system, benchmark, task) in self._measured

    def scores(self, system: str, benchmark: str) -> dict[str, Any]:
        """The tasks of scores.json of a system, by their names, as far as the table has their figures."""
        tasks = self.results.scored(system, benchmark).get("tasks", {})
        return {task: found for task, found in tasks.items() if self.measured(system, benchmark, task)}


def load_run(root: str | Path) -> LoadedRun:
    """Read a results folder. Raises `KcxError` for one without a table, and as `load_config` does."""
    results = Results(root)
    path = results.root / "table.json"
    if not path.exists():
        raise KcxError(
            f"{results.root} holds no table.json: name a results folder of kcx evaluate, after a run to its end"
        )
    table = read_values(path, ("systems", "rows", "notes"), "Run the evaluation again: it writes it anew")
    return LoadedRun(results, load_config(results.root / "config.yaml"), table, results.facts())
