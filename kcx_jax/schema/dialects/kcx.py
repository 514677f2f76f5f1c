"""The project's own dialect: the shortest Python that says everything.

    class Person(Entity):
        \"\"\"A human being, named. Examples: Ada Lovelace, 李白\"\"\"
    class BirthPlace(Relation):
        head: Person
        tail: Location

and answers on one line: ``[Person("Ada Lovelace")]``, ``[BirthPlace(Person("Ada"), City("London"))]``,
``[Attack("attacked", attacker=[Person("rebels")], time=["3 May"])]``.
"""

import re
from collections.abc import Iterable

from kcx_jax.schema.answers import ParsedAnswer, Problem, ProblemKind
from kcx_jax.schema.base import Entity, Event, Relation, role_to_identifier
from kcx_jax.schema.calls import Atom, Call, Value, read_calls
from kcx_jax.schema.concepts import BASE_OF_KIND, Concept, Role, Schema
from kcx_jax.schema.strings import NEEDS_ESCAPE, escape_character, quote

# In a docstring a quote is escaped only where it would end the literal.
_ESCAPED_IN_DOCSTRING = re.compile(rf'[\\{NEEDS_ESCAPE}]|"(?="|\Z)')


def render_schema(schema: Schema) -> str:
    """Python source, one class after another; `load_schema` of it gives the same schema."""
    return "".join(_render_concept(concept) for concept in schema.concepts)


def _render_concept(concept: Concept) -> str:
    lines = [f"class {concept.name}({concept.parent or BASE_OF_KIND[concept.kind]}):"]
    if concept.docstring:
        lines.append(f'    """{_ESCAPED_IN_DOCSTRING.sub(escape_character, concept.docstring)}"""')
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
    """Every complete instance of an answer, and its problems.

    Whether a role admits an argument's class is left to the score; an unknown role, or something that is
    neither entity nor string, is a problem.
    """
    calls, problems = read_calls(text, {concept.name: concept.kind for concept in schema.concepts})
    builder = _Builder(schema)
    for call in calls:
        builder.add(call)
    problems += builder.problems
    return ParsedAnswer(tuple(builder.instances), tuple(sorted(problems, key=lambda each: each.position)))


class _UnfitError(Exception):
    """A call or value that is no instance of the schema."""

    def __init__(self, kind: ProblemKind, detail: str, position: int):
        self.problem = Problem(kind, detail, position)


class _Builder:
    """Calls -> instances of the schema's classes, and a problem for each that is none."""

    def __init__(self, schema: Schema):
        self.classes = schema.classes
        self.roles = {
            event.name: {role_to_identifier(role.name) for role in schema.roles_of(event.name)}
            for event in schema.events
        }
        self.instances: list[Entity | Relation | Event] = []
        self.problems: list[Problem] = []

    def add(self, call: Call) -> None:
        try:
            self.instances.append(self._instance(call))
        except _UnfitError as unfit:
            self.problems.append(unfit.problem)

    def _instance(self, call: Call) -> Entity | Relation | Event:
        cls = self._class(call)
        if issubclass(cls, Entity):
            return self._entity(cls, call)
        return self._relation(cls, call) if issubclass(cls, Relation) else self._event(cls, call)

    def _class(self, call: Call) -> type:
        if call.name not in self.classes:
            raise _UnfitError("unknown_class", f"the schema has no class {call.name!r}", call.position)
        return self.classes[call.name]

    def _entity(self, cls: type, call: Call) -> Entity:
        if len(call.arguments) != 1:
            detail = f"{call.name} takes one string, found {len(call.arguments)} arguments"
            raise _UnfitError("wrong_arity", detail, call.position)
        keyword, value = call.arguments[0]
        if keyword is not None or not isinstance(value, str):
            raise _UnfitError("wrong_argument", f"{call.name} takes one plain string", call.position)
        return cls(value)

    def _relation(self, cls: type, call: Call) -> Relation:
        if len(call.arguments) != 2:
            detail = f"{call.name} takes a head and a tail, found {len(call.arguments)} arguments"
            raise _UnfitError("wrong_arity", detail, call.position)
        if [keyword for keyword, _ in call.arguments] not in ([None, None], ["head", "tail"]):
            raise _UnfitError("wrong_argument", f"{call.name} takes head and tail in order", call.position)
        head, tail = (self._argument(value, call) for _, value in call.arguments)
        return cls(head, tail)

    def _event(self, cls: type, call: Call) -> Event:
        keywords = [keyword for keyword, _ in call.arguments]
        if keywords.count(None) != 1:
            detail = f"{call.name} takes one trigger, then role=[...]"
            raise _UnfitError("wrong_arity", detail, call.position)
        trigger = call.arguments[0][1]
        if keywords[0] is not None or not isinstance(trigger, str):
            raise _UnfitError(
                "wrong_argument", f"{call.name} starts with its trigger, a string", call.position
            )
        arguments: dict[str, list[Entity | str]] = {}
        for keyword, value in call.arguments[1:]:
            assert keyword is not None
            for each in value if isinstance(value, list) else [value]:
                try:
                    if keyword not in self.roles[call.name]:
                        raise _UnfitError(
                            "wrong_argument", f"{call.name} has no role {keyword!r}", call.position
                        )
                    filler = each if isinstance(each, str) else self._argument(each, call)
                    arguments.setdefault(keyword, []).append(filler)
                except _UnfitError as unfit:  # the event stands without this argument
                    self.problems.append(unfit.problem)
        return cls(trigger, **arguments)

    def _argument(self, value: Value, call: Call) -> Entity:
        """An entity of any class, the base class included."""
        if not isinstance(value, Call):
            position = value.position if isinstance(value, Atom) else call.position
            raise _UnfitError("wrong_argument", f"an argument of {call.name} is no entity", position)
        cls = Entity if value.name == Entity.__name__ else self._class(value)
        if not issubclass(cls, Entity):
            detail = f"an argument of {call.name} is no entity but {value.name}"
            raise _UnfitError("wrong_argument", detail, value.position)
        return self._entity(cls, value)
