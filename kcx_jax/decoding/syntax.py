"""A task's answers as a graph over bytes whatever the schema is: any name may stand where a class or a role does.

    [NAME("..."), ...]                                  ner, and ed
    [NAME(NAME("..."), NAME("...")), ...]               re
    [NAME("...", NAME=[NAME("..."), "..."], ...), ...]  eae

Names are ASCII identifiers, as those of a schema are.
"""

from string import ascii_letters, digits

from kcx_jax.decoding.graph import Graph
from kcx_jax.schema import Task

_FIRST = f"{ascii_letters}_".encode()
_LATER = f"{ascii_letters}_{digits}".encode()


class Syntax(Graph):
    """The graph of one task's answers over names of any spelling."""

    def __init__(self, task: Task):
        super().__init__()
        items = self._node()
        {"ner": self._mentions, "ed": self._mentions, "re": self._relations, "eae": self._events}[task](items)
        self._list(items)

    def _name(self, node: int, text: str, target: int) -> None:
        """Ways from `node` to `target` that spell a name and then `text`."""
        inside = self._node()
        self.ways[node] |= dict.fromkeys(_FIRST, inside)
        self.ways[inside] |= dict.fromkeys(_LATER, inside)
        self._write(inside, text, target)

    def _mention(self, node: int, behind: int) -> None:
        """An entity or a trigger between `node` and `behind`."""
        behind_text = self._node()
        self._write(behind_text, ")", behind)
        self._name(node, '("', self._slot(behind_text))

    def _mentions(self, items: int) -> None:
        self._mention(items, self._behind_item)

    def _relations(self, items: int) -> None:
        head, behind_head, tail, behind_tail = (self._node() for _ in range(4))
        self._name(items, "(", head)
        self._mention(head, behind_head)
        self._write(behind_head, ", ", tail)
        self._mention(tail, behind_tail)
        self._write(behind_tail, ")", self._behind_item)

    def _events(self, items: int) -> None:
        more, role, filler, behind_filler = (self._node() for _ in range(4))
        self._name(items, '("', self._slot(more))
        self._write(more, ")", self._behind_item)
        self._write(more, ", ", role)
        self._name(role, "=[", filler)
        self._write(filler, '"', self._slot(behind_filler))
        self._mention(filler, behind_filler)
        self._write(behind_filler, ", ", filler)
        self._write(behind_filler, "]", more)
