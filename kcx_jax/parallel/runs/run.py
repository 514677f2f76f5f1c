"""What a run has so far: read from its ledger, also while it is running, without a call."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kcx_jax.corpora import ParallelRecord, Record
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.llm import Ledger
from kcx_jax.parallel.runs.statistics import Statistics
from kcx_jax.parallel.runs.worklist import PAIR, PEOPLE, Worklist
from kcx_jax.parallel.translation.outcomes import Outcome

SHARD = "shard"  # of a run's configuration: which part of a corpus, of how many
LEDGER, PARALLEL, UNRESOLVED, STATISTICS = (
    *("ledger.db", "parallel.jsonl", "unresolved.jsonl", "statistics.json"),
)


class Run:
    """A run's folder, opened to read. Pairs and cases come as streams, in the order of the input."""

    def __init__(
        self, folder: Path, worklist: Worklist, ledger: Ledger, statistics: Statistics | None = None
    ):
        self.folder, self.ledger, self._worklist = folder, ledger, worklist
        self._statistics = statistics
        self.config = self.config_of(ledger, folder)

    @classmethod
    def open(cls, folder: str | Path, statistics: Statistics | None = None) -> "Run":
        """Open a run to read. Raises `KcxError` when `folder` holds none.

        `statistics`: what was counted already, of a run that nobody works on.
        """
        ledger = Ledger(Path(folder) / LEDGER, readonly=True)
        try:
            return cls(Path(folder), Worklist(ledger), ledger, statistics)
        except BaseException:
            ledger.close()
            raise

    @staticmethod
    def config_of(ledger: Ledger, folder: Path) -> dict[str, Any]:
        """The configuration of a run that was started; `KcxError` for one that was not, and for other ledgers."""
        config = ledger.run_config()
        if config is None:
            raise KcxError(f"the run in {folder} was not started. Run `kcx parallel build` first.")
        if "models" not in config:
            raise KcxError(
                f"{folder} keeps the calls of `kcx parallel projection`; it holds no run of a build."
            )
        return config

    def pairs(self) -> Iterator[ParallelRecord]:
        """The finished pairs."""
        for outcome in self._worklist.ended(PAIR):
            assert outcome.pair is not None
            yield outcome.pair

    def unresolved(self) -> Iterator[Outcome]:
        """The cases for people."""
        return self._worklist.ended(PEOPLE)

    def outcomes(self) -> Iterator[Outcome]:
        """All records that came to an end."""
        return self._worklist.ended()

    def all(self) -> Iterator[tuple[Record, str, Outcome | None]]:
        """Every record with its target language, and how it ended so far, in the order of the input."""
        return self._worklist.all()

    def record(self, id: str, target: str) -> Record | None:
        """The record `id` as it goes into the language `target`; None where the input does not have it."""
        return self._worklist.record(id, target)

    def pending(self) -> Iterator[str]:
        """The ids of records that have not come to an end."""
        return (record.id for record, _ in self._worklist.pending())

    def ids(self) -> Iterator[tuple[str, str]]:
        """Id and target language of every record."""
        return self._worklist.ids()

    def counts(self, target: str | None = None) -> Counter[str]:
        """How many records are in each state, "pending", "pair" and "people": of one language, or of all."""
        return self._worklist.counts(target)

    def duplicates(self) -> int:
        """How many records have the content of an earlier one, and its result."""
        return self._worklist.duplicates()

    def models(self) -> list[str]:
        """The models, the fallback second if there is one."""
        return [model["model"] for model in self.config["models"]]

    def digest(self) -> str:
        """What tells this run from others, of its settings and of what went in: 16 hexadecimal digits."""
        digest = hashlib.blake2b(json.dumps(self.config, sort_keys=True).encode(), digest_size=8)
        for id, target in self.ids():
            digest.update(json.dumps([id, target]).encode())
        return digest.hexdigest()

    def one_target(self, target: str | None) -> str:
        """The language `target` of the run, or its only one. Raises `UsageError` where there are several."""
        targets: list[str] = self.config["targets"]
        if target is None and len(targets) == 1:
            return targets[0]
        if target is None or target not in targets:
            raise UsageError(
                f"the run in {self.folder} has the targets {', '.join(targets)}: name one with --target"
            )
        return target

    def files(self, name: str) -> dict[str, Path]:
        """The file `name` by target language: one for each, such as ``parallel.zh.jsonl``, where there are several."""
        return files_of(self.folder, name, self.config["targets"])

    def files_of_before(self, name: str) -> set[Path]:
        """Files of that kind which an earlier start wrote, for other target languages than those of today."""
        written: set[Path] = set()
        for (config,) in self.ledger.store.read("SELECT config FROM run"):
            written.update(files_of(self.folder, name, json.loads(config).get("targets", ())).values())
        return written - set(self.files(name).values())

    def nothing_counted(self) -> Statistics:
        """Statistics of the run's models and records to which no outcome was added yet."""
        return Statistics(self.models(), sum(self.counts().values()), self.duplicates())

    def statistics(self) -> Statistics:
        """Counts over all records of the run."""
        if self._statistics is not None:
            return self._statistics
        statistics = self.nothing_counted()
        for outcome in self._worklist.ended():
            statistics.add(outcome)
        return statistics

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def files_of(folder: Path, name: str, targets: Sequence[str]) -> dict[str, Path]:
    """The file `name` of a folder by target language: ``parallel.zh.jsonl`` and so on where there are several."""
    if len(targets) == 1:
        return {targets[0]: folder / name}
    stem, _, suffix = name.partition(".")
    return {target: folder / f"{stem}.{target}.{suffix}" for target in targets}
