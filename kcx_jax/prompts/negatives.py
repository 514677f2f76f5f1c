"""Which classes a tree shows: all that its records have, and some that they have not, the hardest first."""

import math
import random
import re
from collections.abc import Iterable, Sequence

from kcx_jax.corpora import Record
from kcx_jax.corpora.pairs import pair_of
from kcx_jax.prompts.settings import PromptConfig
from kcx_jax.prompts.splitting import listed_concepts, restricted
from kcx_jax.schema import Concept, Schema, Task

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def with_negatives(
    schema: Schema, records: Sequence[Record], task: Task, config: PromptConfig, generator: random.Random
) -> Schema:
    """The schema of the task with the classes that the records have and as many others as `config` says.

    First come siblings (classes below the same parent as one that is there, their parents and children), then
    classes whose name shares a word with one that is there, then the rest; each kind in drawn order. At least
    one class that the task lists stays.
    """
    whole = schema.for_task(task)
    listed = listed_concepts(whole, task)
    found = _present(records, task, config.pair)
    present = [each for each in listed if each.name in found]
    absent = [each for each in listed if each.name not in found]
    wanted = config.negatives
    if wanted is None:
        if config.negative_ratio is None:
            return whole
        wanted = math.ceil(config.negative_ratio * max(1, len(present)))
    if not present:
        wanted = max(1, wanted)
    generator.shuffle(absent)
    chosen = sorted(absent, key=_Hardness(present))[:wanted]
    return restricted(whole, task, {*found, *(each.name for each in chosen)})


def _present(records: Iterable[Record], task: Task, pair: bool) -> set[str]:
    """The classes that the answers name, those of the mentions inside relations and events too."""
    found: set[str] = set()
    for record in records:
        types = {mention.id: mention.type for mention in record.entities or ()}
        match task:
            case "ner":
                found.update(types.values())
            case "re":
                for link in record.relations or ():
                    found.update((link.type, types[link.head], types[link.tail]))
                if pair:
                    found.update(mention.type for mention in pair_of(record))
            case _:
                for event in record.events or ():
                    found.add(event.type)
                    found.update(types[each.entity] for each in event.arguments if each.entity is not None)
    return found


class _Hardness:
    """Sort key of absent classes beside the present ones: 0 kin, 1 a name that shares a word, 2 neither."""

    def __init__(self, present: Sequence[Concept]) -> None:
        self._names = {each.name for each in present}
        self._parents = {each.parent for each in present} - {None}
        self._words = {word for each in present for word in _words(each.name)}

    def __call__(self, concept: Concept) -> int:
        if concept.name in self._parents or concept.parent in self._names | self._parents:
            return 0
        return 1 if self._words & _words(concept.name) else 2


def _words(name: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(name)}
