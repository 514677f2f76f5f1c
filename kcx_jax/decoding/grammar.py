"""A task's answers as a graph over bytes: everything but the texts between quotes, which are slots.

    [Person("..."), City("...")]                                 ner, and ed
    [BirthPlace(Person("..."), City("...")), ...]                re
    [Attack("...", attacker=[Person("..."), "..."], ...), ...]   eae

Roles come in the order of the schema, each once and only with fillers. Classes are those that a role declares, with
their subclasses. Nodes are numbers; wherever answers differ the graph is a tree, so a byte leads one way.
"""

from collections.abc import Iterable, Sequence

from kcx_jax.errors import UsageError
from kcx_jax.schema import Schema, Task, role_to_identifier
from kcx_jax.schema.concepts import UNTYPED

MOST_NODES = 300_000
QUOTE = ord('"')


class Grammar:
    """The graph of one task's answers, which begin as they do behind ``results =``: with a space.

    `ways[node]` is byte -> node. A node in `slots` lies between quotes, and its one way is the closing one. `start` is
    the first node, `nothing` that of a text in which nothing can be found; at `end` an answer is whole.
    """

    def __init__(self, schema: Schema, task: Task):
        self.ways: list[dict[int, int]] = []
        self.slots: set[int] = set()
        self._schema = schema.for_task(task)
        self._classes: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.start, self.nothing, self.end = self._node(), self._node(), self._node()
        first, items, self._behind_item = self._node(), self._node(), self._node()
        self._write(self.start, " [", first)
        self._write(self.nothing, " []", self.end)
        self._write(self._behind_item, ", ", items)
        self._write(self._behind_item, "]", self.end)
        {"ner": self._mentions, "ed": self._mentions, "re": self._relations, "eae": self._events}[task](items)
        self.ways[first] |= self.ways[items]
        self._write(first, "]", self.end)

    def _node(self) -> int:
        if len(self.ways) == MOST_NODES:
            raise UsageError(
                f"the schema's answers need a graph of more than {MOST_NODES:,} nodes. Ask for fewer classes at "
                "once, or switch the constraint off."
            )
        self.ways.append({})
        return len(self.ways) - 1

    def _write(self, node: int, text: str, target: int) -> None:
        """A way from `node` to `target` that spells `text`; it may share its beginning with others."""
        *first, last = text.encode()
        for byte in first:
            if byte not in self.ways[node]:
                self.ways[node][byte] = self._node()
            node = self.ways[node][byte]
        assert self.ways[node].setdefault(last, target) == target

    def _slot(self, behind: int) -> int:
        """A node between quotes, which goes on at `behind`."""
        node = self._node()
        self.slots.add(node)
        self.ways[node][QUOTE] = behind
        return node

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
