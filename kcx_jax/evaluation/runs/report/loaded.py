"""A results folder as it is read back: its config, table, facts and scores."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kcx_jax.errors import KcxError
from kcx_jax.evaluation.runs.config import EvaluateConfig, load_config
from kcx_jax.evaluation.runs.folder import Results


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

    def scores(self, system: str, benchmark: str) -> dict[str, Any]:
        """The tasks of scores.json of a system, by their names; none where there is no such file."""
        path = self.results.scores(system, benchmark)
        return _json(path)["tasks"] if path.exists() else {}


def load_run(root: str | Path) -> LoadedRun:
    """Read a results folder. Raises `KcxError` for one without a table, and as `load_config` does."""
    results = Results(root)
    path = results.root / "table.json"
    if not path.exists():
        raise KcxError(
            f"{results.root} holds no table.json: name a results folder of kcx evaluate, after a run to its end"
        )
    return LoadedRun(results, load_config(results.root / "config.yaml"), _json(path), results.facts())


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise KcxError(f"cannot read {path}: {error}") from error
