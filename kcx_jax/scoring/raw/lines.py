"""Files of raw answers, one answer after another: what was written, and which gold record it is about."""

import contextlib
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kcx_jax.corpora import Record
from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject, kind_of
from kcx_jax.corpora.jsonl import read_json_lines
from kcx_jax.errors import KcxError
from kcx_jax.schema import Task

ANSWER_KEYS = (
    "output",
    "prediction",
    "predictions",
    "response",
    "answer",
    "generated_text",
    "completion",
)
SCRIPT_KEYS = ("model_prediction", "Prediction")  # GoLLIE; B2NER, InstructUIE
KNOWCODER_KEY = "prediction-"  # and the setting behind it
GLINER_KEY = "entities"
TEXT_KEYS = ("text", "sentence", "input")
_INSTANCE = "Instance"  # what B2NER and InstructUIE were asked about, and gold
_ASKED_KEYS = ("type", "entity_type", "event_type", "label")
_SCRIPT_TASK = "Task"  # B2NER, InstructUIE, which has tasks besides
_TASK_NAMES: dict[str, Task] = {
    "ner": "ner",
    "re": "re",
    "spo": "re",
    "ed": "ed",
    "eet": "ed",
    "ee": "eae",
    "eea": "eae",
    "eae": "eae",
}


@dataclass(frozen=True)
class AnswerLine:
    """An answer in a file: its place, the gold record it is about, and what was asked."""

    where: str
    id: str
    text: str | None
    answer: str
    task: str | None  # another than ours, where a script names those that it has besides
    asked: str | None
    trigger: str | None


def holds_answers(path: Path) -> bool:
    """Whether a file holds raw answers rather than records, by the first of them."""
    _, first = next(read_json_items(path), ("", None))
    return isinstance(first, dict) and _answer_key(first) is not None


def read_answer_lines(path: Path, gold: Mapping[str, Record], system: str) -> Iterator[AnswerLine]:
    """The answers of a file in its order: JSON Lines, an array, or objects over several lines.

    gold: by id, in the order in which answers without an id and a text stand; then there must be one for each.
    Raises `KcxError` naming file and line.
    """
    joiner, number, by_place = _Joiner(gold), 0, ""
    for number, (where, value) in enumerate(_rows(path, system), 1):
        row = JsonObject(_flat(value, system), where)
        text = _asked_text(row.value)
        id = joiner.by_id_or_text(row, text, number)
        if id is None:
            id = joiner.by_place(row, text, number)
            by_place = by_place or (where if text is None else "")
        answer, trigger = _answer(row, system), _string(row.value, ("trigger",))
        yield AnswerLine(where, id, text, answer, _task(row), _asked_type(row.value), trigger)
    if by_place and number != len(gold):
        raise KcxError(
            f"{by_place}: an answer without an id and the text it is about, in a file of {number} answers to "
            f"{len(gold)} gold records: which one it answers, nobody can tell. Give each its id or its text, or as "
            "many answers as there are records"
        )


def _rows(path: Path, system: str) -> Iterator[tuple[str, Any]]:
    """The values of a file. GLiNER's own answers are lists, so that a line of its opens no array of them all."""
    if system == "gliner" and path.is_file():
        with contextlib.suppress(KcxError):
            _, first = next(read_json_lines(path), ("", None))
            if isinstance(first, list) and not any(_opens_answer(each) for each in first):
                return read_json_lines(path)
    return read_json_items(path)


def _opens_answer(value: Any) -> bool:
    """Whether an element of an array is a whole answer rather than a span."""
    return isinstance(value, list) or (isinstance(value, dict) and _answer_key(value, "gliner") is not None)


def _flat(value: Any, system: str) -> Any:
    """An answer as an object whose keys stand side by side."""
    if system == "gliner" and isinstance(value, list):
        return {ANSWER_KEYS[0]: value}
    if isinstance(value, dict) and isinstance(value.get(_INSTANCE), dict):
        asked = {key: each for key, each in value[_INSTANCE].items() if key in ("id", *TEXT_KEYS)}
        return {**asked, **value}
    return value


class _Joiner:
    """Which gold record an answer is about."""

    def __init__(self, gold: Mapping[str, Record]) -> None:
        self._gold, self._order = gold, list(gold)
        self._by_text: dict[str, str | None] = {}  # None: several records have it
        for record in gold.values():
            self._by_text[record.text] = None if record.text in self._by_text else record.id

    def by_id_or_text(self, row: JsonObject, text: str | None, number: int) -> str | None:
        """The id of the record that an answer names, or whose text it names as `text`; None where it names neither."""
        id = row.value.get("id")
        if isinstance(id, int) and not isinstance(id, bool):
            id = str(id)
        if id is not None and not isinstance(id, str):
            raise row.error("id", f"must be a string or a number, not {kind_of(id)}")
        if id is not None and id in self._gold and (text is None or _is_about(text, self._gold[id].text)):
            return id
        if text is not None and text in self._by_text:
            nth = self._nth(number)
            same = nth is not None and self._gold[nth].text == text
            known = nth if same else self._by_text[text]
            if known is None:
                raise row.error(
                    "id", f"does not tell the record: several gold records have the text {text[:60]!r}"
                )
            return known
        if id is not None and id not in self._gold:
            raise row.error("id", f"no gold record has the id {id!r}")
        if id is not None:
            raise _other_data(row, text, id)
        return None

    def by_place(self, row: JsonObject, text: str | None, number: int) -> str:
        """The id of the record at the place of an answer, the `number`-th from 1."""
        nth = self._nth(number)
        if nth is None:
            raise KcxError(f"{row.where}: a line without an id, and gold has only {len(self._order)} records")
        if text is not None and not _is_about(text, self._gold[nth].text):
            raise _other_data(row, text, nth)
        return nth

    def _nth(self, number: int) -> str | None:
        return self._order[number - 1] if number <= len(self._order) else None


def _other_data(row: JsonObject, text: str | None, id: str) -> KcxError:
    return KcxError(
        f"{row.where}: asked about {str(text)[:60]!r}, which is not the text of gold's record {id!r}. Is it an "
        "answer to other data?"
    )


def _is_about(asked: str, text: str) -> bool:
    """Whether what was asked about is the text, a part of it or a prompt that holds it, but for white space."""
    asked, text = ("".join(unicodedata.normalize("NFC", each).split()) for each in (asked, text))
    return asked in text or text in asked


def _asked_text(row: Mapping[str, Any]) -> str | None:
    """The text that a line was asked about; IEPile has it in an instruction that is itself JSON."""
    instruction = row.get("instruction")
    if isinstance(instruction, str) and instruction.lstrip().startswith("{"):
        with contextlib.suppress(ValueError, RecursionError):
            inner = json.loads(instruction)
            row = {**inner, **row} if isinstance(inner, dict) else row
    return _string(row, TEXT_KEYS)


def _answer_key(row: Mapping[str, Any], system: str = "") -> str | None:
    """The key that an answer stands under, if any does."""
    keys = (*SCRIPT_KEYS, *(key for key in row if key.startswith(KNOWCODER_KEY)), *ANSWER_KEYS)
    keys += (GLINER_KEY,) if system == "gliner" else ()
    return next((key for key in keys if key in row), None)


def _answer(row: JsonObject, system: str = "") -> str:
    """The answer's text; a JSON value that is no string stands for its own text."""
    key = _answer_key(row.value, system)
    if key is None:
        raise row.error("output", f"is missing; an answer stands under one of: {', '.join(ANSWER_KEYS)}")
    value = row.value[key]
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    raise row.error(key, f"must be a string, an object or a list, not {kind_of(value)}")


def _task(row: JsonObject) -> str | None:
    """The task that an answer names, if it names one."""
    name = row.value.get("task")
    if name is None:
        script = row.value.get(_SCRIPT_TASK)
        return None if script is None else _TASK_NAMES.get(str(script).casefold(), str(script))
    if str(name).casefold() not in _TASK_NAMES:
        raise row.error("task", f"unknown task {str(name)[:40]!r}; known: {', '.join(_TASK_NAMES)}")
    return _TASK_NAMES[str(name).casefold()]


def _asked_type(row: Mapping[str, Any]) -> str | None:
    """The one type that was asked for. IEPile's "label" is none: it is gold, as JSON."""
    asked = _string(row, _ASKED_KEYS)
    return None if asked is None or asked.lstrip().startswith(("{", "[")) else asked


def _string(row: Mapping[str, Any], keys: Iterable[str]) -> str | None:
    return next((row[key] for key in keys if isinstance(row.get(key), str)), None)
