"""What is said of a label without a class: the nearest classes, and the line that would map it."""

import difflib
import re
from collections.abc import Iterable

from kcx_jax.errors import KcxError
from kcx_jax.schema.concepts import Kind
from kcx_jax.schema.ontology.inventory import SECTIONS, Inventory, folded

_PLAIN = re.compile(r"[^\W\d_]+(?:[ _.-]?[^\W_]+)*")
_YAML_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def unmapped(
    inventory: Inventory, kind: Kind, label: str, described: Iterable[str], meant: str | None
) -> KcxError:
    """The error for a label of `kind`.

    `described`: the classes a label could become; `meant`: the one that people mean by it, if that is known.
    """
    names, section = inventory.classes[kind], SECTIONS[kind]
    near = _nearest(label, {**{name: name for name in described}, **names.name_of})
    near = list(dict.fromkeys([*([meant] if meant else []), *near]))[:3]
    name = near[0] if near else "ItsClass"
    where = f"{inventory.path}:{_line_of(inventory, section, name)}"
    if name in names.label_of:
        key = name if kind == "entity" else f"{name}: label"
        declared = "" if name in inventory.merges else f", and {name} into the list merges:"
        labels = ", ".join(map(yaml_text, (*names.labels(name), label)))
        line = f"write this at {where}:  {key}: [{labels}]{declared}, or give it a class of its own"
    else:
        line = f"put this under {section}: at {where}:  {name}: {yaml_text(label)}"
    what = "label" if kind == "entity" else f"{kind} label"
    return KcxError(
        f"inventory {inventory.path.stem!r} has no class for the {what} {label!r}. "
        f"Nearest: {', '.join(near) or 'none'}. To map it, {line}"
    )


def unmapped_role(inventory: Inventory, event: str, role: str) -> KcxError:
    """The error for a role the event class `event` does not have."""
    names = inventory.roles[event]
    near = ", ".join(_nearest(role, names.name_of)) or "none"
    line = _line_of(inventory, "events", event)
    return KcxError(
        f"inventory {inventory.path.stem!r}: the event {event} has no role {role!r}. Nearest: {near}. "
        f"To map it, add it to its roles: at {inventory.path}:{line}:  {yaml_text(role)}"
    )


def yaml_text(text: str) -> str:
    """A text as YAML reads it back: plain where that is safe, else quoted."""
    plain = _PLAIN.fullmatch(text) and text.casefold() not in _YAML_WORDS
    if plain:
        return text
    escaped = (c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
    return f'"{"".join(escaped)}"'


def _nearest(label: str, names: dict[str, str]) -> list[str]:
    """The names whose own spelling or label is nearest, at most three."""
    keys: dict[str, str] = {}
    for known, name in names.items():
        keys[folded(known)] = name
    found = difflib.get_close_matches(folded(label), keys, n=3, cutoff=0.4)
    return list(dict.fromkeys(keys[key] for key in found)) or list(dict.fromkeys(names.values()))[:3]


def _line_of(inventory: Inventory, section: str, name: str) -> int:
    """The line of a class in the file, or that of its section's head, or the last one."""
    at, inside = 0, False
    lines = inventory.text.splitlines()
    for number, line in enumerate(lines, 1):
        if line[:1].strip() and not line.startswith("#"):
            inside = line.startswith(f"{section}:")
            at = number if inside else at
        elif inside and line.strip().startswith(f"{name}:"):
            return number
    return at or max(len(lines), 1)
