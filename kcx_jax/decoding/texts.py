"""From an answer's ids to its text, when it is whole and while it is written."""

from collections.abc import Sequence

from kcx_jax.decoding.requests import Stops
from kcx_jax.tokenizer import Tokenizer

_HALF = "\N{REPLACEMENT CHARACTER}"  # what `Tokenizer.decode` makes of half a character


def text_of(tokenizer: Tokenizer, ids: Sequence[int], stops: Stops) -> str:
    """The text of these ids, up to the first of the texts that end it: with the last of the ids, or not at all."""
    text = tokenizer.decode(ids)
    if not stops.texts or len(ids) < max(1, stops.min_tokens):
        return text
    before = len(tokenizer.decode(ids[:-1]).rstrip(_HALF))
    places = [text.find(stop, max(0, before - len(stop) + 1)) for stop in stops.texts]
    return text[: min((place for place in places if place >= 0), default=len(text))]


def text_so_far(tokenizer: Tokenizer, ids: Sequence[int], stops: Stops) -> str:
    """What of the text will stay whatever comes next: without half a character, or half a text that may end it."""
    text = text_of(tokenizer, ids, stops).rstrip(_HALF)
    begun = (size for stop in stops.texts for size in range(1, len(stop)) if text.endswith(stop[:size]))
    return text[: len(text) - max(begun, default=0)]
