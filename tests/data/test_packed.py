"""Packed trees: what was written is read, in any order; damage and arrays that lie are named, never followed."""

import hashlib
import pickle
import tempfile
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.data import (
    Forest,
    PackedTrees,
    PlanOptions,
    TokenBranch,
    TokenTree,
    arrange,
    cut_at,
    joined,
    make_plan,
    write_trees,
)
from kcx_jax.data.sizes import Sizes
from kcx_jax.errors import KcxError

WORDS = 70_000  # more than 16 bits

ids = st.integers(0, WORDS - 1)
branches = st.tuples(
    st.lists(ids, min_size=1, max_size=4), st.lists(ids, min_size=1, max_size=3), st.text(max_size=4)
)
trees = st.lists(
    st.tuples(
        st.lists(ids, max_size=5),
        st.lists(branches, min_size=1, max_size=4),
        st.sampled_from(["ner", "re"]),
        st.sampled_from(["", "en", "en and zh"]),
    ),
    min_size=1,
    max_size=4,
)


def array(values):
    return np.array(values, np.int32)


def made(drawn) -> list[TokenTree]:
    return [
        TokenTree(
            array(prefix),
            tuple(
                TokenBranch(array(context), array(answer), name, language) for context, answer, name in own
            ),
            task,
        )
        for prefix, own, task, language in drawn
    ]


def content(tree: TokenTree):
    branches = [(b.context.tolist(), b.answer.tolist(), b.record_id, b.language) for b in tree.branches]
    return tree.prefix.tolist(), tree.name, tree.inputs.tolist(), tree.targets.tolist(), branches


def opened(folder: Path, written: dict, words: int = WORDS) -> PackedTrees:
    return PackedTrees(folder, written["kinds"], written["files"], words)


@settings(max_examples=40, deadline=None)
@given(drawn=trees, narrow=st.booleans())
def test_what_was_written_is_read(drawn, narrow):
    words = 1 << 16 if narrow else WORDS
    if narrow:
        drawn = [
            ([i % words for i in p], [([i % words for i in c], a, n) for c, a, n in b], *k)
            for p, b, *k in drawn
        ]
        drawn = [(p, [(c, [i % words for i in a], n) for c, a, n in b], *k) for p, b, *k in drawn]
    own = made(drawn)
    with tempfile.TemporaryDirectory() as folder:
        written = write_trees(Path(folder) / "1", enumerate(own), words)
        packed = opened(Path(folder) / "1", written, words)
        assert packed.arrays.tokens_T.dtype == (np.uint16 if narrow else np.int32)
        assert [content(tree) for tree in packed] == [content(tree) for tree in own]
        assert content(packed[len(own) - 1]) == content(own[-1])  # at once
        for stored, made_again in zip(
            packed.sizes.__dict__.values(), Sizes.of(own).__dict__.values(), strict=True
        ):
            np.testing.assert_array_equal(stored, made_again)
        both = [content(tree) for tree in Forest(own, packed).drawn(0.5)]
        assert both == [content(tree) for tree in own] * 2
        assert {tree.passes for tree in Forest(packed).drawn(0.5)} == {0.5}
        for packing in ("tree", "plain"):
            options = PlanOptions(2, 3, seed=1, row_tokens=20 if packing == "plain" else None)
            arranged = [arrange(each, packing) for each in (own, Forest(packed))]
            assert list(map(content, arranged[0])) == list(map(content, arranged[1]))
            assert make_plan(arranged[0], options, epochs=2) == make_plan(arranged[1], options, epochs=2)


@settings(max_examples=30, deadline=None)
@given(drawn=trees, size=st.integers(1, 3))
def test_a_tree_in_parts_is_written_as_numpy_writes_it_whole(drawn, size):
    own = made(drawn)
    parts = [
        (number, replace(tree, branches=tree.branches[start : start + size]))
        for number, tree in enumerate(own)
        for start in range(0, len(tree.branches), size)
    ]
    assert list(map(content, joined(iter(parts)))) == list(map(content, own))
    with tempfile.TemporaryDirectory() as folder:
        told = [
            write_trees(Path(folder) / str(n), each, WORDS) for n, each in enumerate((enumerate(own), parts))
        ]
        assert told[0] == told[1]
        again = write_trees(Path(folder) / "0", parts[:1], WORDS)  # over what was there
        assert again["samples"] == len(parts[0][1].branches)
        for path in (Path(folder) / "1").iterdir():
            np.save(Path(folder) / "x.npy", np.load(path))
            assert path.read_bytes() == (Path(folder) / "x.npy").read_bytes()


def test_parts_that_are_written_are_not_kept(tmp_path):
    alive = []

    def parts():
        for number in range(20):
            (tree,) = made([([5], [([7], [8, 2], str(number))], "ner", "en")])
            alive.append(weakref.ref(tree))
            yield 0, tree
            del tree
            assert sum(each() is not None for each in alive) <= 1

    assert write_trees(tmp_path / "1", parts(), 10)["samples"] == 20


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_a_prefix_that_is_cut_leaves_every_sample_its_tokens(cut):
    (tree,) = made([([5, 6], [([7], [8, 2], "a"), ([9, 9], [2], "b")], "ner", "en")])
    cut_off = cut_at(tree, cut)
    assert cut_off.prefix.tolist() == [5, 6][:cut]
    moved = [5, 6][cut:]
    assert [b.context.tolist() for b in cut_off.branches] == [[*moved, 7], [*moved, 9, 9]]


@pytest.fixture
def written(tmp_path):
    own = made(
        [([5, 6], [([7], [8, 2], "a"), ([9, 9], [2], "b")], "ner", "en"), ([4], [([3], [2], "c")], "re", "")]
    )
    return tmp_path / "1", write_trees(tmp_path / "1", enumerate(own), 10)


ARRAYS = list(write_trees.__globals__["_Arrays"]._fields)


@pytest.mark.parametrize("name", ARRAYS)
def test_a_damaged_or_missing_array_is_named(written, name):
    folder, told = written
    path = folder / f"{name}.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(KcxError, match=rf"{name}\.npy is damaged: its SHA-256.*Pack again"):
        opened(folder, told, 10)
    path.unlink()
    with pytest.raises(KcxError, match=rf"cannot read .*{name}\.npy: No such file.*Pack again"):
        opened(folder, told, 10)


LIES = [
    ("tokens_T", np.array([10] * 11, np.uint16), "an id outside the vocabulary of 10"),
    ("tokens_T", np.array([-1] * 11, np.int32), "an id outside the vocabulary of 10"),
    ("tokens_T", np.zeros(10, np.uint16), "it has 10 tokens, the samples 11"),
    ("tokens_T", np.zeros(11), "it holds float64"),
    ("tokens_T", np.zeros(0, np.int32), "it has 0 tokens"),
    ("prefixes_N", np.array([-2, 1]), "a negative length"),
    ("prefixes_N", np.zeros((2, 1), int), "of 2 dimensions"),
    ("firsts_N", np.array([0, 0, 3]), "trees and samples do not agree"),
    ("firsts_N", np.array([0, 4, 3]), "trees and samples do not agree"),
    ("firsts_N", np.array([0, 3]), "it has 2 values in place of 3"),
    ("firsts_N", np.array([0, 1, 3]), "samples overlap"),
    ("kinds_N", np.array([0, 2], np.int32), "one of 2 kinds"),
    ("kinds_N", np.array([-1, 0], np.int32), "one of 2 kinds"),
    ("inputs_S", np.array([-1, 2, 1], np.int32), "an answer without tokens, or longer"),
    ("targets_S", np.array([0, 1, 1], np.int32), "an answer without tokens, or longer"),
    ("targets_S", np.array([2, 1], np.int32), "it has 2 values in place of 3"),
    ("starts_S", np.array([2, 4, 9]), "samples overlap"),
    ("starts_S", np.array([2, 5, 1 << 62]), "samples overlap"),
    ("name_ends_S", np.array([-1, 2, 3]), "points out of the names"),
    ("name_ends_S", np.array([2, 1, 3]), "points out of the names"),
    ("name_ends_S", np.array([1, 2, 99]), "points out of the names"),
]


@pytest.mark.parametrize(("name", "values", "message"), LIES)
def test_arrays_that_would_point_elsewhere_are_refused(written, name, values, message):
    """Though their checksums are right."""
    folder, told = written
    path = folder / f"{name}.npy"
    np.save(path, values)
    told["files"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(KcxError, match=rf"\.npy was not written by kcx data pack: .*{message}.*Pack again"):
        opened(folder, told, 10)


def test_what_is_no_plain_array_is_refused(written):
    folder, told = written
    path = folder / "names_B.npy"
    for content in (b"text", pickle.dumps({"a": 1}), path.read_bytes()[:-1]):
        path.write_bytes(content)
        told["files"]["names_B"] = hashlib.sha256(content).hexdigest()
        with pytest.raises(KcxError, match=r"names_B\.npy is no array"):
            opened(folder, told, 10)
