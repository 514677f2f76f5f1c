"""The systems by name: which kind of answer each gives, and how an answer's kind is told from its look."""

import re
from dataclasses import replace

from kcx_jax.errors import UsageError
from kcx_jax.schema import ParsedAnswer, Schema, Task, parse_answer
from kcx_jax.scoring.raw.claims import Labels
from kcx_jax.scoring.raw.json_answers import parse_json
from kcx_jax.scoring.raw.partial_json import without_thought
from kcx_jax.scoring.raw.string_answers import parse_strings

SYSTEMS = {
    "iepile": "json",
    "oneke": "json",
    "yayi": "json",
    "universalner": "json",
    "reasoningner": "json",
    "gliner": "json",
    "b2ner": "strings",
    "instructuie": "strings",
    "kcx": "kcx",
    "knowcoder": "knowcoder",
    "gollie": "gollie",
    "chat": "auto",
    "auto": "auto",
}
"""System -> kind of answer: json, strings, a dialect of code, or auto (by its look, line by line)."""

_AROUND = (
    "leading_text",
    "trailing_text",
    "code_fence",
)  # prose or a code fence around an answer hides nothing of it
_GOLLIE = re.compile(r"\bresult\s*=|\w\(\s*(?:span|arg1|mention)\s*=")
_KNOWCODER = re.compile(r"\bresults\s*=|\w\(\s*trigger\s*=")
_CALLS = re.compile(r"\[\s*[A-Z]\w*\(|^\s*\[\s*\]\s*$")


def parse_raw(
    answer: str,
    system: str,
    task: Task,
    labels: Labels,
    schema: Schema,
    text: str,
    asked: str | None = None,
    trigger: str | None = None,
) -> ParsedAnswer:
    """The instances that a system's raw answer claims, and the problems of the rest.

    Args:
        labels: how the system's labels become classes of `schema`. text: what was asked about. asked, trigger:
            the one type, and trigger, that the question was about.

    Takes any answer, in time linear in its length. Raises `UsageError` for an unknown system.
    """
    if system not in SYSTEMS:
        raise UsageError(f"unknown format of predictions {system!r}; known: records, {', '.join(SYSTEMS)}")
    kind = SYSTEMS[system]
    if kind == "auto":
        kind = _kind_of(answer)
    if kind == "json":
        return labels.instances(parse_json(answer, task, asked), task)
    if kind == "strings":
        return labels.instances(parse_strings(answer, task, asked, trigger, text), task)
    code, thought = without_thought(answer)
    if thought is not None:
        return ParsedAnswer((), (thought,))
    parsed = parse_answer(code, schema.for_task(task), kind)
    return replace(parsed, problems=tuple(each for each in parsed.problems if each.kind not in _AROUND))


def _kind_of(answer: str) -> str:
    answer, _ = without_thought(answer)
    if _KNOWCODER.search(answer):
        return "knowcoder"
    if _GOLLIE.search(answer):
        return "gollie"
    if _CALLS.search(answer):
        return "kcx"
    return "json" if "{" in answer or "[" in answer else "strings"
