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
from kcx_jax.schema.base import Entity, Event, Relation, identifier_to_role, role_to_identifier
from kcx_jax.schema.calls import Atom, Call, Value, read_calls
from kcx_jax.schema.concepts import BASE_OF_KIND, Concept, Role, Schema
from kcx_jax.schema.strings import NEEDS_ESCAPE, escape_character, quote

# In a docstring a quote is escaped only where it would end the literal.
_ESCAPED_IN_DOCSTRING = re.compile(rf'[\\{NEEDS_ESCAPE}]|"(?="|\Z)')


def render_schema(schema: Schema) -> str:
    """Python source, one class after another, ending in a newline; `load_schema` of it gives the same schema."""
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
    """The instances on one line in their order, ``[]`` when there are none. Offsets are not part of an answer."""
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
    """Every complete instance of an answer, and its problems. Never evaluates, never fails, linear in the text.

    Whether a role admits an argument's class is left to the score; an unknown role, or something that is neither
    entity nor string, is a problem.
    """
    calls, problems = read_calls(text, {concept.name: concept.kind for concept in schema.concepts})
    builder = _Builder(schema, problems)
    built = [builder.item(call) for call in calls]
    instances = tuple(instance for instance in built if instance is not None)
    return ParsedAnswer(instances, tuple(sorted(problems, key=lambda problem: problem.position)))


class _Builder:
    """Calls -> instances of the schema's classes; what does not fit becomes a problem and None."""

    def __init__(self, schema: Schema, problems: list[Problem]):
        self.classes = schema.classes
        self.roles = {
            event.name: {role.name for role in schema.roles_of(event.name)} for event in schema.events
        }
        self.problems = problems

    def item(self, call: Call) -> Entity | Relation | Event | None:
        cls = self.classes.get(call.name)
        if cls is None:
            return self._leave_out("unknown_class", f"the schema has no class {call.name!r}", call.position)
        if issubclass(cls, Entity):
            return self._entity(cls, call)
        if issubclass(cls, Relation):
            return self._relation(cls, call)
        return self._event(cls, call)

    def _entity(self, cls: type, call: Call) -> Entity | None:
        if len(call.arguments) != 1:
            detail = f"{call.name} takes one string, found {len(call.arguments)} arguments"
            return self._leave_out("wrong_arity", detail, call.position)
        keyword, value = call.arguments[0]
        if keyword is not None or not isinstance(value, str):
            return self._leave_out("wrong_argument", f"{call.name} takes one plain string", call.position)
        return cls(value)

    def _relation(self, cls: type, call: Call) -> Relation | None:
        if len(call.arguments) != 2:
            detail = f"{call.name} takes a head and a tail, found {len(call.arguments)} arguments"
            return self._leave_out("wrong_arity", detail, call.position)
        if [keyword for keyword, _ in call.arguments] not in ([None, None], ["head", "tail"]):
            return self._leave_out(
                "wrong_argument", f"{call.name} takes head and tail in order", call.position
            )
        ends = [self._argument(value, call, plain=False) for _, value in call.arguments]
        return cls(*ends) if None not in ends else None

    def _event(self, cls: type, call: Call) -> Event | None:
        if not call.arguments or sum(keyword is None for keyword, _ in call.arguments) != 1:
            detail = f"{call.name} takes its trigger, then role=[...]"
            return self._leave_out("wrong_arity", detail, call.position)
        keyword, trigger = call.arguments[0]
        if keyword is not None or not isinstance(trigger, str):
            return self._leave_out(
                "wrong_argument", f"{call.name}'s trigger is a plain string", call.position
            )
        arguments: dict[str, list] = {}
        for identifier, value in call.arguments[1:]:
            assert identifier is not None
            if identifier_to_role(identifier) not in self.roles[call.name]:
                self._leave_out("wrong_argument", f"{call.name} has no role {identifier!r}", call.position)
                continue
            values = value if isinstance(value, list) else [value]
            kept = [self._argument(each, call, plain=True) for each in values]
            arguments.setdefault(identifier, []).extend(each for each in kept if each is not None)
        return cls(trigger, **arguments)

    def _argument(self, value: Value, call: Call, plain: bool) -> Entity | str | None:
        """An entity (of any class, the base class included), or a string where `plain` allows it."""
        if isinstance(value, str) and plain:
            return value
        if not isinstance(value, Call):
            position = value.position if isinstance(value, Atom) else call.position
            return self._leave_out("wrong_argument", f"an argument of {call.name} is no entity", position)
        cls = Entity if value.name == Entity.__name__ else self.classes.get(value.name)
        if cls is None:
            return self._leave_out("unknown_class", f"the schema has no class {value.name!r}", value.position)
        if not issubclass(cls, Entity):
            detail = f"an argument of {call.name} is no entity but {value.name}"
            return self._leave_out("wrong_argument", detail, value.position)
        return self._entity(cls, value)

    def _leave_out(self, kind: ProblemKind, detail: str, position: int) -> None:
        self.problems.append(Problem(kind, detail, position))
