"""How sure a model of ours was of each item of its answer, carried over to what the item became."""

import math
import unicodedata
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any

from kcx_jax.corpora import Record
from kcx_jax.extraction.answers import Answer
from kcx_jax.extraction.results import Key, entity_key, event_key, relation_key
from kcx_jax.schema import Entity, Event, Relation, Task, render_answer

Instance = Entity | Relation | Event


def item_scores(answer: Answer, instances: Sequence[Instance]) -> list[float | None]:
    """The probability of each item where it stands: the product of those of the tokens that spell it.

    None for every item when the source gives no probabilities, and for those behind which the answer is not spelled as
    `render_answer` would, so that their place in it is not known. An answer may be cut off behind its items.
    """
    if not answer.tokens or not answer.text.startswith(" ["):
        return [None] * len(instances)
    starts = [0, *(end for end, _ in answer.tokens)]
    tokens = [(start, end, logprob) for start, (end, logprob) in zip(starts, answer.tokens, strict=False)]
    scores: list[float | None] = []
    position = len(" [")
    for instance in instances:
        item = render_answer([instance])[1:-1]
        if not answer.text.startswith(item, position):
            break
        end = position + len(item)
        logprobs = [logprob for start, stop, logprob in tokens if start < end and stop > position]
        scores.append(math.exp(min(0.0, sum(logprobs))))
        position = end + len(", ")
    return scores + [None] * (len(instances) - len(scores))


def place_scores(
    task: Task, record: Record, instances: Sequence[Instance], scores: Sequence[float | None]
) -> dict[Key, float]:
    """The scores of an answer's items by what they became in `record`, the grounded answer.

    Items that are spelled alike come in the order of the text, as their places do.
    """
    waiting: dict[tuple, deque[float | None]] = defaultdict(deque)
    for instance, score in zip(instances, scores, strict=True):
        waiting[_spelling(instance)].append(score)
    placed: dict[Key, float] = {}
    for key, spelling in _places(task, record):
        score = waiting[spelling].popleft() if waiting[spelling] else None
        if score is not None:
            placed.setdefault(key, score)
    return placed


def _spelling(instance: Instance) -> tuple:
    name = type(instance).__name__
    if isinstance(instance, Entity):
        return name, _nfc(instance.text)
    if isinstance(instance, Relation):
        return name, _spelling(instance.head), _spelling(instance.tail)
    return name, _nfc(instance.trigger)


def _places(task: Task, record: Record) -> list[tuple[Key, tuple]]:
    """What a task's items became: its key, and how the item was spelled."""
    if task == "ner":
        return [(entity_key(m), (m.type, _nfc(m.text))) for m in record.entities or ()]
    if task == "re":
        mention: dict[str, Any] = {m.id: m for m in record.entities or ()}
        return [
            (
                relation_key(link.type, mention[link.head], mention[link.tail]),
                (link.type, *((m.type, _nfc(m.text)) for m in (mention[link.head], mention[link.tail]))),
            )
            for link in record.relations or ()
        ]
    return [(event_key(event), (event.type, _nfc(event.trigger.text))) for event in record.events or ()]


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
