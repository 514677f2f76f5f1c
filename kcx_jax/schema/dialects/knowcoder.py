'''KnowCoder's dialect: classes with constructors, indented by tabs, and an answer of one item per line.

    class Person(Entity):
        """
        Description: A human being, named.
        Examples: Ada Lovelace, 李白
        """
        pass

    results = [
        BirthPlace(Person("Ada"), City("London")),
        Attack(trigger = "attacked", attacker = [Person("rebels")])
    ]

Strings of an answer are raw: nothing in them is escaped, and one ends at the first quote that a bracket or a
comma follows. The few texts that this cannot write are refused (`render_answer`).
'''

from collections.abc import Iterable

from kcx_jax.errors import UsageError
from kcx_jax.schema.answers import ParsedAnswer
from kcx_jax.schema.base import Entity, Event, Relation
from kcx_jax.schema.calls import Grammar, fits_raw
from kcx_jax.schema.concepts import BASE_OF_KIND, Concept, Kind, Role, Schema
from kcx_jax.schema.dialects.knowcoder_source import ENDS, MARKER, TAKEN, compose_exemplars, read_schema
from kcx_jax.schema.instances import Spelling, read_instances
from kcx_jax.schema.strings import escape_docstring

__all__ = ["parse_answer", "read_schema", "render_answer", "render_schema"]

_SPELLING = Spelling(
    entity="name",
    relation=ENDS,
    trigger="trigger",
    taken=TAKEN,
    ignored=frozenset({"arg_names"}),
    grammar=Grammar(assigned=True, raw=True),
)


def render_schema(schema: Schema) -> str:
    """The base classes and the concepts; `read_schema` of them gives the same schema.

    Roles are written out where a class inherits them. Events take part in one of two forms: with their roles
    (argument extraction), or, when no event of the schema has any, as triggers alone.
    """
    with_roles = any(schema.roles_of(event.name) for event in schema.events)
    kinds = {concept.kind for concept in schema.concepts}
    if kinds == {"relation"} or (kinds == {"event"} and with_roles):
        kinds.add("entity")
    blocks = [_render_base(kind, with_roles) for kind in BASE_OF_KIND if kind in kinds]
    blocks += [_render_concept(concept, schema, with_roles) for concept in schema.concepts]
    return "\n".join(blocks)


def _render_base(kind: Kind, with_roles: bool) -> str:
    parameters = {
        "entity": ["name: str"],
        "relation": [f"{end}: Entity" for end in ENDS],
        "event": ["trigger: str"] if with_roles else ["trigger: str", "arg_names", "*args"],
    }[kind]
    body = [f"self.{parameter.split(':')[0]} = {parameter.split(':')[0]}" for parameter in parameters]
    if kind == "event" and not with_roles:
        body[1:] = ["self.arguments = dict(zip(arg_names, args))"]
    lines = [f"class {BASE_OF_KIND[kind]}:", f"\tdef __init__(self, {', '.join(parameters)}):"]
    return "\n".join([*lines, *(f"\t\t{line}" for line in body)]) + "\n"


def _render_concept(concept: Concept, schema: Schema, with_roles: bool) -> str:
    lines = [f"class {concept.name}({concept.parent or BASE_OF_KIND[concept.kind]}):"]
    in_comment = concept.kind == "event" and with_roles
    listed = compose_exemplars(concept.exemplars, concept.kind)
    lines += ['\t"""', f"\tDescription: {escape_docstring(concept.description)}"]
    if listed and not in_comment:
        lines.append(f"\t{MARKER} {escape_docstring(listed)}")
    lines.append('\t"""')
    roles = schema.roles_of(concept.name)
    if concept.kind == "relation":
        lines += _relation_constructor(roles)
    elif in_comment:
        lines += _event_constructor(roles, listed)
    elif concept.kind == "event":
        lines += [
            "\tdef __init__(self, trigger: str, *args):",
            "\t\tsuper().__init__(trigger = trigger, arg_names = [], *args)",
        ]
    else:
        lines.append("\tpass")
    return "\n".join(lines) + "\n"


def _relation_constructor(roles: tuple[Role, ...]) -> list[str]:
    types = {role.name: " | ".join(role.types) for role in roles}
    parameters = ", ".join(f"{end}: {types[name]}" for end, name in zip(ENDS, ("head", "tail"), strict=True))
    passed = ", ".join(f"{end} = {end}" for end in ENDS)
    return [f"\tdef __init__(self, {parameters}):", f"\t\tsuper().__init__({passed})"]


def _event_constructor(roles: tuple[Role, ...], exemplars: str) -> list[str]:
    fields = [(_SPELLING.identifier_of(role.name), _render_type(role)) for role in roles]
    comment = f" # {MARKER} {exemplars}" if exemplars else ""
    return [
        "\tdef __init__(",
        "\t\tself,",
        f"\t\ttrigger: str,{comment}",
        *(f"\t\t{name}: {type_}," for name, type_ in fields),
        "\t):",
        "\t\tsuper().__init__(trigger = trigger)",
        *(f"\t\tself.{name} = {name}" for name, _ in fields),
    ]


def _render_type(role: Role) -> str:
    union = " | ".join(role.types)
    return f"List[ {union} ]" if role.repeated else union


def render_answer(instances: Iterable[Entity | Relation | Event]) -> str:
    """``results = [``, one item per line, commas between them, ``]``; none: ``results = []``.

    Raises `UsageError` for a text that raw quotes cannot hold: one with a quote in front of ``)``, ``]`` or
    a comma, or with what looks like an item in it.
    """
    items = ",\n".join(f"\t{_render_instance(instance)}" for instance in instances)
    return f"results = [\n{items}\n]" if items else "results = []"


def _render_instance(instance: Entity | Relation | Event | str) -> str:
    if isinstance(instance, str):
        return _raw(instance)
    if isinstance(instance, Entity):
        arguments = [_raw(instance.text)]
    elif isinstance(instance, Relation):
        arguments = [_render_instance(instance.head), _render_instance(instance.tail)]
    elif not instance.arguments:
        arguments = [_raw(instance.trigger)]
    else:
        arguments = [f"trigger = {_raw(instance.trigger)}"]
        for role, values in instance.arguments.items():
            listed = ", ".join(_render_instance(value) for value in values)
            arguments.append(f"{_SPELLING.identifier_of(role)} = [{listed}]")
    return f"{type(instance).__name__}({', '.join(arguments)})"


def _raw(text: str) -> str:
    if not fits_raw(text):
        raise UsageError(
            f"the text {text!r} cannot be written in the knowcoder dialect, which escapes nothing: a quote in it "
            "would be read as its end. Use the dialect kcx or gollie"
        )
    return f'"{text}"'


def parse_answer(text: str, schema: Schema) -> ParsedAnswer:
    """Every complete instance of an answer, and its problems.

    An entity class that a loaded schema had to rename (``Event`` to ``Event_``) answers to both names.
    """
    return read_instances(text, schema, _SPELLING)
