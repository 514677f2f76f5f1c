"""Other systems, by the files that they wrote."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from kcx_jax.corpora import Record, read_records
from kcx_jax.errors import KcxError
from kcx_jax.evaluation.runs.benchmark import Benchmark, NotThere
from kcx_jax.evaluation.runs.config import OutputsSystem
from kcx_jax.evaluation.runs.systems import Prediction, System
from kcx_jax.schema import Task
from kcx_jax.scoring import joined, without_loose
from kcx_jax.scoring.raw import holds_answers, read_answers
from kcx_jax.scoring.tally import entries


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
        """See `System.predict`. Raises `NotThere` without the file, and `KcxError` for what cannot be scored."""
        path = self.path(benchmark, task)
        if not path.exists():
            raise NotThere(f"{benchmark.settings.name}: {path} is not there")
        predicted = list(self._read(path, benchmark, task))
        try:
            for given in predicted:
                for key in ("unresolved", "parse_problems"):
                    entries(given, key, task)  # lists of what they should be, or an error
            pairs = [(record.id, guess) for _, record, guess in joined(benchmark.whole, predicted)]
        except KcxError as error:
            raise KcxError(f"{path}: {error}") from error
        found = {id: guess for id, guess in pairs if guess is not None}
        for record in records:
            if record.id in found:
                yield Prediction("", found[record.id])

    def _read(self, path: Path, benchmark: Benchmark, task: Task) -> Iterator[Record]:
        settings = self._settings
        if settings.format == "records" or (settings.format == "auto" and not holds_answers(path)):
            return map(without_loose, read_records(path, "jsonl"))
        schema = benchmark.schema_for(task)
        inventory = settings.inventory or benchmark.settings.inventory
        return read_answers(path, benchmark.whole, settings.format, schema, inventory, task)
