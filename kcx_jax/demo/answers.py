"""The held-out sentences, answered by every system and scored; each system's answers are kept once they are there."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from kcx_jax.corpora import Record, read_records, write_records
from kcx_jax.demo.run import Say
from kcx_jax.demo.settings import UNSEEN
from kcx_jax.evaluation import Answered, answer_records, console_table, score_table
from kcx_jax.extraction import Extractor
from kcx_jax.schema import TASKS, Schema

MAX_NEW_TOKENS = 120


def answer_all(
    base: Path,
    adapters: Mapping[str, Path | None],
    gold: Mapping[str, Sequence[Record]],
    schema: Schema,
    folder: Path,
    say: Say,
) -> dict[str, Any]:
    """Answers of every system for every language and task, their scores, and what the report shows of them."""
    answers: dict[str, dict[str, dict[Any, list[Answered]]]] = {}
    for system, adapter in adapters.items():
        extractor = None
        for language, records in gold.items():
            for task in TASKS:
                kept = folder / f"{system.replace(' ', '')}-{language}-{task}.jsonl"
                if not kept.exists():
                    if extractor is None:
                        extractor = Extractor.from_pretrained(
                            base, adapter=adapter, dtype="float32", max_new_tokens=MAX_NEW_TOKENS
                        )
                    _keep(answer_records(extractor, records, schema, task), kept)
                answers.setdefault(system, {}).setdefault(language, {})[task] = _kept(kept)
        say(f"  {system}: answered")
    table = score_table(gold, answers)
    Console(stderr=True).print(console_table(table, (UNSEEN,)))
    return {
        "systems": list(adapters),
        "languages": list(gold),
        "tasks": list(TASKS),
        "scores": table,
        "records": _shown(gold, answers),
    }


def _keep(answered: Sequence[Answered], path: Path) -> None:
    write_records(
        [replace(one.record, meta={**one.record.meta, "answer": one.answer}) for one in answered], path
    )


def _kept(path: Path) -> list[Answered]:
    return [
        Answered(record.id, record.meta["answer"], record) for record in read_records(path, reader="jsonl")
    ]


def _shown(gold: Mapping[str, Sequence[Record]], answers: Mapping) -> list[dict[str, Any]]:
    """Every held-out sentence and task with gold and predictions, for the report's browser."""
    by_id = {
        (system, language, task): {one.id: one for one in answered}
        for system, languages in answers.items()
        for language, tasks in languages.items()
        for task, answered in tasks.items()
    }
    return [
        {
            "id": record.id,
            "language": language,
            "task": task,
            "text": record.text,
            "gold": record.to_json(),
            "predicted": {
                system: {
                    "record": by_id[system, language, task][record.id].record.to_json(),
                    "answer": by_id[system, language, task][record.id].answer,
                }
                for system in answers
            },
        }
        for language, records in gold.items()
        for task in TASKS
        for record in records
    ]
