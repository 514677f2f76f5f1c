"""The prefix cache: the keys and values of a schema, computed once and kept while there is room."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kcx_jax.decoding.buckets import bucket
from kcx_jax.models import Transformer, prefix_cache
from kcx_jax.ops.layouts import KV
from kcx_jax.ops.program import Program

_SMALLEST = 256  # slots; powers of two from there on, because each size is compiled

Prefix = tuple[KV, jax.Array]  # keys and values of the slots; how many of them are filled, int32


def read_prefix(module: Transformer, variables: Any, prefix_ids: Sequence[int]) -> Prefix:
    """Keys and values [layers, G, P, C] of a prefix."""
    tokens_P = np.zeros(bucket(len(prefix_ids), _SMALLEST), np.int32)
    tokens_P[: len(prefix_ids)] = prefix_ids
    length = jnp.int32(len(prefix_ids))
    return _read(module, variables, jnp.asarray(tokens_P), length), length


@partial(Program, static_argnames="module")
def _read(module: Transformer, variables: Any, tokens_P: jax.Array, length: jax.Array) -> KV:
    return prefix_cache(module, variables, tokens_P, length)


class PrefixCache:
    """Prefixes of one model (base and adapter) by their token ids; the least recently used give way.

    Keeps at most `max_bytes` of keys and values, but always the prefix that was asked for last.
    """

    def __init__(self, max_bytes: int):
        self.max_bytes = max_bytes
        self._kept: OrderedDict[tuple[int, ...], Prefix] = OrderedDict()

    def get(self, ids: tuple[int, ...], compute: Callable[[], Prefix]) -> Prefix:
        """The prefix of `ids`; `compute` makes it when it is not kept."""
        if ids in self._kept:
            self._kept.move_to_end(ids)
            return self._kept[ids]
        self._kept[ids] = compute()
        while len(self._kept) > 1 and self.bytes_used > self.max_bytes:
            self._kept.popitem(last=False)
        return self._kept[ids]

    @property
    def bytes_used(self) -> int:
        """Bytes of all kept keys and values."""
        return sum(leaf.nbytes for kv, _ in self._kept.values() for leaf in jax.tree.leaves(kv))

    def __len__(self) -> int:
        return len(self._kept)
