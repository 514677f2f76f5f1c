"""What of a sentence may stand between quotes: any stretch of whole characters, in whatever tokens spell it.

The sentence is looked at as it stands in the prompt, escaped: an escape is one character.
"""

from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from kcx_jax.decoding.automaton import Mixed, Wanted
from kcx_jax.decoding.vocabulary import Vocabulary
from kcx_jax.schema.strings import quote, starts_of

NOWHERE = -1


@dataclass(frozen=True)
class Spans:
    """Positions are those between bytes of the escaped sentence. int32 but `border_P` (bool).

    `token_E` leads from position `from_E` to `to_E`. A text begins and ends at `border_P`, and is never empty. The text
    of mixed token `mixed_X` leads from `mixed_from_X` to `mixed_to_X`; `NOWHERE` where it begins or ends in the token.
    """

    border_P: np.ndarray
    from_E: np.ndarray
    token_E: np.ndarray
    to_E: np.ndarray
    mixed_X: np.ndarray
    mixed_from_X: np.ndarray
    mixed_to_X: np.ndarray


def escaped(sentence: str) -> tuple[list[str], list[int]]:
    """Its characters as they stand in the prompt, and the positions before each and behind the last."""
    characters = [quote(character)[1:-1] for character in sentence]
    return characters, [0, *accumulate(len(each.encode()) for each in characters)]


def find_spans(sentence: str, vocabulary: Vocabulary, wanted: tuple[Wanted, ...]) -> Spans:
    """The edges that a sentence adds to an automaton that wants these."""
    characters, borders = escaped(sentence)
    text = "".join(characters).encode()
    border_P = np.zeros(len(text) + 1, bool)
    border_P[borders] = True
    edges = [(start, token, end) for start in range(len(text)) for token, end in vocabulary.at(text, start)]
    found = {
        each: [_ends(each, at) for at in starts_of(each.text, text) if _stands(each, at, border_P)]
        for each in wanted
        if isinstance(each, Mixed)
    }
    parts = [
        (number, *ends)
        for number, each in enumerate(wanted)
        for ends in (found[each] if isinstance(each, Mixed) else _ANY * any(map(found.get, each)))
    ]
    from_E, token_E, to_E = np.array(edges, np.int32).reshape(-1, 3).T
    return Spans(border_P, from_E, token_E, to_E, *np.array(sorted(set(parts)), np.int32).reshape(-1, 3).T)


def no_spans(states: int) -> Spans:
    """What stands for a sentence where text is free: as many positions as it has states, and the first the border."""
    none = np.zeros(0, np.int32)
    return Spans(np.arange(states) == 0, none, none, none, none, none, none)


_ANY = [(NOWHERE, NOWHERE)]


def _stands(mixed: Mixed, at: int, border_P: np.ndarray) -> bool:
    return bool((border_P[at] or not mixed.opens) and (border_P[at + len(mixed.text)] or not mixed.closes))


def _ends(mixed: Mixed, at: int) -> tuple[int, int]:
    return NOWHERE if mixed.opens else at, NOWHERE if mixed.closes else at + len(mixed.text)
