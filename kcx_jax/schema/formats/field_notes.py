"""What a format says of single fields, at the end of a class's description, where a schema can hold it.

    Violence. Fields: attacker: "who does it", examples "rebels", "李白"; weapon: examples "stone"

Fields stand in the order of their names. An export to a format that describes fields takes the end apart again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kcx_jax.schema.docstrings import one_line
from kcx_jax.schema.strings import quote, unquote

_LITERAL = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_LITERALS = rf"{_LITERAL}(?:, {_LITERAL})*+"
_PLAIN = r"[A-Za-z_][A-Za-z0-9_]*+"
_ITEM = rf"(?:{_PLAIN}|{_LITERAL}): (?:{_LITERAL}(?:, examples {_LITERALS})?+|examples {_LITERALS})"
_NOTES = re.compile(rf"(?:^|(?<= ))Fields: ({_ITEM}(?:; {_ITEM})*+)\Z")
_ONE_ITEM = re.compile(
    rf"(?P<name>{_PLAIN}|{_LITERAL}): (?P<said>{_LITERAL})?+(?:(?:, )?examples (?P<examples>{_LITERALS}))?+"
)
_SPACE = re.compile(r"[^\S ]| (?= )|(?<= ) ")  # what a description of one line would not keep


@dataclass(frozen=True)
class Note:
    """What is said of a field."""

    description: str = ""
    examples: tuple[str, ...] = ()


def with_notes(description: str, notes: Mapping[str, Note]) -> str:
    """The description with the notes behind it, beside those that it has; `without_notes` is the way back."""
    notes = {name: note for name, note in notes.items() if note != Note()}
    if not notes:
        return description
    plain, known = without_notes(description)
    if set(known) & set(notes):
        plain, known = one_line(description), {}
    return _composed(plain, known | notes)


def without_notes(description: str) -> tuple[str, dict[str, Note]]:
    """The description by itself, and the notes as `with_notes` writes them (anything else stays where it is)."""
    description = one_line(description)
    found = _NOTES.search(description)
    if found is None:
        return description, {}
    plain = description[: found.start()].rstrip(" ")
    notes = {_name(item["name"]): _note(item) for item in _ONE_ITEM.finditer(found.group(1))}
    return (plain, notes) if _composed(plain, notes) == description else (description, {})


def _composed(plain: str, notes: Mapping[str, Note]) -> str:
    listed = "; ".join(f"{_spelled(name)}: {_said(note)}" for name, note in sorted(notes.items()))
    return f"{plain} Fields: {listed}".lstrip(" ")


def _spelled(name: str) -> str:
    return name if re.fullmatch(_PLAIN, name) else _literal(name)


def _said(note: Note) -> str:
    parts = [_literal(one_line(note.description))] if note.description else []
    if note.examples:
        parts.append(f"examples {', '.join(map(_literal, note.examples))}")
    return ", ".join(parts)


def _literal(text: str) -> str:
    return _SPACE.sub(lambda found: f"\\u{ord(found.group()):04x}", quote(text))


def _name(spelled: str) -> str:
    return unquote(spelled[1:-1]) if spelled.startswith('"') else spelled


def _note(item: re.Match[str]) -> Note:
    examples = re.findall(_LITERAL, item["examples"] or "")
    return Note(unquote((item["said"] or '""')[1:-1]), tuple(unquote(each[1:-1]) for each in examples))
