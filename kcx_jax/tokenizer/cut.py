"""Encoding texts that continue one prefix: prefix ids and a text's ids are the ids of the joint text."""

import functools
import re
from collections.abc import Sequence

from kcx_jax.tokenizer.face import Tokenizer


def encode_below(
    tokenizer: Tokenizer, prefix: str, texts: Sequence[str]
) -> tuple[list[int], list[list[int]]]:
    """Ids of `prefix` and of each of `texts`, for which prefix ids + text ids = ids of `prefix + text`.

    Where a text's first characters change the prefix's last tokens, those tokens move from the prefix into
    all texts. A text that is not empty has at least one id.
    """
    if _is_hard_border(tokenizer, prefix, texts):
        return tokenizer.encode(prefix), [tokenizer.encode(text) for text in texts]
    joint = [tokenizer.encode(prefix + text) for text in texts]
    prefix_ids = tokenizer.encode(prefix)
    shared = min((_common_start(prefix_ids, ids) for ids in joint), default=len(prefix_ids))
    return prefix_ids[:shared], [ids[shared:] for ids in joint]


def _common_start(a: Sequence[int], b: Sequence[int]) -> int:
    """Length of the longest common start of two sequences of ids."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _is_hard_border(tokenizer: Tokenizer, prefix: str, texts: Sequence[str]) -> bool:
    """Whether no piece can cross the border: then the prefix need not be encoded again for every text."""
    if not prefix.endswith("\n") or any(text[:1].isspace() for text in texts):
        return False
    return _newline_ends_words(tokenizer)


@functools.lru_cache(maxsize=8)
def _newline_ends_words(tokenizer: Tokenizer) -> bool:
    """Whether no piece joins a newline to anything but white space after it, nor a pattern looks at that."""
    crossing = re.compile(r"\n\S")
    pieces = (tokenizer.piece(token_id) for token_id in range(tokenizer.vocab_size))
    return not tokenizer.looks_ahead and not any(map(crossing.search, pieces))
