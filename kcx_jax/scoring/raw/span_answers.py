"""Answers that are spans with offsets, as GLiNER gives them: they stand where they say.

Form: ``[{"start": 0, "end": 3, "text": "Ada", "label": "person", "score": 0.97}]``, offsets half-open in code points.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from kcx_jax.corpora import Mention, Record
from kcx_jax.schema import Problem
from kcx_jax.scoring.raw.claims import Labels
from kcx_jax.scoring.raw.partial_json import read_partial_json


def spans_at_offsets(
    answers: Iterable[str], problems: Iterable[Problem], labels: Labels, gold: Record
) -> Record:
    """The record of such answers about the text of `gold`; a span whose text does not stand there is unresolved.

    `problems`: of the same answers, parsed. A label without a class is among them, so its span is left out here.
    """
    mentions: list[Mention] = []
    unresolved: list[dict[str, Any]] = []
    for row in _rows(answers):
        name = labels.class_of(str(row.get("label")), "entity")
        start, end, text = _offset(row.get("start")), _offset(row.get("end")), row.get("text")
        if name is None or not isinstance(text, str):
            continue
        if 0 <= start < end and gold.text[start:end] == text:
            mentions.append(Mention(f"e{len(mentions)}", name, start, end, text))
        else:
            unresolved.append({"task": "ner", "type": name, "text": text})
    listed = [{"task": "ner", **asdict(problem)} for problem in problems]
    meta = {"unresolved": unresolved, "parse_problems": listed}
    kept = {key: value for key, value in meta.items() if value}
    return Record(gold.id, gold.language, gold.text, tuple(mentions), meta=kept)


def _rows(answers: Iterable[str]) -> Iterator[dict[str, Any]]:
    for answer in answers:
        value = read_partial_json(answer).value
        yield from (row for row in (value if isinstance(value, list) else ()) if isinstance(row, dict))


def _offset(value: Any) -> int:
    """A whole number as the reader of JSON gives it; -1 for anything else."""
    return int(value) if isinstance(value, float) and value.is_integer() else -1
