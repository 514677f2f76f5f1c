"""Our models as systems of a run."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from kcx_jax.corpora import Record
from kcx_jax.evaluation.answers import ask
from kcx_jax.evaluation.runs.benchmark import Benchmark
from kcx_jax.evaluation.runs.config import ModelSystem
from kcx_jax.evaluation.runs.systems import Prediction, System
from kcx_jax.extraction import Extractor
from kcx_jax.files import digest
from kcx_jax.schema import Task


class LocalModel(System):
    """A checkpoint with its adapters; the weights are loaded for the first question and dropped at the end."""

    def __init__(self, settings: ModelSystem):
        self._settings = settings

    def __exit__(self, *exc: object) -> None:
        self.__dict__.pop("_extractor", None)

    def facts(self) -> dict[str, Any]:
        """See `System.facts`: the base's fingerprint, and the digest of each adapter's folder."""
        from kcx_jax.checkpoints.describe import describe
        from kcx_jax.checkpoints.hub import local_folder

        settings = self._settings
        adapters = [digest(local_folder(adapter)) for adapter in settings.adapters]
        return {"base": describe(settings.model).digest, "adapters": adapters}

    @cached_property
    def _extractor(self) -> Extractor:
        settings = self._settings
        return Extractor.from_pretrained(
            settings.model,
            list(settings.adapters) or None,
            settings.dtype,
            max_new_tokens=settings.max_new_tokens,
            constraint=settings.constraint,
        )

    def predict(
        self, benchmark: Benchmark, task: Task, folder: Path, records: Iterable[Record]
    ) -> Iterator[Prediction]:
        """See `System.predict`."""
        return extracted(self._extractor, benchmark, task, records)


def extracted(
    extractor: Extractor, benchmark: Benchmark, task: Task, records: Iterable[Record]
) -> Iterator[Prediction]:
    """The answers of an extractor to one task. Raises what `ask` does."""
    schema, pair = benchmark.schema_for(task), benchmark.gives_pair(task)
    for result in ask(extractor, records, schema, task, pair):
        yield Prediction(result.answers[task], result.record)
