"""The results folder: what is where in it, and that no other evaluation's results are written over.

config.yaml   the resolved config          table.md, table.tex, table.json
.lock         keeps shards apart that write the files of all at once; .report.lock those that write the page
report.html   the page; sentences.jsonl    figures/*.pdf, *.png
run.json      versions, digests of data and weights
gold/BENCHMARK.jsonl                       the records as they were asked
systems/SYSTEM/BENCHMARK/TASK.answers.jsonl, TASK.records.jsonl, scores.json
"""

import json
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from kcx_jax.corpora.jsonl import escaped
from kcx_jax.errors import KcxError
from kcx_jax.evaluation.runs.config import (
    BenchmarkSettings,
    EvaluateConfig,
    SystemSettings,
    dump_config,
    load_config,
)
from kcx_jax.extraction.resume import holds_results
from kcx_jax.files import alone_with, atomic_write, refuse_existing

_CONFIG, _FACTS, _LOCK = "config.yaml", "run.json", ".lock"
_PACKAGES = ("kcx-jax", "jax", "jaxlib", "flax", "sentencepiece", "tokenizers", "openai", "python-crfsuite")
# What changes how an answer is got, and not the answer.
ON_THE_WAY = frozenset({"budget", "prices", "concurrency", "timeout", "api_key_env"})
_OF_A_TASK = ("units", "resampling", "records", "rates", "missing")  # what scores say of each task
_SAME = ("seed", "mode", "samples")
# What of a system cannot be had of other settings: its records, and what a tagger learnt. A ledger's answers are kept
# by what was asked.
_HELD = ("*/*.records.jsonl", "*/*.crfsuite")


def deciding(settings: SystemSettings | BenchmarkSettings) -> dict[str, Any]:
    """What of some settings decides the answers, as JSON values."""
    values = settings.model_dump(mode="json", by_alias=True)
    return {key: value for key, value in values.items() if key not in ON_THE_WAY}


class Results:
    """The folder of one evaluation."""

    def __init__(self, root: str | Path):
        self.root = Path(root)

    def gold(self, benchmark: str) -> Path:
        """The records of a benchmark."""
        return self.root / "gold" / f"{benchmark}.jsonl"

    def system(self, system: str) -> Path:
        """The folder of a system."""
        return self.root / "systems" / system

    def records(self, system: str, benchmark: str, task: str) -> Path:
        """The predicted records of a system; complete once they are there."""
        return self.system(system) / benchmark / f"{task}.records.jsonl"

    def answers(self, system: str, benchmark: str, task: str) -> Path:
        """The raw answers behind them, in the form that `kcx score --predicted-format` reads."""
        return self.system(system) / benchmark / f"{task}.answers.jsonl"

    def scores(self, system: str, benchmark: str) -> Path:
        """The scores of a system."""
        return self.system(system) / benchmark / "scores.json"

    def scored(self, system: str, benchmark: str) -> dict[str, Any]:
        """What the scores say; nothing where there are none. Raises `KcxError` for a damaged file."""
        path = self.scores(system, benchmark)
        if not path.exists():
            return {}
        remedy = "Remove it and run again: the records beside it are scored anew"
        scores = read_values(path, ("tasks",), remedy)
        if not _whole(scores["tasks"]):
            raise KcxError(f"{path} is damaged: a task of it lacks one of {', '.join(_OF_A_TASK)}. {remedy}")
        return scores

    def holds_answers(self, system: str) -> bool:
        """Whether anything is there that a system of these settings alone has given."""
        folder = self.system(system)
        partial = folder.glob("*/*.records.jsonl.partial")
        return any(any(folder.glob(pattern)) for pattern in _HELD) or any(map(holds_results, partial))

    def claim(self, config: EvaluateConfig) -> None:
        """Note a resolved config, or go on from the one noted: it may have grown by benchmarks and systems.

        Raises `KcxError` when the folder holds another evaluation, or something else.
        """
        self._refuse_others()
        path = self.root / _CONFIG
        with alone_with(self.root / _LOCK):
            if path.exists():
                kept = load_config(path)
                self._check_grown(kept, config)
                self._forget_changed(kept, config)
            self._write(path, dump_config(config))

    def claim_as_is(self, config: str) -> None:
        """Note a config's YAML, or go on from the same one. Raises `KcxError` as `claim`."""
        self._refuse_others()
        path = self.root / _CONFIG
        with alone_with(self.root / _LOCK):
            if path.exists() and path.read_text(encoding="utf-8") != config:
                raise KcxError(f"{self.root} holds the results of another config: use --set results=OTHER")
            self._write(path, config)

    def _refuse_others(self) -> None:
        """Raise `KcxError` for what is no results folder: those hold a config, or another shard that writes it now."""
        # Looked at once: what another shard makes has the lock before all else.
        found = {path.name for path in self.root.iterdir()} if self.root.is_dir() else set()
        if self.root.is_file() or (found and not found & {_CONFIG, _LOCK}):
            refuse_existing(
                self.root,
                overwrite=False,
                way_out="It holds no results of kcx evaluate: use --set results=OTHER.",
            )

    def _check_grown(self, kept: EvaluateConfig, config: EvaluateConfig) -> None:
        other = [key for key in _SAME if getattr(kept, key) != getattr(config, key)]
        held = {"benchmarks": lambda name: self.gold(name).exists(), "systems": self.holds_answers}
        for what, holds in held.items():
            new = {each.name: deciding(each) for each in getattr(config, what)}
            for each in getattr(kept, what):  # of which something is there; others may change
                if new.get(each.name) != deciding(each) and holds(each.name):
                    change = "has other settings" if each.name in new else "is no longer there"
                    other.append(f"{what.removesuffix('s')} {each.name} {change}")
        if other:
            raise KcxError(
                f"{self.root} holds the results of another config ({'; '.join(other[:5])}). More benchmarks and "
                "systems may join it; for anything else write to a folder of its own: --set results=OTHER"
            )

    def _forget_changed(self, kept: EvaluateConfig, config: EvaluateConfig) -> None:
        """Drop what was noted of systems that have other settings now: they gave nothing yet (`_check_grown`)."""
        facts, same = self.facts(), [deciding(each) for each in kept.systems]
        changed = {each.name for each in config.systems if deciding(each) not in same}
        if known := changed & facts["systems"].keys():
            for name in known:
                del facts["systems"][name]
            self._write_facts(facts)

    def facts(self) -> dict[str, Any]:
        """What run.json notes. Raises `KcxError` for a damaged file."""
        path = self.root / _FACTS
        empty: dict[str, Any] = {"versions": [], "benchmarks": {}, "systems": {}, "outputs": {}}
        remedy = "Bring it back, or begin in another folder: --set results=OTHER"
        return read_values(path, tuple(empty), remedy) if path.exists() else empty

    def note(self, part: str, name: str, found: dict[str, Any], anew: bool = False) -> None:
        """Note the facts of a benchmark, system or file. Raises `KcxError` when one differs from what was noted.

        With `anew` they replace what was noted, since nothing of that is there.
        """
        with alone_with(self.root / _LOCK):  # shards note theirs at the same time
            self._note(part, name, found, anew)

    def _note(self, part: str, name: str, found: dict[str, Any], anew: bool) -> None:
        facts = self.facts()
        if anew:
            facts[part].pop(name, None)
        known = facts[part].setdefault(name, {})
        changed = [key for key in found if known.get(key, found[key]) != found[key]]
        known.update(found)
        if changed:
            raise KcxError(
                f"{part.removesuffix('s')} {name}: {', '.join(changed)} changed since {self.root} was begun. Bring "
                "back what it was, or write to another folder: --set results=OTHER"
            )
        if versions() not in facts["versions"]:
            facts["versions"].append(versions())
        self._write_facts(facts)

    def _write_facts(self, facts: dict[str, Any]) -> None:
        self.write_json(self.root / _FACTS, facts)

    def write_json(self, path: Path, value: Any) -> None:
        """Write JSON values in the place of what is there."""
        self._write(path, escaped(json.dumps(value, ensure_ascii=False, indent=1)) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a file of the folder in the place of what is there."""
        self._write(self.root / name, text)

    def _write(self, path: Path, text: str) -> None:
        if path.exists() and path.read_text(encoding="utf-8") == text:
            return
        with atomic_write(path, overwrite=True) as handle:
            handle.write(text)


def read_values(path: Path, keys: Sequence[str], remedy: str) -> dict[str, Any]:
    """The JSON object in a file. Raises `KcxError`, which names `remedy`, where it is damaged or lacks a key."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise KcxError(f"cannot read {path}: {error}. {remedy}") from error
    if not isinstance(values, dict) or not values.keys() >= set(keys):
        raise KcxError(f"{path} is damaged: it is no JSON object with {', '.join(keys)}. {remedy}")
    return values


def _whole(tasks: Any) -> bool:
    """Whether scores have, task by task, what the table needs."""
    if not isinstance(tasks, dict) or not all(isinstance(found, dict) for found in tasks.values()):
        return False
    parts = ((task, found.get(key)) for task, found in tasks.items() for key in _OF_A_TASK)
    return all(isinstance(part, dict) and task in part for task, part in parts)


def versions() -> dict[str, str]:
    """Python and the packages that answers may depend on, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
