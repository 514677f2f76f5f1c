"""A graph over bytes whose ways spell answers in code: `grammar` and `syntax` are two of the kind."""

from kcx_jax.errors import UsageError

MOST_NODES = 300_000
QUOTE = ord('"')


class Graph:
    """Answers begin as they do behind ``results =``: with a space. They are a list of items, which a subclass writes.

    `ways[node]` is byte -> node. A node in `slots` lies between quotes, and its one way is the closing one. `start` is
    the first node, `nothing` that of a text in which nothing can be found; at `end` an answer is whole.
    """

    def __init__(self) -> None:
        self.ways: list[dict[int, int]] = []
        self.slots: set[int] = set()
        self.start, self.nothing, self.end = self._node(), self._node(), self._node()
        self._behind_item = self._node()

    def _list(self, items: int) -> None:
        """The list around its items, which begin at `items` and are written before, for what follows is copied."""
        first = self._node()
        self._write(self.start, " [", first)
        self._write(self.nothing, " []", self.end)
        self._write(self._behind_item, ", ", items)
        self._write(self._behind_item, "]", self.end)
        self.ways[first] |= self.ways[items]
        self._write(first, "]", self.end)

    def _node(self) -> int:
        if len(self.ways) == MOST_NODES:
            raise UsageError(
                f"the schema's answers need a graph of more than {MOST_NODES:,} nodes. Ask for fewer classes at "
                "once, or take the constraint syntax."
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
