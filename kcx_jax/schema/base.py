"""The three base classes of the paper. A user's concept is a subclass; an answer is a list of instances.

    class Person(Entity): ...
    class BirthPlace(Relation):
        head: Person
        tail: Location
    BirthPlace(Person("Ada"), City("London"))
    Attack("attacked", attacker=[Person("X")], time=["3 May"])

Instances are equal when their class *names* and their contents are: the classes of one schema may be made
twice (from Python, from a file) and still describe the same thing.
"""

import keyword

from kcx_jax.schema.strings import quote

# Names a role cannot have as a keyword argument: Python's own, and those of `Event`'s constructor.
_TAKEN = frozenset(keyword.kwlist) | {"trigger_start", "trigger_end"}


def role_to_identifier(role: str, taken: frozenset[str] = frozenset()) -> str:
    """How a role is spelled in code: ``from`` becomes ``from_`` (and ``from_`` becomes ``from__``).

    `taken`: further names that the code around it holds.
    """
    return role + "_" if role.rstrip("_") in _TAKEN | taken else role


def identifier_to_role(identifier: str, taken: frozenset[str] = frozenset()) -> str:
    """The role that an identifier of code spells, the inverse of `role_to_identifier`."""
    escaped = identifier.endswith("_") and identifier.rstrip("_") in _TAKEN | taken
    return identifier[:-1] if escaped else identifier


class _Instance:
    """Equality and hash by class name and contents (`_contents`)."""

    def _contents(self) -> tuple:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Instance):
            return NotImplemented
        return type(self).__name__ == type(other).__name__ and self._contents() == other._contents()

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._contents()))


class Entity(_Instance):
    """A mention: its surface and, where known, its half-open offsets in code points of the text."""

    def __init__(self, text: str, start: int | None = None, end: int | None = None):
        self.text = text
        self.start = start
        self.end = end

    def _contents(self) -> tuple:
        return (self.text, self.start, self.end)

    def __repr__(self) -> str:
        offsets = "" if self.start is None else f", start={self.start}, end={self.end}"
        return f"{type(self).__name__}({quote(self.text)}{offsets})"


class Relation(_Instance):
    """A directed link between two mentions. A subclass may narrow the annotations of `head` and `tail`."""

    head: Entity
    tail: Entity

    def __init__(self, head: Entity, tail: Entity):
        self.head = head
        self.tail = tail

    def _contents(self) -> tuple:
        return (self.head, self.tail)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.head!r}, {self.tail!r})"


class Event(_Instance):
    """A trigger and, by role, its arguments: entities, or plain strings where a span has no type.

    Keywords are roles as code spells them (`role_to_identifier`); `arguments` has the roles' own names. A
    single value stands for a list of one; a role without a value is absent.
    """

    def __init__(
        self,
        trigger: str,
        /,
        trigger_start: int | None = None,
        trigger_end: int | None = None,
        **arguments: "list[Entity | str] | Entity | str",
    ):
        self.trigger = trigger
        self.trigger_start = trigger_start
        self.trigger_end = trigger_end
        self.arguments: dict[str, list[Entity | str]] = {}
        for identifier, given in arguments.items():
            values = [given] if isinstance(given, Entity | str) else list(given)
            if values:
                self.arguments[identifier_to_role(identifier)] = values

    def _contents(self) -> tuple:
        arguments = frozenset((role, tuple(values)) for role, values in self.arguments.items())
        return (self.trigger, self.trigger_start, self.trigger_end, arguments)

    def __repr__(self) -> str:
        parts = [quote(self.trigger)]
        if self.trigger_start is not None:
            parts += [f"trigger_start={self.trigger_start}", f"trigger_end={self.trigger_end}"]
        for role, values in self.arguments.items():
            shown = ", ".join(quote(value) if isinstance(value, str) else repr(value) for value in values)
            parts.append(f"{role_to_identifier(role)}=[{shown}]")
        return f"{type(self).__name__}({', '.join(parts)})"
