"""Near-duplicate texts: one side is indexed by MinHash, the other is asked for in batches.

The similarity of two texts is the Jaccard index of their sets of character n-grams, which needs no words and so
no spaces. Signatures are those of `datasketch.MinHash` (the extra ``leakage``), computed for a batch of texts at
once; what a band of them proposes is compared exactly, so nothing is reported that is not so.

Arrays: N texts, S shingles of all of them, K permutations, P proposed pairs.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from kcx_jax.errors import UsageError

PERMUTATIONS = 128
RECALL = 0.95
"""What a pair exactly at the threshold is found with, at least; one above it is found more surely."""

_PAIRS_AT_ONCE = 50_000  # 25 MB of signatures
_BASE = np.uint64(0x9E3779B97F4A7C15)


class NearIndex:
    """An index of texts that answers which of them are near-duplicates of others.

    Args:
        texts: what is indexed.
        threshold: the least similarity of a near-duplicate, in (0, 1].
        size: characters of a shingle; a shorter text is one shingle.

    Raises `UsageError` for a threshold or a size out of range.
    """

    def __init__(self, texts: Sequence[str], threshold: float = 0.8, size: int = 4):
        if not 0 < threshold <= 1:
            raise UsageError(f"the threshold of near-duplicates is in (0, 1], got {threshold}")
        if size < 1:
            raise UsageError(f"a shingle has at least one character, got {size}")
        from datasketch import MinHash

        self.threshold, self.size = threshold, size
        self.bands, self.rows = choose_bands(threshold)
        self._permutations = MinHash(self.bands * self.rows, seed=1, scheme="affine32").permutations
        self._texts = texts
        # An estimate from K permutations strays by its standard error; three of them lose one in a thousand.
        error = math.sqrt(threshold * (1 - threshold) / (self.bands * self.rows))
        self._least_agreement = threshold - 3 * error
        parts = [self.signatures(texts[i : i + 1024]) for i in range(0, len(texts), 1024)]
        self._signatures_NK = (
            np.concatenate(parts) if parts else np.empty((0, self.bands * self.rows), np.uint32)
        )
        self._tables = []
        for key_N in self._band_keys(self._signatures_NK):
            order_N = np.argsort(key_N, kind="stable")
            self._tables.append((key_N[order_N], order_N.astype(np.int32)))

    def query(self, texts: Sequence[str]) -> Iterator[tuple[int, int, float]]:
        """Yield (place in `texts`, place in the index, similarity) of every near-duplicate that is found."""
        if not texts or not self._texts:
            return
        signatures_NK = self.signatures(texts)
        proposed: set[tuple[int, int]] = set()
        for (key_N, order_N), asked_N in zip(self._tables, self._band_keys(signatures_NK), strict=True):
            first_N = np.searchsorted(key_N, asked_N, "left")
            count_N = np.searchsorted(key_N, asked_N, "right") - first_N
            end_N = np.cumsum(count_N)
            for start in range(0, int(end_N[-1]), _PAIRS_AT_ONCE):
                pair_P = np.arange(start, min(start + _PAIRS_AT_ONCE, int(end_N[-1])))
                asked_P = np.searchsorted(end_N, pair_P, "right")
                known_P = order_N[first_N[asked_P] + pair_P - (end_N - count_N)[asked_P]]
                equal_P = (signatures_NK[asked_P] == self._signatures_NK[known_P]).mean(axis=1)
                kept_P = equal_P >= self._least_agreement
                proposed.update(zip(asked_P[kept_P].tolist(), known_P[kept_P].tolist(), strict=True))
        for asked, known in sorted(proposed):
            similarity = jaccard(texts[asked], self._texts[known], self.size)
            if similarity >= self.threshold:
                yield asked, known, similarity

    def signatures(self, texts: Sequence[str]) -> np.ndarray:
        """The MinHash signatures [N, K] uint32 of texts: what `datasketch` gives one by one."""
        hash_S, start_N = _shingle_hashes(texts, self.size)
        mixed_S = _mix(hash_S)
        out_KN = np.empty((self.bands * self.rows, len(texts)), np.uint32)
        permuted_S = np.empty_like(mixed_S)
        for row, (a, b) in enumerate(zip(*self._permutations, strict=True)):
            np.multiply(mixed_S, a, out=permuted_S)
            np.add(permuted_S, b, out=permuted_S)
            np.minimum.reduceat(permuted_S, start_N, out=out_KN[row])
        return np.ascontiguousarray(out_KN.T)

    def _band_keys(self, signatures_NK: np.ndarray) -> Iterator[np.ndarray]:
        """One 64-bit key a text, band by band."""
        for band in range(self.bands):
            key_N = np.zeros(len(signatures_NK), np.uint64)
            for row in range(band * self.rows, (band + 1) * self.rows):
                key_N = (key_N ^ signatures_NK[:, row]) * _BASE
                key_N ^= key_N >> np.uint64(29)
            yield key_N


def choose_bands(threshold: float) -> tuple[int, int]:
    """The (bands, rows) of `PERMUTATIONS` that propose least and still find `RECALL` of pairs at the threshold."""
    for rows in range(PERMUTATIONS, 1, -1):
        bands = PERMUTATIONS // rows
        if 1 - (1 - threshold**rows) ** bands >= RECALL:
            return bands, rows
    return PERMUTATIONS, 1


def jaccard(one: str, other: str, size: int) -> float:
    """The Jaccard index of the sets of `size`-grams of two texts, in [0, 1]."""
    a, b = _shingles(one, size), _shingles(other, size)
    both = len(a & b)
    return both / (len(a) + len(b) - both)


def _shingles(text: str, size: int) -> set[str]:
    return {text[i : i + size] for i in range(max(1, len(text) - size + 1))}


def _shingle_hashes(texts: Sequence[str], size: int) -> tuple[np.ndarray, np.ndarray]:
    """A hash [S] uint32 for every shingle, and where those of each text begin [N]."""
    padded = [text.ljust(size, "\0") for text in texts]
    count_N = np.fromiter((len(text) - size + 1 for text in padded), np.int64, len(padded))
    points = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    windows = len(points) - size + 1
    hash_ = np.zeros(windows, np.uint64)
    for place in range(size):
        hash_ = (hash_ + points[place : place + windows]) * _BASE
    start_N = np.cumsum(count_N) - count_N
    # A window that begins in a text's last size - 1 characters would reach into the next.
    inside = np.arange(int(count_N.sum())) + np.repeat(np.arange(len(padded)) * (size - 1), count_N)
    return (hash_[inside] >> np.uint64(32)).astype(np.uint32), start_N


def _mix(hash_S: np.ndarray) -> np.ndarray:
    """The finaliser of MurmurHash3, which datasketch puts before its permutations."""
    hash_S = (hash_S ^ (hash_S >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    hash_S = (hash_S ^ (hash_S >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return hash_S ^ (hash_S >> np.uint32(16))
