"""Answers in JSON: IEPile and OneKE, YAYI-UIE, UniversalNER, ReasoningNER, and what chat models make of them.

Forms: ``{type: [mention]}``, ``{relation: [{subject, object}]}``, ``{type: [{trigger, arguments: {role: value}}]}``,
``{type: [trigger]}``, ``{type: [{role: value}]}``; the same inside ``{"entities": ...}``; a list of mentions of
the type that was asked for; a list of objects that name their type; ``{role: [value]}`` of the event that was
asked for.
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
_TYPES = (
    "type",
    "label",
    "relation",
    "predicate",
    "entity_type",
    "event_type",
    "relation_type",
    "class",
    "关系",
)
_TEXTS = ("text", "entity", "name", "span", "mention", "word", "surface", "value")
_HEADS = ("subject", "head", "arg1", "head_entity", "source", "头实体")
_TAILS = ("object", "tail", "arg2", "tail_entity", "target", "尾实体")
_TRIGGERS = ("trigger", "event_trigger", "mention")
_NOTHING = frozenset({"nan", "none", "null"})
_PLACEHOLDER = "NAN"  # IEPile's, of a role that nothing fills and an event without a trigger


def parse_json(
    answer: str, task: Task, text: str, asked: str | None = None, trigger: str | None = None
) -> Claims:
    """What an answer in JSON claims about `text`.

    asked, trigger: the type, and the trigger, that the question was about, if it was about one. Words for nothing, such
    as null, are names where they stand in the text.
    """
    found = read_partial_json(answer)
    reader = _Reader(task, text, trigger)
    items = tuple(reader.items(_unwrapped(found.value, task), asked))
    return Claims(items, (*found.problems, *problem_of(reader.lost)))


def _unwrapped(value: Any, task: Task) -> Any:
    """What a wrapper holds. Arguments beside a type or a trigger are none: they are that event's."""
    if isinstance(value, dict):
        is_event = _first(value, (*_TYPES, *_TRIGGERS)) is not None
        for key in _WRAPPERS[task]:
            if isinstance(value.get(key), dict | list) and not (key == "arguments" and is_event):
                return value[key]
    return value


class _Reader:
    """Values that were read -> claims; `lost`: what was none."""

    def __init__(self, task: Task, text: str, trigger: str | None) -> None:
        self.task, self.text, self.trigger = task, text, trigger
        self.lost: list[str] = []

    def items(self, value: Any, asked: str | None) -> Iterator[Claim]:
        """The claims of a whole answer."""
        if isinstance(value, dict) and self._is_item(value):
            value = [value]
        if isinstance(value, dict) and asked is not None and self._is_event_of(value, asked):
            named = _first(value, _TRIGGERS) is not None
            event = self._event(value if named else {"trigger": self.trigger, "arguments": value}, asked)
            yield from [event] if event is not None else []
        elif isinstance(value, dict):
            for label, rows in value.items():
                for row in rows if isinstance(rows, list) else [rows]:
                    yield from self._item(row, label)
        for row in value if isinstance(value, list) else []:
            label = _first(row, _TYPES) if isinstance(row, dict) else None
            if label is None and asked is None:
                self.lost.append(f"{str(row)[:80]} names no type")
            else:
                yield from self._item(row, label or asked or "")

    def _is_item(self, value: dict[str, Any]) -> bool:
        """Whether an object names its type, and is not one of types with their mentions."""
        if _first(value, _TYPES) is None:
            return False
        is_event = self.task in ("ed", "eae") and _first(value, _TRIGGERS) is not None
        return is_event or not any(isinstance(each, list) for each in value.values())

    def _is_event_of(self, value: dict[str, Any], asked: str) -> bool:
        """Whether an object holds the roles of the one event that was asked for, with their texts."""
        texts = (each for row in value.values() for each in (row if isinstance(row, list) else [row]))
        return self.task == "eae" and asked not in value and not any(isinstance(each, dict) for each in texts)

    def _item(self, row: Any, label: str) -> Iterator[Claim]:
        """The claim of one row; none for a placeholder of nothing."""
        if row is None or (isinstance(row, str) and self._is_nothing(row)):
            return
        if self.task == "ed" and self._is_placeholder(_first(row, _TRIGGERS)):
            return  # an event that is not said to stand anywhere
        claim = None
        if self.task in ("ner", "ed"):
            keys = _TEXTS if self.task == "ner" else (*_TRIGGERS, *_TEXTS)
            named = row if isinstance(row, str) else _first(row, keys)
            place = _place(row) if self.task == "ner" else None
            claim = Claim(label, named or "", place=place) if named or place else None
        elif self.task == "re":
            head, tail = _ends(row)
            claim = Claim(label, head, tail) if head and tail else None
        elif isinstance(row, dict):
            claim = self._event(row, label)
        if claim is None:
            self.lost.append(f"{label[:40]}: {str(row)[:80]} is no item of {self.task}")
        else:
            yield claim

    def _event(self, row: dict[str, Any], label: str) -> Claim | None:
        """An event; one that names no trigger hangs on its first argument. Roles may stand beside the trigger."""
        trigger = _first(row, _TRIGGERS)
        beside = {key: each for key, each in row.items() if key not in (*_TYPES, *_TRIGGERS, *_TEXTS)}
        arguments = tuple(self._arguments(row.get("arguments", beside if trigger is not None else row)))
        if self._is_placeholder(trigger):
            trigger = None
        if trigger is None and arguments:
            trigger = arguments[0][1]
        return Claim(label, trigger, arguments=arguments) if trigger else None

    def _arguments(self, given: Any) -> Iterator[tuple[str, str]]:
        if isinstance(given, list):
            for each in given:
                if isinstance(each, dict):
                    role, text = _first(each, ("role", *_TYPES)), _first(each, ("argument", *_TEXTS))
                    yield from [(role, text)] if role and text else self._arguments(each)
            return
        role, text = _first(given, ("role",)), _first(given, ("argument", *_TEXTS))
        if role and text:
            yield role, text
            return
        for role, values in given.items() if isinstance(given, dict) else ():
            if role in _TYPES:
                continue
            for value in values if isinstance(values, list) else [values]:
                text = value if isinstance(value, str) else _first(value, _TEXTS)
                if text is not None and not self._is_placeholder(text):
                    yield role, text

    def _is_placeholder(self, name: str | None) -> bool:
        return name is not None and (name.strip() == _PLACEHOLDER or self._is_nothing(name))

    def _is_nothing(self, name: str) -> bool:
        stripped = name.strip()
        return not stripped or (stripped.casefold() in _NOTHING and stripped not in self.text)


def _ends(row: Any) -> tuple[str | None, str | None]:
    if isinstance(row, list) and len(row) == 2 and all(isinstance(end, str) for end in row):
        return row[0], row[1]
    return (_first(row, _HEADS), _first(row, _TAILS)) if isinstance(row, dict) else (None, None)


def _place(row: Any) -> tuple[int, int] | None:
    """The offsets of a span that has them; numbers are floats as JSON is read."""
    ends = (row.get("start"), row.get("end")) if isinstance(row, dict) else ()
    whole = [int(each) for each in ends if isinstance(each, float) and each.is_integer()]
    return (whole[0], whole[1]) if len(whole) == 2 else None


def _first(row: Any, keys: tuple[str, ...]) -> str | None:
    """The first of the keys that holds a string."""
    found = [row[key] for key in keys if isinstance(row.get(key), str)] if isinstance(row, dict) else []
    return found[0] if found else None
