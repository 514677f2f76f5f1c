"""Other systems, by the files that they wrote."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from kcx_jax.corpora import Record, read_records
from kcx_jax.evaluation.runs.benchmark import Benchmark, NotThere
from kcx_jax.evaluation.runs.config import OutputsSystem
from kcx_jax.evaluation.runs.systems import Prediction, System
from kcx_jax.schema import Task
from kcx_jax.scoring import without_loose
from kcx_jax.scoring.raw import holds_answers, read_answers


class Outputs(System):
    """A file of predictions a benchmark, in the form its system writes (docs/scoring.md)."""

    def __init__(self, settings: OutputsSystem):
        self._settings = settings

    def path(self, benchmark: Benchmark, task: Task) -> Path:
        """The file of a benchmark."""
        path = self._settings.path.replace("{benchmark}", benchmark.settings.name)
        return Path(path.replace("{task}", task))

    def predict(
        self, benchmark: Benchmark, task: Task, folder: Path, records: Iterable[Record]
    ) -> Iterator[Prediction]:
        """See `System.predict`. Raises `NotThere` without the file."""
        path = self.path(benchmark, task)
        if not path.exists():
            raise NotThere(f"{benchmark.settings.name}: {path} is not there")
        found = {record.id: record for record in self._read(path, benchmark, task)}
        for record in records:
            if record.id in found:
                yield Prediction("", found[record.id])

    def _read(self, path: Path, benchmark: Benchmark, task: Task) -> Iterator[Record]:
        settings = self._settings
        if settings.format == "records" or (settings.format == "auto" and not holds_answers(path)):
            return map(without_loose, read_records(path, "jsonl"))
        schema = benchmark.schema_for(task)
        return read_answers(path, benchmark.whole, settings.format, schema, settings.inventory, task)
