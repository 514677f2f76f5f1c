"""From an answer's ids to its text, when it is whole and while it is written."""

from collections.abc import Sequence

from kcx_jax.tokenizer import Tokenizer

_HALF = "\N{REPLACEMENT CHARACTER}"  # what `Tokenizer.decode` makes of half a character


def text_of(tokenizer: Tokenizer, ids: Sequence[int], stops: Sequence[str]) -> str:
    """The text of these ids, up to the first of the texts that end it."""
    text = tokenizer.decode(ids)
    places = [text.find(stop) for stop in stops]
    return text[: min((place for place in places if place >= 0), default=len(text))]


def text_so_far(tokenizer: Tokenizer, ids: Sequence[int], stops: Sequence[str]) -> str:
    """What of the text will stay whatever comes next: without half a character, or half a text that may end it."""
    text = text_of(tokenizer, ids, stops).rstrip(_HALF)
    begun = (size for stop in stops for size in range(1, len(stop)) if text.endswith(stop[:size]))
    return text[: len(text) - max(begun, default=0)]
