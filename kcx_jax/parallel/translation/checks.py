"""What a model's reply must be before it is used. Everything in it is untrusted.

A reply that breaks a rule is refused with the rule's name and a sentence the model can act on. Types are not
part of a reply, so no reply can touch them.
"""

import json
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from kcx_jax.parallel.translation.inline import untagged
from kcx_jax.parallel.translation.refusal import Refusal
from kcx_jax.parallel.translation.spans import Offsets

# Of a rewritten sentence, this share has to be the old one (spans aside).
KEPT_SHARE = 0.5
# Marks that turn the direction of what follows and can make a text look like another one.
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True)
class Draft:
    """A translated sentence and the translation of each span, by id; ``places`` where the reply itself said them."""

    sentence: str
    texts: Mapping[str, str]
    places: Mapping[str, Offsets] | None = None


def read_translation(reply: str, source: str, ids: Collection[str]) -> Draft:
    """Stage 1's reply: ``{"sentence", "spans": [{"id", "text"}]}``, exactly `ids`. Raises `Refusal`."""
    value = _object(reply, {"sentence", "spans"})
    return Draft(_clean(value["sentence"], "the sentence", allowed=source), _texts(value["spans"], ids))


def read_tagged(reply: str, source: str, ids: Collection[str]) -> Draft:
    """Stage 1's reply in the variant `xml`: ``{"tagged"}``, exactly `ids` as tags. Raises `Refusal`."""
    text = _clean(_object(reply, {"tagged"})["tagged"], "the sentence", allowed=source)
    sentence, places = untagged(text, ids)
    texts = {name: sentence[start:end] for name, (start, end) in places.items()}
    for name, inner in texts.items():
        _clean(inner, f"the text of span {name}", allowed="")
    return Draft(sentence, texts, places)


def read_spans(reply: str, ids: Collection[str]) -> dict[str, str]:
    """Stage 2's reply: ``{"spans": [{"id", "text"}]}``, exactly `ids`. Raises `Refusal`."""
    return _texts(_object(reply, {"spans"})["spans"], ids)


def read_sentence(reply: str, source: str, before: Draft) -> str:
    """Stage 3's reply: ``{"sentence"}``, the old sentence mended, not another one. Raises `Refusal`."""
    after = _clean(_object(reply, {"sentence"})["sentence"], "the sentence", allowed=source)
    old, new = _without(before.sentence, before.texts.values()), _without(after, before.texts.values())
    if SequenceMatcher(None, old, new, autojunk=False).ratio() < KEPT_SHARE:
        raise Refusal(
            "wholesale_rewrite", "the sentence was replaced; change it only where a span is missing"
        )
    return after


def _object(reply: str, keys: Collection[str]) -> dict[str, Any]:
    try:
        value = json.loads(_unfenced(reply), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise Refusal("broken_json", f"the reply is not one JSON object: {error}") from None
    if not isinstance(value, dict) or set(value) != set(keys):
        raise Refusal("wrong_keys", f"the reply must be an object with exactly these keys: {sorted(keys)}")
    return value


def _unfenced(reply: str) -> str:
    """Models that reply without structured output like to wrap JSON in a Markdown fence."""
    text = reply.strip()
    first, _, rest = text.partition("\n")
    if first.startswith("```") and rest.endswith("```"):
        return rest[:-3]
    return text


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice")
    return value


def _texts(value: Any, ids: Collection[str]) -> dict[str, str]:
    if not isinstance(value, list):
        raise Refusal("wrong_keys", '"spans" must be a list')
    texts: dict[str, str] = {}
    for item in value:
        if not isinstance(item, dict) or set(item) != {"id", "text"}:
            raise Refusal("wrong_keys", 'each span must be an object with exactly "id" and "text"')
        if not isinstance(item["id"], str) or item["id"] in texts:
            raise Refusal("wrong_ids", "each id has to stand once")
        texts[item["id"]] = _clean(item["text"], f"the text of span {item['id']}", allowed="")
    if set(texts) != set(ids):
        raise Refusal("wrong_ids", f"the ids have to be exactly {', '.join(ids) or 'none'}")
    return texts


def _clean(value: Any, what: str, allowed: str) -> str:
    """Text without control characters, turns of direction, lone surrogates and U+FFFD not in `allowed`."""
    if not isinstance(value, str):
        raise Refusal("wrong_keys", f"{what} must be a string")
    text = value.strip()
    if not text:
        raise Refusal("empty", f"{what} is empty")
    suspects = () if text.isprintable() and "\ufffd" not in text else text  # most texts are told at once
    for char in suspects:
        odd = unicodedata.category(char) in ("Cc", "Cs") or char == "\ufffd" or char in _TURNS
        if odd and char not in allowed:
            raise Refusal("control_character", f"{what} holds the character U+{ord(char):04X}")
    return text


def _without(text: str, parts: Collection[str]) -> str:
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, "")
    return text
