"""Trees of several corpora as one sequence, without a copy: in memory or packed, each as often as an epoch has it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from kcx_jax.data.encode import TokenTree
from kcx_jax.data.packed import PackedTrees
from kcx_jax.data.sizes import Sizes


@dataclass(frozen=True)
class _Part:
    """`passes`: of all its trees; None: their own."""

    trees: Sequence[TokenTree]
    passes: float | None = None

    def passes_N(self) -> np.ndarray:
        if self.passes is None and not isinstance(self.trees, PackedTrees):
            return np.array([tree.passes for tree in self.trees], float)
        return np.full(len(self.trees), 1.0 if self.passes is None else self.passes)


class Forest(Sequence[TokenTree]):
    """The trees of `parts` one after another."""

    def __init__(self, *parts: Sequence[TokenTree]):
        self._parts: list[_Part] = []
        for trees in parts:
            self._parts += trees._parts if isinstance(trees, Forest) else [_Part(trees)]
        self._ends = np.cumsum([0, *(len(part.trees) for part in self._parts)])[1:]

    def drawn(self, passes: float) -> "Forest":
        """The same trees, of each of which an epoch has so many passes."""
        forest = Forest(self)
        forest._parts = [replace(part, passes=passes) for part in self._parts]
        return forest

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = int(np.searchsorted(self._ends, index, side="right"))
        part = self._parts[number]
        tree = part.trees[index - int(self._ends[number]) + len(part.trees)]
        return tree if part.passes in (None, tree.passes) else replace(tree, passes=part.passes)

    @cached_property
    def sizes(self) -> Sizes:
        return Sizes.joined(
            part.trees.sizes if isinstance(part.trees, PackedTrees) else Sizes.of(part.trees)
            for part in self._parts
        )

    @cached_property
    def passes_N(self) -> np.ndarray:
        """How often an epoch has each tree, on average."""
        return np.concatenate([np.zeros(0), *(part.passes_N() for part in self._parts)])
