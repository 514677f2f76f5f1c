"""Answers that are spans with offsets, as GLiNER gives them: they stand where they say.

Form: ``[{"start": 0, "end": 3, "text": "Ada", "label": "person", "score": 0.97}]``, or any other that `parse_json`
knows, with start and end beside the text or in its place; offsets half-open in code points.
"""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from kcx_jax.corpora import Mention, Record
from kcx_jax.schema import Problem
from kcx_jax.scoring.raw.claims import Claims, Labels


def spans_at_offsets(answers: Iterable[Claims], labels: Labels, gold: Record) -> Record:
    """The record of what such answers claim about the text of `gold`.

    A span whose text does not stand there is unresolved. A label without a class and a mention without offsets are
    problems that stand for their items.
    """
    mentions: list[Mention] = []
    unresolved: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for answer in answers:
        problems += answer.problems
        for claim in answer.items:
            name = labels.class_of(claim.label, "entity")
            if name is None:
                problems.append(Problem("unknown_class", f"no class for {claim.label[:80]!r}", 0))
            elif claim.place is None:
                problems.append(Problem("wrong_argument", f"{claim.text[:80]!r} has no start and end", 0))
            else:
                start, end = claim.place
                stands = 0 <= start < end <= len(gold.text)
                text = claim.text or (gold.text[start:end] if stands else "")
                if stands and gold.text[start:end] == text:
                    mentions.append(Mention(f"e{len(mentions)}", name, start, end, text))
                else:
                    unresolved.append({"task": "ner", "type": name, "text": text})
    listed = [{"task": "ner", **asdict(problem)} for problem in problems]
    meta = {"unresolved": unresolved, "parse_problems": listed}
    kept = {key: value for key, value in meta.items() if value}
    return Record(gold.id, gold.language, gold.text, tuple(mentions), meta=kept)
