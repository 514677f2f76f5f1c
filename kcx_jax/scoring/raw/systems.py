"""The systems by name: which kind of answer each gives, and how an answer's kind is told from its look."""

import re
from dataclasses import replace
from typing import Any

from kcx_jax.errors import UsageError
from kcx_jax.schema import ParsedAnswer, Problem, Schema, Task, parse_answer
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

ONE_TYPE_A_LINE = frozenset({"iepile", "oneke", "yayi", "universalner", "instructuie"})
"""Systems that are asked about a text several times, for some types each."""

MAX_LISTS = 100  # that follow one another are one answer

_BEHIND = ("trailing_text", "code_fence")
_AROUND = ("leading_text", *_BEHIND)  # prose or a code fence around an answer hides nothing of it
_LIST = re.compile(r"(?:```[\s,;]*+(?:```\w*+\s*+)?)?(?:\w+\s*=\s*)?\[")
_CALL = re.compile(r"(\w+)\(")
_GOLLIE = re.compile(r"\bresult\s*=|\w\(\s*(?:span|arg1|mention)\s*=")
_KNOWCODER = re.compile(r"\bresults\s*=|\w\(\s*trigger\s*=")
_CLASS = re.compile(r"^class \w+", re.MULTILINE)
_RESULTS = re.compile(r"^results?\s*=", re.MULTILINE)
_ANY_LIST = re.compile(r"^(?:results?\s*=\s*)?\[(?!INST\])", re.MULTILINE)
_PROMPT, _END_OF_PROMPT = "[INST]", "[/INST]"  # of Llama's chats, which IEPile and OneKE are
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
    answer = _behind_the_prompt(answer, system)
    if kind == "auto":
        kind = _kind_of(answer)
    if kind == "json":
        return labels.instances(parse_json(answer, task, text, asked, trigger), task)
    if kind == "strings":
        return labels.instances(parse_strings(answer, task, asked, trigger, text), task)
    code, thought = without_thought(answer)
    if thought is not None:
        return ParsedAnswer((), (thought,))
    return _code(code, schema.for_task(task), kind)


def _behind_the_prompt(answer: str, system: str) -> str:
    """The answer, where a system's script kept the prompt before it: classes, or an instruction. What a model asks
    itself behind its answer is no prompt."""
    if system in ("iepile", "oneke") and _PROMPT in answer.partition("{")[0]:
        return answer.partition(_END_OF_PROMPT)[2].partition(_PROMPT)[0]
    if SYSTEMS[system] in ("knowcoder", "gollie", "auto") and (first := _CLASS.search(answer)):
        found = _RESULTS.search(answer, first.end())
        if found and not _ANY_LIST.search(answer, 0, first.start()):
            return answer[found.start() :]
    return answer


def _code(code: str, schema: Schema, dialect: str) -> ParsedAnswer:
    """The instances of all lists that follow one another in an answer.

    Words around them are no problem, unless they call a class of the schema.
    """
    instances: list[Any] = []
    problems: list[Problem] = []
    at = 0
    for number in range(1, MAX_LISTS + 1):
        parsed = parse_answer(code[at:], schema, dialect)
        instances += parsed.instances
        found = [replace(each, position=at + each.position) for each in parsed.problems]
        problems += (each for each in found if each.kind not in _AROUND)
        rest = found[-1] if found else None
        if rest is None or rest.kind not in _BEHIND or not at <= code.find("[", at) < rest.position:
            break  # nothing stands behind the list, or there is none
        at = rest.position
        if not _LIST.match(code, at) or number == MAX_LISTS:
            calls = (match[1] for match in _CALL.finditer(code, at))
            problems += [rest] if any(name in schema.classes for name in calls) else []
            break
    return ParsedAnswer(tuple(instances), tuple(problems))


def _kind_of(answer: str) -> str:
    answer, _ = without_thought(answer)
    if _KNOWCODER.search(answer):
        return "knowcoder"
    if _GOLLIE.search(answer):
        return "gollie"
    if _CALLS.search(answer):
        return "kcx"
    return "json" if "{" in answer or "[" in answer else "strings"
