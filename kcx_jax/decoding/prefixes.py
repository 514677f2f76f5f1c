"""The prefix cache: the keys and values of schemas, computed once and kept while there is room.

Shapes: P = slots of a prefix, W = tokens that are read at once, G = heads of keys and values, C = channels of a head.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from threading import RLock
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kcx_jax.decoding.buckets import bucket
from kcx_jax.models import Transformer, empty_cache
from kcx_jax.models.sharding import constrain
from kcx_jax.ops.layouts import KV, Cached
from kcx_jax.ops.program import Program

# Few sizes, because each is compiled: multiples, for padding of a prefix is looked at in every step, and powers of two.
_PREFIX_STEP = 256
_SMALLEST_PIECE, _LARGEST_PIECE = 64, 512


class Prefix(NamedTuple):
    """Keys and values [layers, G, P, C], and how many of their slots are filled (int32)."""

    kv: KV
    length: jax.Array


def read_prefix(
    module: Transformer, variables: Any, ids: Sequence[int], start: Prefix | None, common: int
) -> Prefix:
    """The prefix of `ids`, whose first `common` tokens are also the first of `start`."""
    slots = _PREFIX_STEP * max(1, -(-len(ids) // _PREFIX_STEP))
    empty = empty_cache(module.config, 1, slots, module.dtype)
    kv = jax.tree.map(lambda x: x[:, 0], empty)
    if start is not None:
        kept = min(slots, start.kv.k.shape[2])
        kv = jax.tree.map(lambda new, old: new.at[:, :, :kept].set(old[:, :, :kept]), kv, start.kv)
    done = common
    while done < len(ids):
        width = min(_LARGEST_PIECE, bucket(len(ids) - done, _SMALLEST_PIECE))
        tokens_W = np.zeros(width, np.int32)
        piece = ids[done : done + width]
        tokens_W[: len(piece)] = piece
        kv = _read_on(module, variables, kv, jnp.int32(done), jnp.asarray(tokens_W))
        done += len(piece)
    return Prefix(kv, jnp.int32(len(ids)))


@partial(Program, static_argnames="module", donate_argnames="kv")
def _read_on(module: Transformer, variables: Any, kv: KV, length: jax.Array, tokens_W: jax.Array) -> KV:
    """The prefix with the next tokens read; what is behind its end is overwritten later, or never looked at."""
    layout = Cached(kv, length, jnp.zeros(1, jnp.int32))
    own = empty_cache(module.config, 1, tokens_W.size, kv.k.dtype)
    positions_1W = layout.positions(tokens_W.size)
    result: Any = module.apply(variables, tokens_W[None], positions_1W, layout, own)
    slot_W = length + jnp.arange(tokens_W.size)
    kv = jax.tree.map(lambda old, new: old.at[:, :, slot_W].set(new[:, 0], mode="drop"), kv, result[1])
    return jax.tree.map(lambda x: constrain(x, None, "heads", None, None), kv)


class PrefixCache:
    """Prefixes of one model (base and adapter) by their token ids.

    If it `shares`, one that begins as a kept one does takes over what they have in common. Keeps at most `max_bytes` of
    keys and values: the least recently used give way, but never those that are pinned, nor the one that was asked for
    last. `read(ids, start, common)` computes a prefix as `read_prefix` does. Threads may share it, and read one after
    another.
    """

    def __init__(
        self,
        max_bytes: int,
        read: Callable[[Sequence[int], Prefix | None, int], Prefix],
        shares: bool = True,
    ):
        self.max_bytes, self._read, self._shares = max_bytes, read, shares
        self._kept: OrderedDict[tuple[int, ...], Prefix] = OrderedDict()
        self._pinned: set[tuple[int, ...]] = set()
        self._lock = RLock()
        self.tokens_read = self.tokens_reused = 0

    def get(self, ids: Sequence[int]) -> Prefix:
        """The prefix of `ids`, kept or computed."""
        key = tuple(ids)
        with self._lock:
            if key not in self._kept:
                others = self._kept if self._shares else ()
                common, start = max(((_common(key, kept), kept) for kept in others), default=(0, ()))
                self._kept[key] = self._read(key, self._kept[start] if common else None, common)
                self.tokens_read += len(key) - common
                self.tokens_reused += common
            else:
                self.tokens_reused += len(key)
            self._kept.move_to_end(key)
            for other in [each for each in self._kept if each not in self._pinned and each != key]:
                if self.bytes_used <= self.max_bytes:
                    break
                del self._kept[other]
            return self._kept[key]

    def pin(self, ids: Sequence[int]) -> None:
        """Keep the prefix of `ids`, which is computed now if need be, until it is unpinned."""
        with self._lock:
            self._pinned.add(tuple(ids))
            self.get(ids)

    def unpin(self, ids: Sequence[int]) -> None:
        """Let the prefix of `ids` give way again."""
        with self._lock:
            self._pinned.discard(tuple(ids))

    @property
    def bytes_used(self) -> int:
        """Bytes of all kept keys and values."""
        with self._lock:
            kept = list(self._kept.values())
        return sum(leaf.nbytes for prefix in kept for leaf in jax.tree.leaves(prefix.kv))

    def __len__(self) -> int:
        return len(self._kept)


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many of their first tokens are the same."""
    shorter = min(len(one), len(other))
    different = np.flatnonzero(np.not_equal(one[:shorter], other[:shorter]))
    return int(different[0]) if different.size else shorter
