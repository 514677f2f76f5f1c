"""A task's answers as a graph over bytes: everything but the texts between quotes, which are slots.

    [Person("..."), City("...")]                                 ner, and ed
    [BirthPlace(Person("..."), City("...")), ...]                re
    [Attack("...", attacker=[Person("..."), "..."], ...), ...]   eae

Roles come in the order of the schema, each once and only with fillers. Classes are those that a role declares, with
their subclasses. Nodes are numbers; wherever answers differ the graph is a tree, so a byte leads one way.
"""

from collections.abc import Iterable, Sequence

from kcx_jax.decoding.graph import Graph
from kcx_jax.schema import Schema, Task, role_to_identifier
from kcx_jax.schema.concepts import UNTYPED


class Grammar(Graph):
    """The graph of one task's answers over the classes of a schema."""

    def __init__(self, schema: Schema, task: Task):
        super().__init__()
        self._schema = schema.for_task(task)
        self._classes: dict[tuple[str, ...], tuple[str, ...]] = {}
        items = self._node()
        {"ner": self._mentions, "ed": self._mentions, "re": self._relations, "eae": self._events}[task](items)
        self._list(items)

    def _mentions(self, items: int) -> None:
        behind = self._node()
        self._write(behind, ")", self._behind_item)
        slot = self._slot(behind)
        for concept in self._schema.concepts:
            self._write(items, f'{concept.name}("', slot)

    def _relations(self, items: int) -> None:
        behind_tail = self._node()
        self._write(behind_tail, "))", self._behind_item)
        tail = self._slot(behind_tail)
        heads: dict[tuple[str, ...], int] = {}  # by the classes of the tail, which is all that they differ in
        for relation in self._schema.relations:
            of_head, of_tail = (self._fitting(role.types) for role in self._schema.roles_of(relation.name))
            if of_tail not in heads:
                behind_head = self._node()
                heads[of_tail] = self._slot(behind_head)
                for name in of_tail:
                    self._write(behind_head, f'), {name}("', tail)
            for name in of_head:
                self._write(items, f'{relation.name}({name}("', heads[of_tail])

    def _events(self, items: int) -> None:
        for event in self._schema.events:
            roles = self._schema.roles_of(event.name)
            fillers = [self._node() for _ in roles]
            behind_trigger = self._node()
            self._go_on(behind_trigger, roles, fillers, 0)
            self._write(items, f'{event.name}("', self._slot(behind_trigger))
            for number, role in enumerate(roles):
                behind_list = self._node()
                self._go_on(behind_list, roles, fillers, number + 1)
                self._filler(fillers[number], role.types, behind_list)

    def _go_on(self, node: int, roles: Sequence, fillers: Sequence[int], number: int) -> None:
        """Ways from `node` to the end of the event, or into a role from the `number`-th on."""
        self._write(node, ")", self._behind_item)
        for role, filler in zip(roles[number:], fillers[number:], strict=True):
            self._write(node, f", {role_to_identifier(role.name)}=[", filler)

    def _filler(self, node: int, types: tuple[str, ...], behind_list: int) -> None:
        behind = self._node()
        self._write(behind, ", ", node)
        self._write(behind, "]", behind_list)
        if UNTYPED in types:
            self._write(node, '"', self._slot(behind))
        behind_text = self._node()
        self._write(behind_text, ")", behind)
        slot = self._slot(behind_text)
        for name in self._fitting(types):
            self._write(node, f'{name}("', slot)

    def _fitting(self, types: Iterable[str]) -> tuple[str, ...]:
        """The entity classes that a role of these types takes, subclasses included."""
        types = tuple(types)
        if types not in self._classes:
            fitting = ["Entity"] if "Entity" in types else []
            for concept in self._schema.entities:
                if "Entity" in types or concept.name in types or concept.parent in fitting:
                    fitting.append(concept.name)
            self._classes[types] = tuple(fitting)
        return self._classes[types]
