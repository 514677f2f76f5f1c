"""What a raw answer claims, in the system's own labels -> instances of the schema's classes."""

import contextlib
import functools
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kcx_jax.errors import KcxError
from kcx_jax.schema import Entity, Event, ParsedAnswer, Problem, Relation, Schema, Task, role_to_identifier
from kcx_jax.schema.concepts import Kind
from kcx_jax.schema.labels import role_spelling_of, transliterated_name, transliterated_role
from kcx_jax.schema.ontology import class_for, role_for

Instance = Entity | Relation | Event
_KINDS: dict[Task, Kind] = {"ner": "entity", "re": "relation", "ed": "event", "eae": "event"}


@dataclass(frozen=True)
class Claim:
    """An item as a system names it: a mention, a relation's head and `tail`, or a trigger and its `arguments`.

    `arguments` are (role, text) pairs. `place`: the mention's offsets, of answers that have them.
    """

    label: str
    text: str
    tail: str | None = None
    arguments: tuple[tuple[str, str], ...] = ()
    place: tuple[int, int] | None = None


@dataclass(frozen=True)
class Claims:
    """The items of an answer, and what was wrong with the rest."""

    items: tuple[Claim, ...]
    problems: tuple[Problem, ...] = ()


class Labels:
    """A system's labels -> the classes and roles of a schema."""

    def __init__(self, schema: Schema, inventory: str | None = None) -> None:
        self._schema, self._inventory = schema, inventory
        self._found: dict[tuple[Kind, str], str | None] = {}
        self._found_roles: dict[tuple[str, str], str | None] = {}
        self._by_name: dict[tuple[str, str], str | None] = {}  # None: several classes are called so
        self._exactly: dict[tuple[str, str], str] = {}
        for concept in schema.concepts:
            for name in (concept.label, concept.name):
                if name is not None:
                    key = concept.kind, _plain(name)
                    known = self._by_name.setdefault(key, concept.name)
                    self._by_name[key] = concept.name if known == concept.name else None
        for concept in schema.concepts:  # to the letter: two labels may differ in case or punctuation alone
            for name in (concept.name, concept.label):
                if name is not None:
                    self._exactly[concept.kind, name] = concept.name

    def class_of(self, label: str, kind: Kind) -> str | None:
        """The class of a label: by the inventory, where one is given, or else by name, or by the name that classes made
        automatically have for a label in another script.

        None where there is none, and where several are called so but for case, spaces and punctuation.
        """
        key = kind, label.strip()
        if key not in self._found:  # what an inventory lacks takes it milliseconds to say
            self._found[key] = self._class_of(key[1], kind)
        return self._found[key]

    def _class_of(self, label: str, kind: Kind) -> str | None:
        if self._inventory is not None:
            try:
                name = class_for(self._inventory, label, kind)
            except KcxError:
                name = ""
            concept = self._schema.by_name.get(name)
            if concept is not None and concept.kind == kind:
                return name
        known = self._exactly.get((kind, label)) or self._by_name.get((kind, _plain(label)))
        if known is None and not label.isascii():
            concept = self._schema.by_name.get(transliterated_name(label))
            # A class that has its label is called by it: labels may differ in tone marks, which names have not.
            if concept is not None and concept.kind == kind and concept.label is None:
                return concept.name
        return known

    def instances(self, claims: Claims, task: Task) -> ParsedAnswer:
        """The instances of what was claimed; an unknown label is a problem that stands for its item."""
        made: list[Instance] = []
        problems = list(claims.problems)
        for claim in claims.items:
            name = self.class_of(claim.label, _KINDS[task])
            if not claim.text:
                problems.append(Problem("wrong_argument", f"{claim.label[:80]}: a span without its text", 0))
            elif name is None:
                problems.append(
                    Problem("unknown_class", f"the schema has no class for {claim.label[:80]!r}", 0)
                )
            elif task == "re":
                made.append(self._schema.classes[name](Entity(claim.text), Entity(claim.tail or "")))
            elif task == "ner":
                made.append(self._schema.classes[name](claim.text))
            else:
                made.append(self._event(name, claim, problems))
        return ParsedAnswer(tuple(made), tuple(problems))

    def _event(self, name: str, claim: Claim, problems: list[Problem]) -> Event:
        role_of = self._roles(name, claim.label.strip())
        arguments: dict[str, list[Entity | str]] = {}
        for role, text in claim.arguments:
            known = role_of(role)
            if known is None:
                problems.append(Problem("wrong_argument", f"{name} has no role {role[:80]!r}", 0))
            else:
                arguments.setdefault(role_to_identifier(known), []).append(text)
        made: Event = self._schema.classes[name](claim.text, **arguments)
        return made

    def _roles(self, name: str, label: str) -> Callable[[str], str | None]:
        """What the roles of the event class `name` are called where a system calls it `label`; as `class_of`."""
        names = [role.name for role in self._schema.roles_of(name)]
        plain = {_plain(role): role for role in names} | {role_spelling_of(role): role for role in names}

        def role_of(role: str) -> str | None:
            told = (self._mapped_role(label, role), role, plain.get(role), plain.get(_plain(role)))
            known = next((each for each in told if each in names), None)
            if known is None and not role.isascii() and (sounds := transliterated_role(role)) in names:
                return sounds
            return known

        return role_of

    def _mapped_role(self, label: str, role: str) -> str | None:
        """The role by the inventory, where one is given that knows it."""
        if self._inventory is not None and (label, role) not in self._found_roles:
            self._found_roles[label, role] = None
            with contextlib.suppress(KcxError):
                self._found_roles[label, role] = role_for(self._inventory, label, role.strip())
        return self._found_roles.get((label, role))


@functools.lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    """A name without case, width, spaces and punctuation: "birth place" is BirthPlace. Vowel signs and tone marks stay;
    a name of nothing but signs stays whole.
    """
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(each for each in folded if unicodedata.category(each)[0] not in "PSZC") or folded


def problem_of(detail: Iterable[str]) -> tuple[Problem, ...]:
    """Problems of items that could be read but are none."""
    return tuple(Problem("wrong_argument", each, 0) for each in detail)
