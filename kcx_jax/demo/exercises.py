"""Exercises of the four tasks on the corpus, every class and role under another name.

What the base reads of them teaches it what kinds of names there are and how a schema asks for them. It has to
learn the demo's own classes in tuning: none of their names is used here (``corpus/other_names.txt``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random

from kcx_jax.corpora import EventMention, Record
from kcx_jax.demo.corpus import schema
from kcx_jax.demo.corpus.tables import in_sections
from kcx_jax.prompts import PromptTree, extraction_tree
from kcx_jax.schema import Concept, Role, Schema, Task

TABLE = "other_names.txt"
FEWEST = 2  # classes of an exercise
USUAL = 0.7  # of the exercises are under the first name of each concept: a name met often is learnt soonest


@dataclass(frozen=True)
class OtherName:
    """A class that covers one or several concepts of the demo's schema."""

    covers: tuple[str, ...]
    name: str
    description: str


def renamed_exercise(rng: Random, records: Iterable[Record], task: Task) -> PromptTree:
    """`task` on `records`, under names drawn anew; what the drawn classes do not cover is not asked for."""
    usual = rng.random() < USUAL
    entities = _draw(rng, _other_names()["entity"], usual, whole=task != "ner")
    relations = _draw(rng, _other_names()["relation"], usual) if task == "re" else []
    events = _draw(rng, _other_names()["event"], usual) if task in ("ed", "eae") else []
    roles = {role: names[0] if usual else rng.choice(names) for role, names in _role_names().items()}
    renamed = {covered: other.name for other in (*entities, *relations, *events) for covered in other.covers}
    concepts = [_concept(other, renamed, roles) for other in (*entities, *relations, *events)]
    asked = Schema(tuple(concepts)).for_task(task)
    return extraction_tree(asked, [_renamed(record, renamed, roles) for record in records], task)


def usual_names() -> dict[str, str]:
    """The first name of every entity type."""
    return {other.covers[0]: other.name for other in _usual(_other_names()["entity"])}


def _usual(choices: Sequence[OtherName]) -> list[OtherName]:
    """The first name that each concept has for itself."""
    first: dict[tuple[str, ...], OtherName] = {}
    for other in choices:
        first.setdefault(other.covers, other)
    return [other for covers, other in first.items() if len(covers) == 1]


def _draw(rng: Random, choices: Sequence[OtherName], usual: bool, whole: bool = False) -> list[OtherName]:
    """Names that cover no concept twice: all `usual` ones, or of all a random number, or enough to cover all."""
    if usual:
        first = _usual(choices)
        return rng.sample(first, len(first))
    drawn: list[OtherName] = []
    covered: set[str] = set()
    most = len({concept for other in choices for concept in other.covers})
    count = most if whole else rng.randint(FEWEST, most)
    for other in rng.sample(choices, len(choices)):
        if len(drawn) < count and covered.isdisjoint(other.covers):
            drawn.append(other)
            covered.update(other.covers)
    return drawn


def _concept(other: OtherName, renamed: Mapping[str, str], role_names: Mapping[str, str]) -> Concept:
    known = schema().by_name[other.covers[0]]
    roles = tuple(
        Role(
            role_names.get(role.name, role.name),  # a relation's stay head and tail
            tuple(dict.fromkeys(renamed.get(name, name) for name in role.types)),
            role.repeated,
        )
        for role in known.roles
    )
    return Concept(other.name, known.kind, description=other.description, roles=roles)


def _renamed(record: Record, renamed: Mapping[str, str], role_names: Mapping[str, str]) -> Record:
    return replace(
        record,
        entities=tuple(replace(m, type=renamed.get(m.type, m.type)) for m in record.entities or ()),
        relations=tuple(replace(r, type=renamed.get(r.type, r.type)) for r in record.relations or ()),
        events=tuple(_renamed_event(event, renamed, role_names) for event in record.events or ()),
    )


def _renamed_event(
    event: EventMention, renamed: Mapping[str, str], role_names: Mapping[str, str]
) -> EventMention:
    arguments = tuple(replace(argument, role=role_names[argument.role]) for argument in event.arguments)
    return replace(event, type=renamed.get(event.type, event.type), arguments=arguments)


@cache
def _other_names() -> dict[str, list[OtherName]]:
    """The classes of the table by kind."""
    names: dict[str, list[OtherName]] = {}
    for kind, cells in _rows():
        if kind != "role":
            covers, name, description = cells
            names.setdefault(kind, []).append(OtherName(tuple(covers.split()), name, description))
    return names


@cache
def _role_names() -> dict[str, list[str]]:
    """The other names of every role of an event."""
    return {cells[0]: cells[1].split(", ") for kind, cells in _rows() if kind == "role"}


def _rows() -> Iterable[tuple[str, list[str]]]:
    for section, _, line in in_sections(TABLE):
        yield section, [cell.strip() for cell in line.split("|")]
