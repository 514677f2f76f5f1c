"""Safetensors: equal to the reference library's both ways, and hostile files are named and refused."""

import json
import os
import struct

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.checkpoints.stored import DTYPES
from kcx_jax.checkpoints.tensor_file import TensorSource, read_header, write_tensors
from kcx_jax.errors import KcxError

SHAPES = st.lists(st.integers(0, 5), max_size=3).map(tuple)


def random_arrays(seed: int, kinds: list[tuple[tuple[int, ...], str]]) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {
        f"t{number}": generator.normal(size=shape).astype(DTYPES[name])
        for number, (shape, name) in enumerate(kinds)
    }


def sources(arrays: dict[str, np.ndarray]) -> dict[str, TensorSource]:
    return {name: TensorSource(a.shape, a.dtype, lambda a=a: a) for name, a in arrays.items()}


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


@settings(deadline=None, max_examples=50)
@given(
    kinds=st.lists(st.tuples(SHAPES, st.sampled_from(sorted(DTYPES))), max_size=5), seed=st.integers(0, 99)
)
def test_equal_to_the_reference_library(tmp_path_factory, kinds, seed):
    folder = tmp_path_factory.mktemp("files")
    arrays = random_arrays(seed, kinds)
    write_tensors(folder / "ours", sources(arrays))
    assert_same(safetensors.numpy.load_file(folder / "ours"), arrays)
    safetensors.numpy.save_file(arrays, folder / "theirs")
    for name in ("ours", "theirs"):
        assert_same({key: tensor.open() for key, tensor in read_header(folder / name).items()}, arrays)


def file_of(tmp_path, header: bytes | dict, data: bytes = b"", length: int | None = None):
    text = json.dumps(header).encode() if isinstance(header, dict) else header
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def entry(shape, span, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": span}


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        (b"", b"", "header that is not JSON"),
        (b"\xff{}", b"", "header that is not JSON"),
        (b"[" * 100_000, b"", "header that is not JSON"),
        (b"[]", b"", "not a JSON object"),
        (b'{"a": {"dtype": "F32"}, "a": 1}', b"", "the key a twice"),
        ({"a": 3}, b"", "an entry for a without"),
        ({"a": entry([-1], [0, 4])}, b"1234", "an entry for a without"),
        ({"a": entry([True], [0, 4])}, b"1234", "an entry for a without"),
        ({"a": entry([1], [0, 4, 8])}, b"1234", "an entry for a without"),
        ({"a": entry([1], [0, 4], ["F32"])}, b"1234", "tensor a has dtype"),
        ({"a": entry([1], [0, 8], "I64")}, b"12345678", "tensor a has dtype I64"),
        ({"a": entry([2], [0, 4])}, b"1234", r"4 bytes for a, whose F32 \[2\] needs 8"),
        ({"a": entry([2**62, 2**62], [0, 4])}, b"1234", "4 bytes for a"),
        ({"a": entry([1], [4, 8])}, b"12345678", "a at byte"),
        ({"a": entry([1], [0, 4]), "b": entry([1], [0, 4])}, b"1234", "b at byte"),
        ({"a": entry([1], [0, 4])}, b"123", "where its header tells of"),
        ({"a": entry([1], [0, 4])}, b"12345", "where its header tells of"),
    ],
)
def test_damaged_files_are_refused(tmp_path, header, data, message):
    path = file_of(tmp_path, header, data)
    with pytest.raises(KcxError, match=message) as caught:
        read_header(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("length", [3, 2**40, 2**64 - 1])
def test_absurd_header_lengths_are_refused(tmp_path, length):
    with pytest.raises(KcxError, match="is not a whole safetensors file"):
        read_header(file_of(tmp_path, b"{}", length=length))


def test_too_short_and_missing(tmp_path):
    (tmp_path / "short").write_bytes(b"123")
    with pytest.raises(KcxError, match="not a whole safetensors file"):
        read_header(tmp_path / "short")
    with pytest.raises(KcxError, match="cannot read"):
        read_header(tmp_path / "missing")


def test_a_slice_is_the_slice_of_the_whole(tmp_path):
    whole = np.arange(35, dtype=ml_dtypes.bfloat16).reshape(5, 7)
    write_tensors(tmp_path / "x", sources({"a": whole}))
    view = read_header(tmp_path / "x")["a"].open()
    np.testing.assert_array_equal(view[1:4, 2:5], whole[1:4, 2:5])
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 1


def test_writing_never_replaces_a_file(tmp_path):
    (tmp_path / "x").write_text("mine")
    with pytest.raises(KcxError, match="cannot write"):
        write_tensors(tmp_path / "x", {})
    assert (tmp_path / "x").read_text() == "mine"


@pytest.mark.parametrize("wanted", [np.float32, np.float16])
def test_rows_are_those_of_the_whole_in_any_dtype(tmp_path, wanted):
    whole = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
    write_tensors(tmp_path / "x", sources({"first": np.ones(2, np.float32), "a": whole}))
    tensor = read_header(tmp_path / "x")["a"]
    out = np.full((4, 3), 9, wanted)
    tensor.read_rows(2, out)
    np.testing.assert_array_equal(out, whole[2:6].astype(wanted))
    spread = np.full((4, 6), 9, wanted)[:, ::2]
    tensor.read_rows(2, spread)
    np.testing.assert_array_equal(spread, out)


def test_a_file_that_becomes_shorter_is_named(tmp_path):
    write_tensors(tmp_path / "x", sources({"a": np.ones((7, 3), np.float32)}))
    tensor = read_header(tmp_path / "x")["a"]
    os.truncate(tmp_path / "x", tensor.offset + 20)
    with pytest.raises(KcxError, match="has become shorter"):
        tensor.read_rows(0, np.empty((7, 3), np.float32))
