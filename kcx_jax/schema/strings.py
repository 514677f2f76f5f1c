"""String literals of answers and prompts: one line, double quotes, every other character as it is.

Escaped are only the quote, the backslash, control characters (category Cc) and lone surrogates, so that a
literal is valid Python on a single line and a name in any script costs no more tokens than its own
characters.
"""

import re
from typing import AnyStr

NEEDS_ESCAPE = r"\x00-\x1f\x7f-\x9f\ud800-\udfff"
_QUOTED = re.compile(rf'["\\{NEEDS_ESCAPE}]')
# In a docstring a quote is escaped only where it would end the literal.
_ESCAPED_IN_DOCSTRING = re.compile(rf'[\\{NEEDS_ESCAPE}]|"(?="|\Z)')
_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t", '"': r"\"", "\\": r"\\"}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{1,3}|.)", re.DOTALL)
_MEANING = {
    "n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v",
    '"': '"', "'": "'", "\\": "\\", "\n": "",
}  # fmt: skip


def _escape_character(match: re.Match[str]) -> str:
    """The Python escape of the one character in `match` (a `re.sub` callback)."""
    character = match.group()
    if character in _NAMED:
        return _NAMED[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def quote(text: str) -> str:
    """`text` as a double-quoted Python literal on one line; `unquote` of its inside gives `text` back."""
    return f'"{_QUOTED.sub(_escape_character, text)}"'


def quote_docstring(text: str) -> str:
    """`text` as a triple-quoted Python literal on one line."""
    return f'"""{escape_docstring(text)}"""'


def escape_docstring(text: str) -> str:
    """`text` as it stands between triple quotes, on one line."""
    return _ESCAPED_IN_DOCSTRING.sub(_escape_character, text)


def unquote(body: str) -> str:
    """The text that the inside of a Python string literal stands for.

    Never fails: what Python would refuse or keep (``\\q``, ``\\xZZ``, a code point beyond 10FFFF) stays
    verbatim.
    """
    if "\\" not in body:
        return body
    return _ESCAPE.sub(_meaning, body)


def _meaning(match: re.Match[str]) -> str:
    escape = match.group(1)
    if escape in _MEANING:
        return _MEANING[escape]
    if escape[0] in "01234567":
        return chr(int(escape, 8))
    if len(escape) > 1 and int(escape[1:], 16) <= 0x10FFFF:
        return chr(int(escape[1:], 16))
    return match.group()


def starts_of(part: AnyStr, text: AnyStr) -> list[int]:
    """Where `part` stands in `text`, overlapping places too."""
    found, at = [], text.find(part)
    while at >= 0:
        found.append(at)
        at = text.find(part, at + 1)
    return found
