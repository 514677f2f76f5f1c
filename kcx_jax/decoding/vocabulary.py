"""A tokenizer's pieces as bytes, and how they are found in a text or along a graph."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from kcx_jax.tokenizer import Tokenizer

QUOTE = ord('"')
# What may stand before a sign of structure: some tokenizers cut it off a word, or not, by what is before it.
_BEFORE = (" ", "[", "(", "=", ",", '"', ")", "]", "a")


class Vocabulary:
    """The bytes of every token that stands for text; ids of symbols stand for none.

    Several ids may have the same bytes: a piece of one character, and its byte. `beginnings` are those of tokens, and
    `after` each, the empty one too, are the bytes that one goes on with.
    """

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        self.size, self.eos_id = tokenizer.vocab_size, tokenizer.eos_id
        self.bytes = tokenizer.token_bytes()
        ids: defaultdict[bytes, list[int]] = defaultdict(list)
        for token, text in enumerate(self.bytes):
            if text:
                ids[text].append(token)
        self.ids: Mapping[bytes, list[int]] = dict(ids)
        self.beginnings = {text[:end] for text in ids for end in range(1, len(text) + 1)}
        self.after: dict[bytes, set[int]] = {}
        for text in self.beginnings:
            self.after.setdefault(text[:-1], set()).add(text[-1])
        self._joined: dict[tuple[int, int], bool] = {}

    def at(self, text: bytes, start: int) -> Iterator[tuple[int, int]]:
        """(token, end) of each token that stands in `text` at `start`."""
        for end in range(start + 1, len(text) + 1):
            piece = text[start:end]
            if piece not in self.beginnings:
                return
            for token in self.ids.get(piece, ()):
                yield token, end

    def follows(self, token: int, other: int) -> bool:
        """Whether the tokenizer itself writes `token` and then `other` for the text of both.

        Alone, or, where `token` has neither letters nor digits, behind something.

        Where these are not whole characters nothing speaks against it.
        """
        pair = token, other
        if pair not in self._joined:
            try:
                text = (self.bytes[token] + self.bytes[other]).decode()
            except UnicodeDecodeError:
                return True
            signs = not any(byte > 127 or chr(byte).isalnum() for byte in self.bytes[token])
            befores = ("", *_BEFORE) if signs else ("",)
            self._joined[pair] = any(
                tuple(self.tokenizer.encode(before + text)[-2:]) == pair for before in befores
            )
        return self._joined[pair]


def states_behind(table_Sx: np.ndarray, texts: Sequence[bytes]) -> np.ndarray:
    """[S, texts]: the state behind each text from every state, where `table_Sx` [S, 256] has the one behind each byte.

    A state of -1 is the last one. All texts are walked at once.
    """
    state_SV = np.repeat(np.arange(len(table_Sx), dtype=table_Sx.dtype)[:, None], len(texts), axis=1)
    lengths = np.array([*map(len, texts)])
    order = np.argsort(-lengths, kind="stable")
    for at in range(lengths.max(initial=0)):
        longer = order[: np.count_nonzero(lengths > at)]
        bytes_V = np.array([texts[number][at] for number in longer], np.uint8)
        state_SV[:, longer] = table_Sx[state_SV[:, longer], bytes_V]
    return state_SV
