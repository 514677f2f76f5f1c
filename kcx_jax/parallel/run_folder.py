"""What stands in a run's folder for those who read it: its pairs, those of people among them, and its cases."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kcx_jax.corpora import ParallelRecord, Record
from kcx_jax.corpora.json_object import JsonObject
from kcx_jax.corpora.jsonl import read_json_lines
from kcx_jax.errors import KcxError
from kcx_jax.llm import Ledger
from kcx_jax.parallel.build import LEDGER, SOURCE, UNRESOLVED, replay
from kcx_jax.parallel.checks import Draft
from kcx_jax.parallel.review import read_review


@dataclass(frozen=True)
class RunPairs:
    """A run's pairs, the ids of what is still with people or not finished, and an id of the run itself."""

    run_id: str
    pairs: list[ParallelRecord]
    with_people: list[str]
    unfinished: list[str]


def run_pairs(run_dir: Path) -> RunPairs:
    """The pairs a run has so far, made anew from its ledger, and then those of people; sends nothing.

    Raises `KcxError` when `run_dir` holds no run.
    """
    result = replay(run_dir)
    decided = read_review(run_dir)
    made = [pair for pair in result.pairs if pair.id not in decided]
    left = [case.record.id for case in result.unresolved if case.record.id not in decided]
    return RunPairs(run_id(run_dir), [*made, *decided.values()], left, result.pending)


def run_id(run_dir: Path) -> str:
    """What tells this run from others: a digest of its settings and of what went in."""
    digest = hashlib.blake2b(json.dumps(run_settings(run_dir), sort_keys=True).encode(), digest_size=8)
    digest.update((run_dir / SOURCE).read_bytes())
    return digest.hexdigest()


def target_language(run_dir: Path) -> str:
    """The language that a run translates into; `KcxError` when `run_dir` holds no run."""
    return str(run_settings(run_dir)["target"])


def run_settings(run_dir: Path) -> dict[str, Any]:
    """The settings a run was started with; `KcxError` when `run_dir` holds no run."""
    with Ledger(run_dir / LEDGER, readonly=True) as ledger:
        config = ledger.run_config()
    if config is None:
        raise KcxError(f"the run in {run_dir} was not started. Run `kcx parallel build` first.")
    return config


@dataclass(frozen=True)
class Case:
    """A record that no model resolved: the drafts a person may begin with, and what went wrong."""

    record: Record
    candidates: tuple[Draft, ...]
    problems: tuple[str, ...]


def read_cases(run_dir: Path) -> list[Case]:
    """The cases for people of a run that came to its end.

    Raises `KcxError` when the run has no such file yet, naming file, line and key where it is damaged.
    """
    path = run_dir / UNRESOLVED
    if not path.exists():
        raise KcxError(
            f"no {UNRESOLVED} in {run_dir}: a run writes it when `kcx parallel build` comes to its end."
        )
    return [_case(JsonObject(value, where)) for where, value in read_json_lines(path)]


def _case(row: JsonObject) -> Case:
    record = Record.from_json(row.get("source"), f"{row.where}: source")
    problems = row.items("problems", _problem) or ()
    if row.get("draft") is None:
        return Case(record, (), problems)
    draft = JsonObject(row.get("draft"), row.where, "draft")
    spans = JsonObject(draft.get("spans"), row.where, "draft.spans")
    texts = {id: spans.string(id) for id in spans.value}
    return Case(record, (Draft(draft.string("sentence"), texts),), problems)


def _problem(node: JsonObject) -> str:
    return f"{node.string('stage')}: {node.string('detail', empty=True)}"
