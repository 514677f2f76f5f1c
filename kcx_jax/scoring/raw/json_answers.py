"""Answers in JSON: IEPile and OneKE, YAYI-UIE, UniversalNER, ReasoningNER, and what chat models make of them.

Forms: ``{type: [mention]}``, ``{relation: [{subject, object}]}``, ``{type: [{trigger, arguments: {role: value}}]}``,
``{type: [trigger]}``, ``{type: [{role: value}]}``; the same inside ``{"entities": ...}``; a list of mentions of
the type that was asked for; a list of objects that name their type.
"""

from collections.abc import Iterator
from typing import Any

from kcx_jax.schema import Task
from kcx_jax.scoring.raw.claims import Claim, Claims, problem_of
from kcx_jax.scoring.raw.partial_json import read_partial_json

_WRAPPERS = {
    "ner": ("entities", "entity_list"),
    "re": ("relations", "relation_list", "triples", "spo_list"),
    "ed": ("events", "event_list", "triggers"),
    "eae": ("events", "event_list", "arguments"),
}
_TYPES = ("type", "label", "relation", "predicate", "entity_type", "event_type", "relation_type", "class")
_TEXTS = ("text", "entity", "name", "span", "mention", "word", "surface", "value")
_HEADS = ("subject", "head", "arg1", "head_entity", "source")
_TAILS = ("object", "tail", "arg2", "tail_entity", "target")
_TRIGGERS = ("trigger", "event_trigger", "mention")
_NOTHING = frozenset({"", "nan", "none", "null"})


def parse_json(answer: str, task: Task, asked: str | None = None) -> Claims:
    """What an answer in JSON claims; `asked`: the type that the question was about, if it was about one."""
    found = read_partial_json(answer)
    lost: list[str] = []
    items = tuple(_items(_unwrapped(found.value, task), task, asked, lost))
    return Claims(items, (*found.problems, *problem_of(lost)))


def _unwrapped(value: Any, task: Task) -> Any:
    if isinstance(value, dict):
        for key in _WRAPPERS[task]:
            if isinstance(value.get(key), dict | list):
                return value[key]
    return value


def _items(value: Any, task: Task, asked: str | None, lost: list[str]) -> Iterator[Claim]:
    if isinstance(value, dict):
        if _first(value, _TYPES) is not None and not any(isinstance(v, list) for v in value.values()):
            value = [value]  # a single object that names its type
        else:
            for label, rows in value.items():
                for row in rows if isinstance(rows, list) else [rows]:
                    yield from _item(row, label, task, lost)
            return
    for row in value if isinstance(value, list) else []:
        label = _first(row, _TYPES) if isinstance(row, dict) else None
        if label is None and asked is None:
            lost.append(f"{str(row)[:80]} names no type")
        else:
            yield from _item(row, label or asked or "", task, lost)


def _item(row: Any, label: str, task: Task, lost: list[str]) -> Iterator[Claim]:
    """The claim of one row; none for a placeholder of nothing."""
    if row is None or (isinstance(row, str) and row.strip().casefold() in _NOTHING):
        return
    claim = None
    if task in ("ner", "ed"):
        texts = _TEXTS if task == "ner" else (*_TRIGGERS, *_TEXTS)
        text = row if isinstance(row, str) else _first(row, texts)
        claim = Claim(label, text) if text else None
    elif task == "re":
        head, tail = _ends(row)
        claim = Claim(label, head, tail) if head and tail else None
    elif isinstance(row, dict):
        claim = _event(row, label)
    if claim is None:
        lost.append(f"{label[:40]}: {str(row)[:80]} is no item of {task}")
    else:
        yield claim


def _ends(row: Any) -> tuple[str | None, str | None]:
    if isinstance(row, list) and len(row) == 2 and all(isinstance(end, str) for end in row):
        return row[0], row[1]
    return (_first(row, _HEADS), _first(row, _TAILS)) if isinstance(row, dict) else (None, None)


def _event(row: dict[str, Any], label: str) -> Claim | None:
    """An event; one that names no trigger hangs on its first argument."""
    trigger = _first(row, _TRIGGERS)
    given = row.get("arguments", row if trigger is None else {})
    arguments = tuple(_arguments(given))
    if trigger is None and arguments:
        trigger = arguments[0][1]
    return Claim(label, trigger, arguments=arguments) if trigger else None


def _arguments(given: Any) -> Iterator[tuple[str, str]]:
    if isinstance(given, list):
        for each in given:
            if isinstance(each, dict):
                role, text = _first(each, ("role", *_TYPES)), _first(each, ("argument", *_TEXTS))
                yield from [(role, text)] if role and text else _arguments(each)
        return
    for role, values in given.items() if isinstance(given, dict) else ():
        if role in _TYPES:
            continue
        for value in values if isinstance(values, list) else [values]:
            text = value if isinstance(value, str) else _first(value, _TEXTS)
            if text is not None and text.strip().casefold() not in _NOTHING:
                yield role, text


def _first(row: Any, keys: tuple[str, ...]) -> str | None:
    """The first of the keys that holds a string."""
    found = [row[key] for key in keys if isinstance(row.get(key), str)] if isinstance(row, dict) else []
    return found[0] if found else None
