"""Calls read out of an answer -> instances of the schema's classes, in the spelling of a dialect."""

import dataclasses

from kcx_jax.schema.answers import ParsedAnswer, Problem, ProblemKind
from kcx_jax.schema.base import Entity, Event, Relation, identifier_to_role, role_to_identifier
from kcx_jax.schema.calls import PLAIN, Atom, Call, Grammar, Value, read_calls
from kcx_jax.schema.concepts import BASE_OF_KIND, Schema

MAX_PROBLEMS = 10_000  # an answer with more items that do not fit is none


@dataclasses.dataclass(frozen=True)
class Spelling:
    """How a dialect names what a call holds.

    `entity`, `relation`, `trigger`: the keywords that may stand before a mention's text, the two ends and
    the trigger (None: no keyword may). `untyped_ends`: an end of a relation may be a plain string, which
    stands for an `Entity`. `taken`: names that a role cannot have beside those Python takes. `ignored`: names that the
    dialect gives an event beside its roles.
    """

    entity: str | None = None
    relation: tuple[str, str] = ("head", "tail")
    trigger: str | None = None
    untyped_ends: bool = False
    taken: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    grammar: Grammar = PLAIN

    def identifier_of(self, role: str) -> str:
        """How code spells a role."""
        return role_to_identifier(role, self.taken)

    def role_of(self, identifier: str) -> str:
        """The role that an identifier spells."""
        return identifier_to_role(identifier, self.taken)


def read_instances(text: str, schema: Schema, spelling: Spelling) -> ParsedAnswer:
    """Every complete instance of an answer, and its problems.

    Whether a role admits an argument's class is left to the score; an unknown role, or something that is
    neither entity nor string, is a problem.
    """
    builder = _Builder(schema, spelling)
    kinds = {name: schema.by_name[cls.__name__].kind for name, cls in builder.classes.items()}
    calls, problems = read_calls(text, kinds, spelling.grammar)
    for number, call in enumerate(calls, start=1):
        builder.add(call)
        if len(builder.problems) == MAX_PROBLEMS and number < len(calls):
            detail = f"too much damage: {len(calls) - number} further items were not read"
            problems.append(Problem("syntax", detail, call.position))
            break
    problems += builder.problems
    return ParsedAnswer(tuple(builder.instances), tuple(sorted(problems, key=lambda each: each.position)))


class _UnfitError(Exception):
    """A call or value that is no instance of the schema."""

    def __init__(self, kind: ProblemKind, detail: str, position: int):
        self.problem = Problem(kind, detail, position)


class _Builder:
    """Calls -> instances of the schema's classes, and a problem for each that is none."""

    def __init__(self, schema: Schema, spelling: Spelling):
        self.spelling = spelling
        self.classes = dict(schema.classes)
        # A foreign schema's class called like a base class was renamed on loading (`Event` -> `Event_`).
        for base in BASE_OF_KIND.values():
            if base != Entity.__name__ and f"{base}_" in self.classes:
                self.classes[base] = self.classes[f"{base}_"]
        self.roles = {
            event.name: {role.name for role in schema.roles_of(event.name)} for event in schema.events
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
        if keyword not in (None, self.spelling.entity) or not isinstance(value, str):
            if isinstance(value, Atom):
                raise _UnfitError(
                    "unquoted", f"{value.text!r} in {call.name} is without quotes", call.position
                )
            raise _UnfitError("wrong_argument", f"{call.name} takes one plain string", call.position)
        return cls(value)

    def _relation(self, cls: type, call: Call) -> Relation:
        if len(call.arguments) != 2:
            detail = f"{call.name} takes a head and a tail, found {len(call.arguments)} arguments"
            raise _UnfitError("wrong_arity", detail, call.position)
        ends = self.spelling.relation
        keywords, values = zip(*call.arguments, strict=True)
        if keywords == ends[::-1]:  # as Python takes them too
            keywords, values = ends, values[::-1]
        if keywords not in ((None, None), ends):
            detail = f"{call.name} takes {' and '.join(ends)}"
            raise _UnfitError("wrong_argument", detail, call.position)
        head, tail = (self._end(value, call) for value in values)
        return cls(head, tail)

    def _end(self, value: Value, call: Call) -> Entity:
        if self.spelling.untyped_ends and isinstance(value, str):
            return Entity(value)
        return self._argument(value, call)

    def _event(self, cls: type, call: Call) -> Event:
        keywords = [keyword for keyword, _ in call.arguments]
        if sum(keyword in (None, self.spelling.trigger) for keyword in keywords) != 1:
            detail = f"{call.name} takes one trigger, then role=[...]"
            raise _UnfitError("wrong_arity", detail, call.position)
        trigger = call.arguments[0][1]
        if keywords[0] not in (None, self.spelling.trigger) or not isinstance(trigger, str):
            kind: ProblemKind = "unquoted" if isinstance(trigger, Atom) else "wrong_argument"
            raise _UnfitError(kind, f"{call.name} starts with its trigger, a string", call.position)
        arguments: dict[str, list[Entity | str]] = {}
        for keyword, value in call.arguments[1:]:
            assert keyword is not None
            role = self.spelling.role_of(keyword)
            if keyword in self.spelling.ignored and role not in self.roles[cls.__name__]:
                continue
            for each in value if isinstance(value, list) else [value]:
                try:
                    if role not in self.roles[cls.__name__]:
                        raise _UnfitError(
                            "wrong_argument", f"{call.name} has no role {keyword!r}", call.position
                        )
                    filler = each if isinstance(each, str) else self._argument(each, call)
                    arguments.setdefault(role_to_identifier(role), []).append(filler)
                except _UnfitError as unfit:  # the event stands without this argument
                    self.problems.append(unfit.problem)
        return cls(trigger, **arguments)

    def _argument(self, value: Value, call: Call) -> Entity:
        """An entity of any class, the base class included."""
        if isinstance(value, Atom):
            detail = f"{value.text!r} in {call.name} is without quotes"
            raise _UnfitError("unquoted", detail, value.position)
        if not isinstance(value, Call):
            raise _UnfitError("wrong_argument", f"an argument of {call.name} is no entity", call.position)
        cls = Entity if value.name == Entity.__name__ else self._class(value)
        if not issubclass(cls, Entity):
            detail = f"an argument of {call.name} is no entity but {value.name}"
            raise _UnfitError("wrong_argument", detail, value.position)
        return self._entity(cls, value)
