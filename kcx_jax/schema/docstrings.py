"""A concept's docstring: a description, then its exemplars behind a marker.

    A human being. Examples: Ada Lovelace, 李白, "Washington, George"

The marker is ``Examples:`` (entities, relations) or ``Triggers:`` (events); the last one in the docstring
counts. Exemplars are separated by commas; one that a comma, a quote in front or unusual spacing would spoil
is quoted. White space outside quotes carries no meaning, so a docstring may be wrapped over lines.
"""

import re

from kcx_jax.schema.strings import quote, unquote

MARKERS = {"entity": "Examples:", "relation": "Examples:", "event": "Triggers:"}

# One exemplar with its separator: a whole quoted literal, or anything up to the next comma.
_QUOTED = re.compile(r'\s*"([^"\\]*+(?:\\.[^"\\]*+)*+)"\s*(?:,|\Z)', re.DOTALL)
_PLAIN = re.compile(r"([^,]*+)(?:,|\Z)")


def one_line(text: str) -> str:
    """`text` with every run of white space as one space and none at the ends."""
    return " ".join(text.split())


def compose_docstring(description: str, exemplars: tuple[str, ...], kind: str) -> str:
    """The docstring's text; `split_docstring` takes it apart again. Empty when there is nothing to say.

    `description` is one line (`one_line`).
    """
    marker = MARKERS[kind]
    if not exemplars and not list(_occurrences(marker, description)):
        return description
    listed = compose_exemplars(exemplars, marker)
    return " ".join(part for part in (description, marker, listed) if part)


def split_docstring(docstring: str, kind: str) -> tuple[str, tuple[str, ...]]:
    """Description and exemplars of a docstring as written, wrapped or not."""
    marker = MARKERS[kind]
    found = list(_occurrences(marker, docstring))
    if not found:
        return one_line(docstring), ()
    return one_line(docstring[: found[-1].start()]), split_exemplars(docstring[found[-1].end() :])


def _occurrences(marker: str, text: str):
    return re.finditer(rf"(?:^|(?<=\s)){marker}(?=\s|\Z)", text)


def compose_exemplars(exemplars: tuple[str, ...], marker: str) -> str:
    """The exemplars separated by commas, none of which looks like `marker`."""
    return ", ".join(_compose_exemplar(exemplar, marker) for exemplar in exemplars)


def _compose_exemplar(exemplar: str, marker: str) -> str:
    plain = exemplar == one_line(exemplar) and exemplar[:1] not in ("", '"')
    if plain and "," not in exemplar and marker not in exemplar:
        return exemplar
    # An exemplar that spells the marker must not look like the marker.
    return quote(exemplar).replace(marker, marker[:-1] + r"\x3a")


def split_exemplars(listed: str) -> tuple[str, ...]:
    """The exemplars of a list separated by commas, quoted or not."""
    exemplars = []
    position = 0
    while position < len(listed):
        # What starts like a literal and is none is the user's own quotes.
        match = _QUOTED.match(listed, position) or _PLAIN.match(listed, position)
        assert match is not None  # _PLAIN matches everywhere
        if match.re is _QUOTED:
            exemplars.append(unquote(match.group(1)))
        elif plain := one_line(match.group(1)):
            exemplars.append(plain)
        position = match.end()
    return tuple(exemplars)
