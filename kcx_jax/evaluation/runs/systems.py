"""What answers: a system takes the records of a benchmark for one task, and gives their predictions."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from kcx_jax.corpora import Record
from kcx_jax.errors import KcxError
from kcx_jax.evaluation.runs.benchmark import Benchmark
from kcx_jax.evaluation.runs.config import (
    ChatSystem,
    EvaluateConfig,
    ModelSystem,
    OutputsSystem,
    SystemSettings,
    TaggerSystem,
)
from kcx_jax.schema import Task


@dataclass(frozen=True)
class Prediction:
    """What a system wrote about a record, and the record that it stands for (`kcx_jax.scoring.score` takes it)."""

    answer: str
    record: Record


class CannotAnswer(KcxError):
    """A system is not made for a task, or there is nothing to ask it."""


class NotInstalled(KcxError):
    """A system needs a package that is not installed."""


# By the kind of a system, the extra that brings its packages (pyproject.toml), as pip takes it.
_EXTRAS = {
    "model": "'kcx-jax[model]' (on NVIDIA GPUs cuda12 or cuda13 instead of model)",
    "tagger": "'kcx-jax[supervised]'",
}


@contextmanager
def needing_packages(settings: SystemSettings) -> Iterator[None]:
    """Raise `NotInstalled`, which says what to type, where a package that is not of this project is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "kcx_jax").partition(".")[0] == "kcx_jax":
            raise
        extra = _EXTRAS.get(settings.kind)
        how = f" Install it with: pip install {extra}" if extra else ""
        raise NotInstalled(f"this needs the package {error.name}, which is not installed.{how}") from error


class System(ABC):
    """One system of a run; ``with`` it, so that it can give back what it holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Give back what it holds; as a rule, nothing."""
        return None

    def facts(self) -> dict[str, Any]:
        """What tells this system from another one of the same settings: digests of weights, where there are any."""
        return {}

    @abstractmethod
    def predict(
        self, benchmark: Benchmark, task: Task, folder: Path, records: Iterable[Record]
    ) -> Iterator[Prediction]:
        """The predictions for `records`, in their order; `folder` is the system's own for this benchmark.

        A system of files leaves out records that these do not have. Raises `CannotAnswer` for a task that the
        system is not made for, and `KcxError` for what stops this benchmark.
        """


def open_system(settings: SystemSettings, config: EvaluateConfig, folder: Path) -> System:
    """The system of some settings, its results being in `folder`; what it needs is loaded when it is first asked."""
    match settings:
        case ModelSystem():
            from kcx_jax.evaluation.runs.models import LocalModel

            return LocalModel(settings)
        case ChatSystem():
            from kcx_jax.evaluation.runs.chat import ChatModel

            return ChatModel(settings, folder)
        case OutputsSystem():
            from kcx_jax.evaluation.runs.outputs import Outputs

            return Outputs(settings)
        case TaggerSystem():
            from kcx_jax.evaluation.runs.tagger import Tagger

            return Tagger(settings, config.seed)
