"""Trees of several corpora as one sequence, without a copy: in memory or packed, each as often as an epoch has it."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from kcx_jax.data.encode import TokenTree
from kcx_jax.data.packed import PackedTrees
from kcx_jax.data.sizes import Sizes


class Forest(Sequence[TokenTree]):
    """The trees of `parts` one after another."""

    def __init__(self, *parts: Sequence[TokenTree]):
        self._parts: list[Sequence[TokenTree]] = []
        for trees in parts:
            self._parts += trees._parts if isinstance(trees, Forest) else [trees]
        self._ends = np.cumsum([len(trees) for trees in self._parts], dtype=np.int64)

    def drawn(self, passes: float) -> "Forest":
        """The same trees, of each of which an epoch has so many passes."""
        return Forest(
            *(
                trees.drawn(passes)
                if isinstance(trees, PackedTrees)
                else [replace(tree, passes=passes) for tree in trees]
                for trees in self._parts
            )
        )

    def __len__(self) -> int:
        return int(self._ends[-1]) if self._parts else 0

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = int(np.searchsorted(self._ends, index, side="right"))
        trees = self._parts[number]
        return trees[index - int(self._ends[number]) + len(trees)]

    @cached_property
    def sizes(self) -> Sizes:
        return Sizes.joined(
            trees.sizes if isinstance(trees, PackedTrees) else Sizes.of(trees) for trees in self._parts
        )

    @cached_property
    def passes_N(self) -> np.ndarray:
        """How often an epoch has each tree, on average."""
        passes = [
            np.full(len(trees), trees.passes)
            if isinstance(trees, PackedTrees)
            else np.array([tree.passes for tree in trees], float)
            for trees in self._parts
        ]
        return np.concatenate([np.zeros(0), *passes])
