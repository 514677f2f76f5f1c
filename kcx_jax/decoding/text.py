"""Text between quotes that need not stand in the sentence: any inside of a literal as `quote` writes it.

That is UTF-8 whose quotes, backslashes and control characters are escaped. Bytes lead from state to state, and so do
tokens, whose bytes may begin and end inside a character or an escape.
"""

from dataclasses import dataclass

import numpy as np

from kcx_jax.decoding.automaton import FREE, MIXED, Automaton, Mixed
from kcx_jax.decoding.vocabulary import Vocabulary, states_behind

# Between characters: where a text begins, and may end.
BETWEEN = 0
# Inside a character: so many more bytes of any kind, or a second byte that its first one narrows down.
_ONE, _TWO, _THREE, _C2, _E0, _ED, _F0, _F4 = range(1, 9)
# Behind a backslash; two or one hexadecimal digits before an escape is whole.
_ESCAPE, _HEX_TWO, _HEX_ONE = range(9, 12)
STATES = 12
NEVER = -1


def _byte_table() -> np.ndarray:
    """int8 [STATES + 1, 256]: the state behind each byte; `NEVER`, the last row too, is left by none."""
    table = np.full((STATES + 1, 256), NEVER, np.int8)
    ways = [
        (BETWEEN, 0x20, 0x7E, BETWEEN),
        (BETWEEN, 0xC2, 0xC2, _C2),
        (BETWEEN, 0xC3, 0xDF, _ONE),
        (BETWEEN, 0xE0, 0xE0, _E0),
        (BETWEEN, 0xE1, 0xEF, _TWO),
        (BETWEEN, 0xED, 0xED, _ED),
        (BETWEEN, 0xF0, 0xF0, _F0),
        (BETWEEN, 0xF1, 0xF3, _THREE),
        (BETWEEN, 0xF4, 0xF4, _F4),
        (_ONE, 0x80, 0xBF, BETWEEN),
        (_TWO, 0x80, 0xBF, _ONE),
        (_THREE, 0x80, 0xBF, _TWO),
        (_C2, 0xA0, 0xBF, BETWEEN),  # those before are control characters
        (_E0, 0xA0, 0xBF, _ONE),
        (_ED, 0x80, 0x9F, _ONE),  # those behind are surrogates
        (_F0, 0x90, 0xBF, _TWO),
        (_F4, 0x80, 0x8F, _TWO),
    ]
    for state, first, last, target in ways:
        table[state, first : last + 1] = target
    table[BETWEEN, ord('"')] = NEVER
    table[BETWEEN, ord("\\")] = _ESCAPE
    table[_ESCAPE, list(b'nrt"\\')] = BETWEEN
    table[_ESCAPE, ord("x")] = _HEX_TWO
    table[_HEX_TWO, list(b"0123456789abcdef")] = _HEX_ONE
    table[_HEX_ONE, list(b"0123456789abcdef")] = BETWEEN
    return table


_BEHIND = _byte_table()


@dataclass(frozen=True)
class FreeText:
    """`next_SV`, int8: the state behind each token; `mixed_SW`: behind the text of what a mixed edge needs. `NEVER`
    where it is no text, or ends in the token and inside a character. `need_E`: those of the automaton, where only
    mixed ones are left that depend on the state.
    """

    next_SV: np.ndarray
    mixed_SW: np.ndarray
    need_E: np.ndarray


def token_states(vocabulary: Vocabulary) -> np.ndarray:
    """int8 [STATES, V]: the state behind each token, from every state; `NEVER` for ids that stand for no text."""
    texts = [text or b"\0" for text in vocabulary.bytes]  # a byte that stands nowhere
    return states_behind(_BEHIND, texts)[:STATES]


def free_text(automaton: Automaton, next_SV: np.ndarray) -> FreeText:
    """What an automaton's slots take when any text may stand in them; `next_SV` from `token_states`."""
    mixed_SW = np.full((STATES, max(1, len(automaton.wanted))), NEVER, np.int8)
    need_E = automaton.need_E.copy()
    for number, wanted in enumerate(automaton.wanted):
        if isinstance(wanted, Mixed):
            mixed_SW[:, number] = _behind(wanted)
        elif any(_behind(each)[BETWEEN] != NEVER for each in wanted):
            need_E[need_E == MIXED + number] = FREE
    return FreeText(next_SV, mixed_SW, need_E)


def _behind(mixed: Mixed) -> np.ndarray:
    """int8 [STATES]: the state behind its text."""
    state_S = states_behind(_BEHIND, [mixed.text])[:STATES, 0]
    return np.where(state_S == BETWEEN, BETWEEN, NEVER) if mixed.closes else state_S
