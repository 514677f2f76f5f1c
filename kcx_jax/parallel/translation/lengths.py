"""How long a reply may be, and how long it will be, in tokens."""

from collections.abc import Mapping
from typing import Any

# No sentence is answered with fewer: JSON, ids, and a margin.
LEAST = 256
# What a model that thinks before it answers may think.
THOUGHTS = 4_096
# Bytes of UTF-8 a token: English has about 4.5, Chinese about 3.
BYTES_PER_TOKEN = 3.5


def longest_reply(data: Mapping[str, Any], thinks: bool) -> int:
    """The most tokens the reply to a stage's `data` may take. A function of the request alone: the same request
    has the same limit in every run."""
    return LEAST + 2 * _written(data) + (THOUGHTS if thinks else 0)


def expected_reply(data: Mapping[str, Any]) -> float:
    """About how many tokens the reply will take: what was sent, in another language, with its ids."""
    return (_written(data) + 24 * len(data["spans"])) / BYTES_PER_TOKEN


def _written(data: Mapping[str, Any]) -> int:
    """Bytes of the sentence and the spans, as far as there are any."""
    sentence = data.get("tagged", data.get("sentence", ""))
    texts = [sentence, *(span["text"] for span in data.get("spans", ()))]
    return sum(len(text.encode("utf-8", "replace")) for text in texts)
