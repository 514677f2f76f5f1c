"""Reading the sentence frames (the format is explained at the top of frames_entities.txt), strictly."""

import re
from dataclasses import dataclass, field
from functools import cache

from kcx_jax.demo.corpus.tables import LANGUAGES, lines
from kcx_jax.errors import KcxError

FRAME_FILES = ("frames_entities.txt", "frames_relations.txt", "frames_events.txt")
OPENER_FILE = "frames_openers.txt"

_SLOT = re.compile(r"(\w+)([:=~])(\w+)")
_CALL = re.compile(r"(\w+)\(([^()]*)\)")
_PIECE = re.compile(r"\{(\w+)(?::([^{}]*))?\}|\[([^\[\]]+)\]")


@dataclass(frozen=True)
class Slot:
    """A place for a name of entity type `kind` or a word of filler section `kind`.

    `of` names another slot whose name this one repeats, `short` says in short.
    """

    name: str
    kind: str
    of: str | None = None
    short: bool = False


@dataclass(frozen=True)
class Piece:
    """A part of a template: literal text, a slot, a word agreeing with a slot, or the event's trigger."""

    kind: str  # "text" | "slot" | "agree" | "trigger"
    slot: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frame:
    """A clause in the three languages and what it expresses; `event` is (type, ((role, slot name), ...))."""

    where: str
    slots: tuple[Slot, ...]
    templates: dict[str, tuple[Piece, ...]] = field(hash=False)
    relations: tuple[tuple[str, str, str], ...] = ()
    event: tuple[str, tuple[tuple[str, str], ...]] | None = None

    @property
    def entity_slots(self) -> tuple[Slot, ...]:
        """The slots that hold entity names (types are capitalised, filler sections are not)."""
        return tuple(slot for slot in self.slots if slot.kind[0].isupper())

    @property
    def concepts(self) -> frozenset[str]:
        """Names of all entity types, relations and events in the frame."""
        events = {self.event[0]} if self.event else set()
        return frozenset(
            {s.kind for s in self.entity_slots} | {relation for relation, _, _ in self.relations} | events
        )


@cache
def read_frames(*names: str) -> tuple[Frame, ...]:
    """The frames of the shipped files. Raises `KcxError` with file and line for a malformed one."""
    frames: list[Frame] = []
    for name in names:
        block: list[tuple[int, str]] = []
        for number, line in lines(name):
            if line.startswith("=") and block:
                frames.append(_frame(name, block))
                block = []
            block.append((number, line))
        if block:
            frames.append(_frame(name, block))
    return tuple(frames)


def _frame(name: str, block: list[tuple[int, str]]) -> Frame:
    where = f"{name}:{block[0][0]}"
    header = block[0][1]
    if not header.startswith("=") or [line[:3] for _, line in block[1:]] != [f"{la} " for la in LANGUAGES]:
        raise KcxError(f"{where}: a frame is a '=' line and the lines {', '.join(LANGUAGES)}, in this order")
    declared, _, annotation = header[1:].partition("|")
    slots = _slots(declared, where)
    relations, event = _annotation(annotation, {slot.name for slot in slots}, where)
    templates = {
        line[:2]: _template(line[3:], slots, event is not None, f"{name}:{number}")
        for number, line in block[1:]
    }
    triggers = {len(p.options) for pieces in templates.values() for p in pieces if p.kind == "trigger"}
    if len(triggers) > 1:
        raise KcxError(f"{where}: the languages have different numbers of triggers")
    return Frame(where, slots, templates, relations, event)


def _slots(declared: str, where: str) -> tuple[Slot, ...]:
    slots: dict[str, Slot] = {}
    for word in declared.split():
        match = _SLOT.fullmatch(word)
        if not match or match[1] in slots:
            raise KcxError(f"{where}: {word!r} is no new slot (write p:Person, or q=p, or q~p)")
        name, sign, rest = match.groups()
        if sign == ":":
            slots[name] = Slot(name, rest)
        elif rest in slots:
            slots[name] = Slot(name, slots[rest].kind, of=rest, short=sign == "~")
        else:
            raise KcxError(f"{where}: {word!r} repeats a slot that is not declared before it")
    return tuple(slots.values())


def _annotation(annotation: str, names: set[str], where: str):
    relations = []
    event = None
    for call in filter(None, (part.strip() for part in annotation.split(";"))):
        match = _CALL.fullmatch(call)
        if not match:
            raise KcxError(f"{where}: cannot read the annotation {call!r}")
        pairs = [tuple(x.strip() for x in item.split("=")) for item in match[2].split(",")]
        if not {pair[-1] for pair in pairs} <= names:
            raise KcxError(f"{where}: {call!r} uses a slot that is not declared")
        if all(len(pair) == 2 for pair in pairs) and event is None:
            event = (match[1], tuple((pair[0], pair[1]) for pair in pairs))
        elif [len(pair) for pair in pairs] == [1, 1]:
            relations.append((match[1], pairs[0][0], pairs[1][0]))
        else:
            raise KcxError(
                f"{where}: {call!r} is no relation (two slots), nor the one event (role=slot, ...)"
            )
    return tuple(relations), event


def _template(text: str, slots: tuple[Slot, ...], has_event: bool, where: str) -> tuple[Piece, ...]:
    pieces = []
    position = 0
    for match in _PIECE.finditer(text):
        if match.start() > position:
            pieces.append(Piece("text", options=(text[position : match.start()],)))
        position = match.end()
        name, choice, trigger = match.groups()
        if trigger:
            pieces.append(Piece("trigger", options=tuple(trigger.split("|"))))
        elif choice is None:
            pieces.append(Piece("slot", name))
        else:
            pieces.append(Piece("agree", name, tuple(choice.split("/"))))
            if len(pieces[-1].options) != 2:
                raise KcxError(f"{where}: {match[0]} needs two forms, such as {{p:he/she}}")
    if position < len(text):
        pieces.append(Piece("text", options=(text[position:],)))
    names = sorted(slot.name for slot in slots)
    if sorted(piece.slot for piece in pieces if piece.kind == "slot") != names:
        raise KcxError(f"{where}: each of the slots {', '.join(names)} must stand there once")
    if not {piece.slot for piece in pieces if piece.kind == "agree"} <= set(names):
        raise KcxError(f"{where}: agreement with a slot that is not declared")
    if sum(piece.kind == "trigger" for piece in pieces) != has_event:
        raise KcxError(f"{where}: one [trigger] where an event is annotated, none elsewhere")
    if re.search(r"[{}\[\]]", "".join(piece.options[0] for piece in pieces if piece.kind == "text")):
        raise KcxError(f"{where}: a bracket that opens no slot and no trigger")
    return tuple(pieces)
