"""What tuning and decoding are measured on: token counts of real corpora's prompts, with random ids in them.

`lengths.json` holds counts only (made by `scripts/measure_lengths`), so that a measurement needs no corpus and no
tokenizer on the machine with the GPU.
"""

import functools
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kcx_jax.bench.apart import peak_rss_bytes
from kcx_jax.data.encode import TokenTree, token_tree
from kcx_jax.errors import UsageError
from kcx_jax.models import ModelConfig, abstract_params

BAICHUAN2_7B = ModelConfig(125_696, 4096, 11_008, num_layers=32, num_heads=32)


@dataclass(frozen=True)
class Lengths:
    """Tokens of a schema, and of the context and the answer (end token included) of each sentence."""

    prefix: int
    branches: tuple[tuple[int, int], ...]

    @property
    def longest(self) -> int:
        """Positions that the longest sample takes."""
        return self.prefix + max(context + answer for context, answer in self.branches)

    def middle(self, share: float) -> "Lengths":
        """The `share` of the sentences whose length is nearest the median: nearly no padding for anybody."""
        ordered = sorted(self.branches, key=sum)
        left = round(len(ordered) * (1 - share) / 2)
        return Lengths(self.prefix, tuple(ordered[left : len(ordered) - left]))

    def spread(self, count: int) -> "Lengths":
        """`count` of the sentences, evenly over the lengths. Raises `UsageError` where there are not so many."""
        if count > len(self.branches):
            raise UsageError(f"{len(self.branches)} sentences are no {count}: take smaller steps.")
        ordered = sorted(self.branches, key=sum)
        return Lengths(self.prefix, tuple(ordered[i * len(ordered) // count] for i in range(count)))

    def token_ratio(self, group: int) -> float:
        """Tokens read one by one over those read with `group` sentences a schema: what sharing can gain at most."""
        mean = sum(context + answer - 1 for context, answer in self.branches) / len(self.branches)
        return (self.prefix + mean) / (self.prefix / group + mean)


def lengths_of(case: str, prefix: int | None = None) -> Lengths:
    """The counts of a corpus in `lengths.json`, below a schema of `prefix` tokens if that is given. Raises `UsageError`
    naming the cases there are.
    """
    cases = _cases()
    if case not in cases:
        raise UsageError(f"no such workload: {case!r}; known: {', '.join(cases)}")
    return Lengths(prefix or cases[case]["prefix"], tuple((c, a) for c, a in cases[case]["branches"]))


@functools.cache
def _cases() -> dict[str, Any]:
    return json.loads(resources.files("kcx_jax.bench").joinpath("lengths.json").read_text(encoding="utf-8"))


def random_tree(lengths: Lengths, vocabulary: int, seed: int = 0) -> TokenTree:
    """A tree of these lengths with random ids (from 10 on: none of the special ones)."""
    rng = np.random.default_rng(seed)

    def ids(count: int) -> list[int]:
        return rng.integers(10, vocabulary, count).tolist()

    branches = [(ids(context), ids(answer)) for context, answer in lengths.branches]
    return token_tree(ids(lengths.prefix), branches, "random")


def random_samples(lengths: Lengths, vocabulary: int, seed: int = 0) -> list[tuple[list[int], int]]:
    """The samples of `random_tree` one by one: all ids of each, and how many of them, the last, are its answer."""
    tree = random_tree(lengths, vocabulary, seed)
    return [
        (np.concatenate([tree.prefix, branch.context, branch.answer]).tolist(), len(branch.answer))
        for branch in tree.branches
    ]


def random_params(config: ModelConfig, dtype: jax.typing.DTypeLike, seed: int = 0) -> Any:
    """Params made on the device in `dtype`, leaf by leaf: matrices normal with deviation 0.02, norms one."""
    leaves, structure = jax.tree.flatten_with_path(abstract_params(config, dtype))
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    made = [
        jnp.ones(leaf.shape, dtype)
        if "norm" in jax.tree_util.keystr(path)
        else _matrix(key, leaf.shape, jnp.dtype(dtype))
        for key, (path, leaf) in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, made)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _matrix(key: jax.Array, shape: tuple[int, ...], dtype: np.dtype) -> jax.Array:
    return jax.random.normal(key, shape, dtype) * jnp.asarray(0.02, dtype)


def memory_peak() -> int:
    """The most bytes of the first device that were ever in use in this process; of the process's memory where the
    device does not say.
    """
    return int((jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0)) or peak_rss_bytes()
