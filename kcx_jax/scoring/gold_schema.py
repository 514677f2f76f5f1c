"""The schema that gold records imply."""

from collections.abc import Iterable

from kcx_jax.corpora import Record
from kcx_jax.schema import Concept, Entity, Role, Schema


def schema_of(records: Iterable[Record]) -> Schema:
    """The classes that records use, each directly under its base class, with the roles that their events fill.

    A mention of no class of its own has the type ``Entity``, which every schema has.
    """
    entities: dict[str, None] = {}
    relations: dict[str, None] = {}
    events: dict[str, dict[str, None]] = {}
    for record in records:
        types = (mention.type for mention in record.entities or ())
        entities.update((name, None) for name in types if name != Entity.__name__)
        relations.update((link.type, None) for link in record.relations or ())
        for event in record.events or ():
            events.setdefault(event.type, {}).update((a.role, None) for a in event.arguments)
    return Schema(
        (
            *(Concept(name, "entity") for name in entities),
            *(Concept(name, "relation") for name in relations),
            *(
                Concept(name, "event", roles=tuple(Role(role, ("Entity",), True) for role in roles))
                for name, roles in events.items()
            ),
        )
    )
