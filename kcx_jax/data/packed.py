"""Token trees on disk: arrays that are mapped, so that one tree of millions is read without the others.

N trees, S samples of all trees one after another, T tokens: of each tree its prefix, then context and answer of every
branch.
"""

import contextlib
import copy
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kcx_jax.data.encode import StoredBranches, TokenBranch, TokenTree
from kcx_jax.data.sizes import Sizes
from kcx_jax.errors import KcxError

Array = Any  # where the fields of arrays stand for their dtypes or lengths, those
_BLOCK = 1 << 22  # samples that are checked at once


class _Arrays(NamedTuple):
    """The arrays of a folder, each in a file NAME.npy; all have one axis."""

    tokens_T: Array  # uint16 where the vocabulary allows, else int32
    prefixes_N: Array  # int64: tokens of each prefix
    firsts_N: Array  # int64, one more than trees: the first sample of each
    kinds_N: Array  # int32: which of the kinds, (name, language), each tree is of
    inputs_S: Array  # int32: tokens that the model reads
    targets_S: Array  # int32: tokens of the answer
    starts_S: Array  # int64: where the context begins in tokens_T
    names_B: Array  # uint8: the UTF-8 of all record ids
    name_ends_S: Array  # int64: where each id ends in it


_DTYPES = _Arrays("int32", "int64", "int64", "int32", "int32", "int32", "int64", "uint8", "int64")


class _ArrayFile:
    """An array of one axis, written as it comes; `close` tells its header how long it has become."""

    def __init__(self, path: Path, dtype: str):
        self.path, self.dtype, self.length = path, np.dtype(dtype), 0
        self._handle = path.open("wb")
        self._header()

    def append(self, values: Any) -> None:
        values = np.asarray(values, self.dtype)
        self._handle.write(values.data)
        self.length += len(values)

    def close(self) -> None:
        self._handle.seek(0)
        self._header()
        self._handle.close()

    def _header(self) -> None:
        # numpy leaves room in the header for the length to grow, so that it never moves the values.
        described = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.length,)}
        np.lib.format.write_array_header_1_0(self._handle, described)


def write_trees(folder: Path, parts: Iterable[tuple[int, TokenTree]], vocab_size: int) -> dict[str, Any]:
    """Write trees, none of them without branches, as arrays into a folder, over what an earlier call left there.

    Each has a number, and parts of one number that follow each other are one tree, all with its prefix; only one is
    in memory. Returns what `PackedTrees` needs to know of them, as JSON values. Raises `OSError` where the disk does.
    """
    folder.mkdir(exist_ok=True)
    dtypes = _DTYPES._replace(tokens_T="uint16" if vocab_size <= 1 << 16 else "int32")
    kinds: dict[tuple[str, str], int] = {}
    last = None
    with contextlib.ExitStack() as stack:
        arrays = _Arrays(*map(_ArrayFile, (folder / f"{name}.npy" for name in _Arrays._fields), dtypes))
        for array in arrays:
            stack.callback(array.close)
        for number, tree in parts:
            if number != last:
                last = number
                kind = kinds.setdefault((tree.name, tree.branches[0].language), len(kinds))
                arrays.prefixes_N.append([len(tree.prefix)])
                arrays.firsts_N.append([arrays.inputs_S.length])
                arrays.kinds_N.append([kind])
                arrays.tokens_T.append(tree.prefix)
            _append_branches(arrays, tree)
        arrays.firsts_N.append([arrays.inputs_S.length])
    return {
        "trees": arrays.prefixes_N.length,
        "samples": arrays.inputs_S.length,
        "kinds": [list(kind) for kind in kinds],
        "files": {name: _sha256(folder / f"{name}.npy") for name in _Arrays._fields},
    }


def _append_branches(arrays: _Arrays, tree: TokenTree) -> None:
    lengths = tree.inputs.astype(np.int64) + 1
    arrays.starts_S.append(arrays.tokens_T.length + np.cumsum(lengths) - lengths)
    arrays.inputs_S.append(tree.inputs)
    arrays.targets_S.append(tree.targets)
    arrays.tokens_T.append(
        np.concatenate([ids for each in tree.branches for ids in (each.context, each.answer)])
    )
    names = [branch.record_id.encode("utf-8", "surrogatepass") for branch in tree.branches]
    arrays.name_ends_S.append(arrays.names_B.length + np.cumsum([len(name) for name in names]))
    arrays.names_B.append(np.frombuffer(b"".join(names), np.uint8))


class PackedTrees(Sequence[TokenTree]):
    """The trees of a folder of `write_trees`; `files` has the SHA-256 of each array.

    Raises `KcxError` naming the file where one is missing, is not what was written, or would point out of another.
    """

    def __init__(
        self, folder: Path, kinds: Sequence[tuple[str, str]], files: Mapping[str, str], vocab_size: int
    ):
        self.folder, self.kinds, self.passes = folder, kinds, 1.0
        self.arrays = _Arrays(*(_opened(folder / f"{name}.npy", files.get(name)) for name in _Arrays._fields))
        self._check(vocab_size)
        arrays = self.arrays
        self.sizes = Sizes(arrays.prefixes_N, arrays.firsts_N, arrays.inputs_S, arrays.targets_S)

    def drawn(self, passes: float) -> "PackedTrees":
        """The same trees, of each of which an epoch has so many passes."""
        trees = copy.copy(self)
        trees.passes = passes
        return trees

    def __len__(self) -> int:
        return len(self.arrays.prefixes_N)

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        arrays = self.arrays
        first, end = arrays.firsts_N[index : index + 2].tolist()
        start = int(arrays.starts_S[first])
        prefix = arrays.tokens_T[start - int(arrays.prefixes_N[index]) : start].astype(np.int32)
        name, language = self.kinds[int(arrays.kinds_N[index])]
        return TokenTree(prefix, _PackedBranches(arrays, first, end, language), name, self.passes)

    def _check(self, vocab_size: int) -> None:
        """Raise `KcxError` unless every place that the arrays name is inside the others."""
        arrays = self.arrays
        for name, array, dtype in zip(_Arrays._fields, arrays, _DTYPES, strict=True):
            allowed = ("uint16", dtype) if name == "tokens_T" else (dtype,)
            if array.ndim != 1 or array.dtype.name not in allowed:
                raise self._wrong(name, f"it holds {array.dtype} of {array.ndim} dimensions")
        trees, samples = len(arrays.prefixes_N), len(arrays.inputs_S)
        lengths = _Arrays(
            len(arrays.tokens_T),
            trees,
            trees + 1,
            trees,
            samples,
            samples,
            samples,
            len(arrays.names_B),
            samples,
        )
        for name, array, length in zip(_Arrays._fields, arrays, lengths, strict=True):
            if len(array) != length:
                raise self._wrong(name, f"it has {len(array)} values in place of {length}")
        firsts = arrays.firsts_N
        if not trees or firsts[0] != 0 or firsts[-1] != samples or (np.diff(firsts) < 1).any():
            raise self._wrong("firsts_N", "trees and samples do not agree")
        if arrays.prefixes_N.min() < 0:
            raise self._wrong("prefixes_N", "it has a negative length")
        if not 0 <= arrays.kinds_N.min() <= arrays.kinds_N.max() < len(self.kinds):
            raise self._wrong("kinds_N", f"it names one of {len(self.kinds)} kinds that is not there")
        for first in range(0, samples, _BLOCK):
            self._check_samples(slice(first, min(first + _BLOCK, samples)))
        if not 0 <= arrays.tokens_T.min() <= arrays.tokens_T.max() < vocab_size:
            raise self._wrong("tokens_T", f"it has an id outside the vocabulary of {vocab_size}")

    def _check_samples(self, block: slice) -> None:
        """The same of some samples: lengths, and that each one's tokens begin where the one before ends."""
        arrays = self.arrays
        inputs, targets = arrays.inputs_S[block], arrays.targets_S[block]
        if targets.min() < 1 or (inputs < targets - 1).any():
            raise self._wrong("targets_S", "it has an answer without tokens, or longer than its sample")
        before = max(0, block.start - 1)
        ends = arrays.starts_S[before : block.stop] + arrays.inputs_S[before : block.stop] + 1
        if block.start == 0:
            ends = np.concatenate([[0], ends])
        starts = ends[:-1].copy()
        own = slice(*np.searchsorted(arrays.firsts_N[:-1], (block.start, block.stop)))
        starts[arrays.firsts_N[own] - block.start] += arrays.prefixes_N[own]
        if (starts != arrays.starts_S[block]).any():
            raise self._wrong("starts_S", "samples overlap, or leave tokens out")
        if block.stop == len(arrays.inputs_S) and ends[-1] != len(arrays.tokens_T):
            raise self._wrong("tokens_T", f"it has {len(arrays.tokens_T)} tokens, the samples {ends[-1]}")
        names = arrays.name_ends_S[before : block.stop]
        if names[0] < 0 or (np.diff(names) < 0).any() or names[-1] > len(arrays.names_B):
            raise self._wrong("name_ends_S", "it points out of the names")

    def _wrong(self, name: str, what: str) -> KcxError:
        return KcxError(f"{self.folder / name}.npy was not written by kcx data pack: {what}. Pack again.")


class _PackedBranches(StoredBranches):
    """The samples from `first` up to `end`."""

    def __init__(self, arrays: _Arrays, first: int, end: int, language: str):
        self.arrays, self.first, self.end, self.language = arrays, first, end, language

    def __len__(self) -> int:
        return self.end - self.first

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        arrays, sample = self.arrays, self.first + index
        start, inputs, targets = (
            int(array[sample]) for array in (arrays.starts_S, arrays.inputs_S, arrays.targets_S)
        )
        ids = arrays.tokens_T[start : start + inputs + 1].astype(np.int32)
        context = inputs + 1 - targets
        name = arrays.names_B[arrays.name_ends_S[sample - 1] if sample else 0 : arrays.name_ends_S[sample]]
        return TokenBranch(
            ids[:context], ids[context:], name.tobytes().decode("utf-8", "replace"), self.language
        )

    @property
    def inputs(self) -> np.ndarray:
        return self.arrays.inputs_S[self.first : self.end]

    @property
    def targets(self) -> np.ndarray:
        return self.arrays.targets_S[self.first : self.end]


def _opened(path: Path, sha256: str | None) -> np.ndarray:
    """The array in a file, mapped. Raises `KcxError` where its bytes are not those that were written."""
    try:
        if _sha256(path) != sha256:
            raise KcxError(
                f"{path} is damaged: its SHA-256 is not the one noted when it was packed. Pack again."
            )
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise KcxError(f"cannot read {path}: {error.strerror or error}. Pack again.") from error
    except ValueError as error:
        raise KcxError(f"{path} is no array: {error}. Pack again.") from error
    return array.view(np.ndarray)  # slices of a plain array are made three times faster


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
