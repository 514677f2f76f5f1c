"""Answers of B2NER and InstructUIE: ``label: entity; label: entity``, or ``None``.

Relations are ``relation: head, tail``, triggers ``type: trigger``, arguments ``role: name`` of the event that
was asked about. The form escapes nothing: an entity that holds ``;`` or `` : `` comes apart, which the systems'
own scripts suffer as well.
"""

import re

from kcx_jax.schema import Problem, Task
from kcx_jax.scoring.raw.claims import Claim, Claims
from kcx_jax.scoring.raw.partial_json import without_thought

MAX_ITEMS = 10_000  # the rest of a longer answer is flagged and not read
MAX_COMMAS = 8  # of a relation, tried as the border between head and tail

_NOTHING = frozenset({"none", "none.", "[]"})


def parse_strings(answer: str, task: Task, asked: str | None, trigger: str | None, text: str) -> Claims:
    """What such an answer claims about `text`.

    Args:
        asked, trigger: the event type and trigger that the question was about (arguments only).
    """
    answer, thought = without_thought(answer)
    if thought is not None:
        return Claims((), (thought,))
    answer = answer.strip()
    if answer.casefold() in _NOTHING:
        return Claims(())
    items: list[Claim] = []
    arguments: list[tuple[str, str]] = []
    problems: list[Problem] = []
    at = 0
    pieces = re.split("[;；]", answer, maxsplit=MAX_ITEMS)
    if len(pieces) > MAX_ITEMS:
        problems.append(Problem("syntax", f"more than {MAX_ITEMS} items: the rest was not read", len(answer)))
    for piece in pieces[:MAX_ITEMS]:
        label, *rest = re.split("[:：]", piece, maxsplit=1)
        label, content = label.strip().lstrip("-* "), "".join(rest).strip()
        if not label or not content:
            if piece.strip():
                problems.append(Problem("syntax", f"{piece.strip()[:80]!r} is no 'label: text'", at))
        elif task == "eae":
            arguments.append((label, content))
        elif task == "re":
            items.append(_relation(label, content, text, problems, at))
        elif content.casefold() not in _NOTHING:
            items.append(Claim(label, content))
        at += len(piece) + 1
    if not answer:
        problems.append(Problem("syntax", "the answer is empty", 0))
    if arguments and asked is None:
        problems.append(Problem("syntax", "arguments of an event whose type the line does not name", 0))
    elif arguments and asked is not None:
        items.append(Claim(asked, trigger or arguments[0][1], arguments=tuple(arguments)))
    return Claims(tuple(item for item in items if item.text), tuple(problems))


def _relation(label: str, content: str, text: str, problems: list[Problem], at: int) -> Claim:
    """Head and tail at the comma where both are in the text, or else at the first."""
    parts = content.split(",")
    for i in range(1, min(len(parts), MAX_COMMAS + 1)):
        head, tail = ",".join(parts[:i]).strip(), ",".join(parts[i:]).strip()
        if head in text and tail in text:
            return Claim(label, head, tail)
    if len(parts) < 2:
        problems.append(Problem("wrong_argument", f"{label[:40]}: {content[:80]} is no 'head, tail'", at))
        return Claim(label, "")
    return Claim(label, parts[0].strip(), ",".join(parts[1:]).strip())
