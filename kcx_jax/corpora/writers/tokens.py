"""The tokens of a record, for formats that are made of tokens.

They are those of the corpus (`meta.source_tokens`) or, where it has none, a plain split: a run of letters, digits and
marks is a token, a character of a script without spaces is one, any other character that is no white space is one;
and no token goes over the end of a mention.
"""

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise

from kcx_jax.corpora.record import Mention, Record
from kcx_jax.errors import KcxError

_UNSPACED = ("THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")


def record_tokens(record: Record) -> list[tuple[int, int]]:
    """Where the tokens stand; only white space lies between them. `KcxError` for tokens that do not fit the text."""
    given = record.meta.get("source_tokens")
    if given is None:
        ends = {end for mention in record.entities or () for end in (mention.start, mention.end)}
        return split_tokens(record.text, ends)
    where = f"record {record.id!r}: meta.source_tokens"
    if not isinstance(given, list):
        raise KcxError(f"{where}: must be a list of [start, end]")
    tokens: list[tuple[int, int]] = []
    for item in given:
        pair = isinstance(item, list | tuple) and len(item) == 2 and all(type(x) is int for x in item)
        if not pair:
            raise KcxError(f"{where}: must be a list of [start, end]")
        if not tokens or tokens[-1] != tuple(item):  # words that share a token are one
            tokens.append((item[0], item[1]))
    edges = [0, *(edge for token in tokens for edge in token), len(record.text)]
    if any(a > b for a, b in pairwise(edges)) or any(start == end for start, end in tokens):
        raise KcxError(f"{where}: must be spans of the text, in its order, that do not overlap")
    if any(record.text[a:b].strip() for a, b in zip(edges[::2], edges[1::2], strict=True)):
        raise KcxError(f"{where}: leaves out a part of the text; only white space may lie between tokens")
    return tokens


def split_tokens(text: str, ends: Iterable[int] = ()) -> list[tuple[int, int]]:
    """The plain split of `text`, with a cut at each of `ends`."""
    cuts = set(ends)
    tokens: list[tuple[int, int]] = []
    running = False
    for i, char in enumerate(text):
        if char.isspace():
            continue
        mark = unicodedata.category(char).startswith("M")
        follows = bool(tokens) and tokens[-1][1] == i and i not in cuts
        if follows and (mark or (running and _in_run(char))):
            tokens[-1] = (tokens[-1][0], i + 1)
        else:
            tokens.append((i, i + 1))
            running = mark or _in_run(char)
    return tokens


def token_indices(mention: Mention, tokens: list[tuple[int, int]]) -> tuple[int, int] | None:
    """The tokens [first, end) that the mention is made of; None where it begins or ends inside one."""
    first = bisect_left(tokens, (mention.start, 0))
    last = bisect_left(tokens, mention.end, key=lambda token: token[1])
    inside = first < len(tokens) and last < len(tokens)
    if inside and tokens[first][0] == mention.start and tokens[last][1] == mention.end:
        return first, last + 1
    return None


def _in_run(char: str) -> bool:
    """Whether runs of such characters are words: a letter or digit of a script with spaces."""
    if not char.isalnum() or unicodedata.east_asian_width(char) in "WF":
        return char == "_"
    return not unicodedata.name(char, "").startswith(_UNSPACED)
