"""Free text by its states: what they accept is what stands between the quotes of a literal."""

import ast
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.decoding.text import BETWEEN, NEVER, token_states
from kcx_jax.schema import quote


class Pieces:
    """Of a vocabulary, what the states are made of."""

    def __init__(self, pieces):
        self.bytes = pieces


def behind(pieces):
    state = BETWEEN
    for number in range(len(pieces)):
        state = token_states(Pieces(pieces))[state, number]
        if state == NEVER:
            break
    return state


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.data())
def test_every_text_is_accepted_however_its_bytes_are_cut(text, data):
    inside = quote(text)[1:-1].encode()
    cuts = sorted(data.draw(st.sets(st.integers(1, len(inside) - 1)))) if len(inside) > 1 else []
    pieces = [inside[a:b] for a, b in zip([0, *cuts], [*cuts, len(inside)], strict=True)]
    assert behind(pieces) == BETWEEN


ODD = [
    b'"',
    b"\\",
    b"\n",
    b"\0",
    b"\x7f",
    b"\xc2",
    b"\x80",
    b"\x9f",
    b"\xa0",
    b"\xe0",
    b"\xed",
    b"\xf0",
    b"\xf4",
]
ODD += [b"\xbf", b"\xc0", b"\xf5", b"x", b"n", b"u", b"0f"]


@given(st.lists(st.sampled_from([*ODD, "é李😀".encode()]) | st.binary(min_size=1, max_size=4), max_size=8))
def test_what_is_accepted_is_the_inside_of_a_literal(pieces):
    inside = b"".join(pieces)
    if not inside or behind([inside]) != BETWEEN:
        return
    text = inside.decode()
    assert not set(text) & set(map(chr, [*range(32), *range(127, 160)]))
    meant = ast.literal_eval(f'"{text}"')
    assert quote(meant) == quote(meant.encode().decode()), "no lone surrogate"


UNFINISHED = [b"\\", b"\\x0", b"\xe6\x9d", b"\xf0\x9f"]
FORBIDDEN = [b'a"', b"\\q", b"\\u00e9", b"\n", b"\x7f", "\x85".encode()]
NO_CHARACTERS = [b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xe0\x80\x80", b"\x80", b"\xff"]


@pytest.mark.parametrize("refused", [*UNFINISHED, *FORBIDDEN, *NO_CHARACTERS])
def test_no_literal_ends_behind(refused):
    assert behind([refused]) != BETWEEN


def test_a_symbol_is_no_text_in_any_state():
    assert (
        token_states(Pieces([b"", *(letter.encode() for letter in string.printable)]))[:, 0] == NEVER
    ).all()
