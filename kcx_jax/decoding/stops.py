"""Texts that end an answer, found across the borders of tokens while it is written.

Shapes: S = states, V = vocabulary.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kcx_jax.decoding.vocabulary import states_behind
from kcx_jax.errors import UsageError

MOST_STATES = 256


class StopTexts(NamedTuple):
    """An automaton that reads tokens, int16: the next state by state and token. `hit`, the last state, is that behind a
    text, and is kept. `passing_SV` leads past texts that end nothing yet; None where all do.
    """

    next_SV: jax.Array
    passing_SV: jax.Array | None

    @property
    def hit(self) -> int:
        return len(self.next_SV) - 1


def stop_texts(texts: Sequence[str], bytes_V: Sequence[bytes], passing: bool) -> StopTexts:
    """The automaton of Aho and Corasick (1975) for these texts, over the bytes that tokens show. `passing`: whether
    some tokens are written before a text may end an answer.

    `UsageError` for an empty text, or for texts that are too long together.
    """
    if not all(texts):
        raise UsageError("a text that ends an answer must have at least one character.")
    passing_Sx, hit_S = _byte_automaton([text.encode() for text in texts])
    if len(hit_S) > MOST_STATES:
        raise UsageError(f"texts that end an answer may have {MOST_STATES - 1} bytes together.")
    hit = len(hit_S)
    kept_1x = np.full((1, 256), hit, np.int16)
    next_Sx = np.concatenate([np.where(hit_S[passing_Sx], hit, passing_Sx), kept_1x]).astype(np.int16)
    next_SV, passing_SV = jnp.asarray(states_behind(next_Sx, bytes_V)), None
    if passing:
        passing_SV = jnp.asarray(states_behind(np.concatenate([passing_Sx, kept_1x]), bytes_V))
    return StopTexts(next_SV, passing_SV)


def _byte_automaton(texts: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Next states [S, 256] int16, and whether a state is behind a text."""
    children: list[dict[int, int]] = [{}]
    hit = [False]
    for text in texts:
        state = 0
        for byte in text:
            if byte not in children[state]:
                children[state][byte] = len(children)
                children.append({})
                hit.append(False)
            state = children[state][byte]
        hit[state] = True
    step_Sx = np.zeros((len(children), 256), np.int16)
    fallback = [0] * len(children)
    waiting = deque([0])
    while waiting:
        state = waiting.popleft()
        step_Sx[state] = step_Sx[fallback[state]]
        hit[state] |= hit[fallback[state]]
        for byte, child in children[state].items():
            fallback[child] = int(step_Sx[fallback[state], byte]) if state else 0
            step_Sx[state, byte] = child
            waiting.append(child)
    return step_Sx, np.array(hit)
