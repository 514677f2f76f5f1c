"""The project's own dialect: the shortest Python that says everything.

    class Person(Entity):
        \"\"\"A human being, named. Examples: Ada Lovelace, 李白\"\"\"
    class BirthPlace(Relation):
        head: Person
        tail: Location

and answers on one line: ``[Person("Ada Lovelace")]``, ``[BirthPlace(Person("Ada"), City("London"))]``,
``[Attack("attacked", attacker=[Person("rebels")], time=["3 May"])]``.
"""

from collections.abc import Iterable

from kcx_jax.schema.answers import ParsedAnswer
from kcx_jax.schema.base import Entity, Event, Relation, role_to_identifier
from kcx_jax.schema.concepts import BASE_OF_KIND, Concept, Role, Schema
from kcx_jax.schema.instances import Spelling, read_instances
from kcx_jax.schema.source import read_source
from kcx_jax.schema.strings import quote, quote_docstring

_SPELLING = Spelling()


def read_schema(text: str, where: str) -> tuple[Concept, ...]:
    """The concepts a source declares. Raises `UsageError` with the line in `where`."""
    return read_source(text, where)


def render_schema(schema: Schema) -> str:
    """Python source, one class after another; `load_schema` of it gives the same schema."""
    return "".join(_render_concept(concept) for concept in schema.concepts)


def _render_concept(concept: Concept) -> str:
    lines = [f"class {concept.name}({concept.parent or BASE_OF_KIND[concept.kind]}):"]
    if concept.docstring:
        lines.append(f"    {quote_docstring(concept.docstring)}")
    lines += [f"    {role_to_identifier(role.name)}: {_render_type(role)}" for role in concept.roles]
    if len(lines) == 1:
        lines.append("    pass")
    return "\n".join(lines) + "\n"


def _render_type(role: Role) -> str:
    union = " | ".join(role.types)
    return f"list[{union}]" if role.repeated else union


def render_answer(instances: Iterable[Entity | Relation | Event]) -> str:
    """The instances on one line in their order, ``[]`` when there are none.

    Offsets are not part of an answer.
    """
    return f"[{', '.join(_render_instance(instance) for instance in instances)}]"


def _render_instance(instance: Entity | Relation | Event | str) -> str:
    if isinstance(instance, str):
        return quote(instance)
    if isinstance(instance, Entity):
        arguments = [quote(instance.text)]
    elif isinstance(instance, Relation):
        arguments = [_render_instance(instance.head), _render_instance(instance.tail)]
    else:
        arguments = [quote(instance.trigger)]
        for role, values in instance.arguments.items():
            listed = ", ".join(_render_instance(value) for value in values)
            arguments.append(f"{role_to_identifier(role)}=[{listed}]")
    return f"{type(instance).__name__}({', '.join(arguments)})"


def parse_answer(text: str, schema: Schema) -> ParsedAnswer:
    """Every complete instance of an answer, and its problems."""
    return read_instances(text, schema, _SPELLING)
