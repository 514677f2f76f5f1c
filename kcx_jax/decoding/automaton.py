"""Which token may follow which: the graph of a task's answers, walked by the tokens of a vocabulary.

Structure only; what stands between quotes is a sentence's (`spans`). Most tokens are all structure or all text. The
others, such as `."`, `"A` and `"?"`, are mixed: the text in them has to stand in the sentence.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kcx_jax.decoding.graph import QUOTE, Graph
from kcx_jax.decoding.vocabulary import Vocabulary
from kcx_jax.errors import KcxError

# What an edge needs of the sentence: nothing; that a text can end here; from here on, what is `wanted` of that number.
FREE, CLOSING, MIXED = 0, 1, 2


class Mixed(NamedTuple):
    """The text in a token that has a quote as well: whether its text begins within it, and whether it ends."""

    text: bytes
    opens: bool
    closes: bool


Wanted = Mixed | frozenset[Mixed]
"""Of the sentence: the text of a mixed token; or that of any of these, because there is no other way on."""


class _Node(NamedTuple):
    place: int  # of the grammar
    token: int | None  # the one before, where it decides what may follow


class _Edge(NamedTuple):
    token: int
    to: _Node
    need: int


@dataclass(frozen=True)
class Automaton:
    """Edges of node n are those from `first_N1[n]` to `first_N1[n + 1]`: `token_E` leads to the node `to_E`, if the
    sentence has what `need_E` says. A node of `slot_N` lies between quotes. All int32 but `slot_N` (bool).

    An answer begins at `start`; at `nothing` where there is no text to find anything in. Behind its end token it is at
    the last node, which has no edges. `wanted` is what needs from `MIXED` on stand for.
    """

    first_N1: np.ndarray
    token_E: np.ndarray
    to_E: np.ndarray
    need_E: np.ndarray
    slot_N: np.ndarray
    start: int
    nothing: int
    wanted: tuple[Wanted, ...]


def make_automaton(grammar: Graph, vocabulary: Vocabulary, canonical: bool = True) -> Automaton:
    """The automaton of a grammar for a vocabulary.

    canonical: structure is spelled as the tokenizer itself spells it, which is what a model was trained on; otherwise
    in every way. Raises `KcxError` where the vocabulary cannot spell the answers.
    """
    walk = _Walk(grammar, vocabulary, canonical)
    starts = _Node(grammar.start, None), _Node(grammar.nothing, None)
    end = _Node(-1, None)
    edges: dict[_Node, list[_Edge]] = {end: []}
    waiting = [*starts]
    while waiting:
        node = waiting.pop()
        if node not in edges:
            edges[node] = list(walk.edges(node, end))
            waiting += [edge.to for edge in edges[node]]
    edges = _without_dead_ends(edges, end, walk)
    if not all(edges.get(start) for start in starts):
        raise KcxError('the tokenizer has no pieces that spell an answer in code, such as [ and " and (')
    nodes = {node: number for number, node in enumerate([*(node for node in edges if node != end), end])}
    flat = [edge for node in nodes for edge in edges[node]]
    return Automaton(
        first_N1=np.cumsum([0, *(len(edges[node]) for node in nodes)], dtype=np.int32),
        token_E=np.array([edge.token for edge in flat], np.int32),
        to_E=np.array([nodes[edge.to] for edge in flat], np.int32),
        need_E=np.array([edge.need for edge in flat], np.int32),
        slot_N=np.array([node.place in grammar.slots for node in nodes]),
        start=nodes[starts[0]],
        nothing=nodes[starts[1]],
        wanted=tuple(walk.wanted),
    )


def _without_dead_ends(
    edges: dict[_Node, list[_Edge]], end: _Node, walk: "_Walk"
) -> dict[_Node, list[_Edge]]:
    """The edges of nodes from which there is a way to `end` whatever the sentence is, and of those where the way on
    needs the sentence to have the text of a mixed token: into these leads only what needs the same.
    """
    sure = _reaching(end, edges)
    needs: dict[_Node, int] = {}
    for node, ways in edges.items():
        texts = {walk.mixed_of(edge) for edge in ways if edge.need >= MIXED and edge.to in sure}
        if node not in sure and texts:
            needs[node] = walk.need(frozenset(texts))

    def kept(edge: _Edge) -> _Edge | None:
        if edge.to in sure:
            return edge
        return edge._replace(need=needs[edge.to]) if edge.need == FREE and edge.to in needs else None

    return {
        node: [each for each in map(kept, ways) if each]
        for node, ways in edges.items()
        if node in sure or node in needs
    }


def _reaching(end: _Node, edges: dict[_Node, list[_Edge]]) -> set[_Node]:
    """The nodes from which there is a way to `end` without mixed tokens."""
    before: defaultdict[_Node, list[_Node]] = defaultdict(list)
    for node, ways in edges.items():
        for edge in ways:
            if edge.need < MIXED:
                before[edge.to].append(node)
    found, waiting = {end}, [end]
    while waiting:
        new = set(before[waiting.pop()]) - found
        found |= new
        waiting += new
    return found


class _Walk:
    """Edges of single nodes, found when they are asked for."""

    def __init__(self, grammar: Graph, vocabulary: Vocabulary, canonical: bool):
        self.grammar, self.vocabulary, self.canonical = grammar, vocabulary, canonical
        self.wanted: list[Wanted] = []
        self._numbers: dict[Wanted, int] = {}
        self.opening: defaultdict[bytes, list[int]] = defaultdict(
            list
        )  # up to the quote -> tokens that go on
        self.closing: defaultdict[bytes, list[int]] = defaultdict(
            list
        )  # from the quote on -> tokens that end so
        for token, text in enumerate(vocabulary.bytes):
            for at in _quotes(text):
                if at < len(text) - 1:
                    self.opening[text[: at + 1]].append(token)
                if at:
                    self.closing[text[at:]].append(token)

    def edges(self, node: _Node, end: _Node) -> Iterator[_Edge]:
        if node.place == self.grammar.end:
            yield _Edge(self.vocabulary.eos_id, end, FREE)
            return
        found = (
            self._of_slot(node.place) if node.place in self.grammar.slots else self._of_structure(node.place)
        )
        for edge in found:
            if node.token is None or self.vocabulary.follows(node.token, edge.token):
                yield edge

    def _of_structure(self, place: int) -> Iterator[_Edge]:
        for text, target in self._along(place):
            yield from self._tokens(text, target, FREE)
            if target in self.grammar.slots:
                for token in self.opening.get(text, ()):
                    yield from self._opened(token, self.vocabulary.bytes[token][len(text) :], target)

    def _opened(self, token: int, rest: bytes, slot: int) -> Iterator[_Edge]:
        """Edges of a token that goes on behind the quote that opens `slot` with `rest`."""
        yield _Edge(token, _Node(slot, None), self.need(Mixed(rest, True, False)))
        for at in _quotes(rest):
            target = self._walked(slot, rest[at:])
            if at and target is not None:
                yield self._to(token, target, self.need(Mixed(rest[:at], True, True)))

    def _of_slot(self, slot: int) -> Iterator[_Edge]:
        for text, target in self._along(slot):
            yield from self._tokens(text, target, CLOSING)
        for end, tokens in self.closing.items():
            behind = self._walked(slot, end)
            if behind is not None:
                for token in tokens:
                    text = self.vocabulary.bytes[token].removesuffix(end)
                    yield self._to(token, behind, self.need(Mixed(text, False, True)))

    def _tokens(self, text: bytes, target: int, need: int) -> Iterator[_Edge]:
        yield from (self._to(token, target, need) for token in self.vocabulary.ids.get(text, ()))

    def _to(self, token: int, target: int, need: int) -> _Edge:
        decides = self.canonical and target not in self.grammar.slots and target != self.grammar.end
        return _Edge(token, _Node(target, token if decides else None), need)

    def need(self, wanted: Wanted) -> int:
        """The number for edges that need it."""
        if wanted not in self._numbers:
            self._numbers[wanted] = len(self.wanted)
            self.wanted.append(wanted)
        return MIXED + self._numbers[wanted]

    def mixed_of(self, edge: _Edge) -> Mixed:
        """What an edge of a mixed token needs."""
        wanted = self.wanted[edge.need - MIXED]
        assert isinstance(wanted, Mixed)
        return wanted

    def _along(self, place: int) -> Iterator[tuple[bytes, int]]:
        """(text, place) of each way from `place` on that tokens begin with; no way leads through a slot."""
        waiting = [(b"", place)]
        while waiting:
            text, at = waiting.pop()
            if text and at in self.grammar.slots:
                continue
            ways = self.grammar.ways[at]
            for byte in self.vocabulary.after.get(text, set()) & ways.keys():
                longer, target = text + bytes([byte]), ways[byte]
                yield longer, target
                waiting.append((longer, target))

    def _walked(self, place: int, text: bytes) -> int | None:
        """Where `text` leads from `place` on; None where there is no such way, or one through a slot."""
        for number, byte in enumerate(text):
            if (number and place in self.grammar.slots) or byte not in self.grammar.ways[place]:
                return None
            place = self.grammar.ways[place][byte]
        return place


def _quotes(text: bytes) -> list[int]:
    return [at for at, byte in enumerate(text) if byte == QUOTE]
