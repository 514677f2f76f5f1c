"""PyTorch's weight files: equal to what torch reads, and no pickle is ever run, whatever is in it."""

import pickle
import random
import struct

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.checkpoints.pickle_file import read_pickle
from kcx_jax.checkpoints.stored import DTYPES
from kcx_jax.checkpoints.tensor_file import read_header
from kcx_jax.errors import KcxError
from kcx_jax.testing.torch_file import (
    EMPTY_DICT,
    FALSE,
    NONE,
    ORDERED_DICT,
    called,
    named,
    number,
    old_file,
    several,
    sizes,
    state_dict,
    storage,
    tensor,
    text,
    write_torch_file,
    write_zip,
)

SHAPES = st.lists(st.integers(0, 5), max_size=3).map(tuple)
SIX = np.arange(6, dtype=np.float32)
OF_SIX = storage("0", "FloatStorage", 6)
WHOLE = tensor(OF_SIX, 0, (6,), (1,))


def opened(path) -> dict[str, np.ndarray]:
    return {name: tensor.open() for name, tensor in read_pickle(path).items()}


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


def six(tmp_path, record: bytes, **options):
    """A file whose one storage holds 0 to 5 as float32."""
    return write_zip(tmp_path / "x.bin", record, [SIX.tobytes()], **options)


def refuses(path, message: str) -> str:
    with pytest.raises(KcxError, match=message) as caught:
        read_pickle(path)
    told = str(caught.value)
    assert str(path) in told
    assert len(told) < len(str(path)) + 600
    assert told.isprintable()
    return told


def test_the_golden_pickles_equal_the_golden_safetensors(tiny):
    found, expected = {}, {}
    for file in (tiny / "base_bf16_bin_sharded").glob("*.bin"):
        found |= opened(file)
    for file in (tiny / "base_bf16_safetensors_sharded").glob("*.safetensors"):
        expected |= {name: tensor.open() for name, tensor in read_header(file).items()}
    assert len(found) == 24
    assert_same(found, expected)


@settings(deadline=None, max_examples=50)
@given(
    kinds=st.lists(st.tuples(SHAPES, st.sampled_from(sorted(DTYPES))), max_size=5), seed=st.integers(0, 99)
)
def test_written_by_hand(tmp_path_factory, kinds, seed):
    generator = np.random.default_rng(seed)
    arrays = {f"t{n}": generator.normal(size=shape).astype(DTYPES[d]) for n, (shape, d) in enumerate(kinds)}
    path = write_torch_file(tmp_path_factory.mktemp("files") / "x.bin", arrays)
    assert_same(opened(path), arrays)


def test_views_of_one_storage(tmp_path):
    views = {
        "rows": tensor(OF_SIX, 0, (2, 3), (3, 1)),
        "tied": tensor(OF_SIX, 0, (2, 3), (3, 1)),
        "transposed": tensor(OF_SIX, 0, (3, 2), (1, 3)),
        "row": tensor(OF_SIX, 3, (3,), (1,)),
        "column": tensor(OF_SIX, 1, (2,), (3,)),
        "scalar": tensor(OF_SIX, 5, (), ()),
        "one": tensor(OF_SIX, 4, (1, 1), (7, 9)),
        "empty": tensor(OF_SIX, 6, (0, 3), (3, 1)),
    }
    found = opened(six(tmp_path, state_dict(views)))
    rows = SIX.reshape(2, 3)
    expected = {"rows": rows, "tied": rows, "transposed": rows.T, "row": rows[1], "column": rows[:, 1]}
    expected |= {"scalar": SIX[5], "one": SIX[4].reshape(1, 1), "empty": np.empty((0, 3), np.float32)}
    assert_same(found, expected)
    for name in expected.keys() - {"empty"}:
        with pytest.raises(ValueError, match="read-only"):
            found[name][...] = 1


def test_a_slice_of_a_transposed_tensor_keeps_its_dtype(tmp_path):
    whole = np.arange(35).astype(ml_dtypes.bfloat16).reshape(5, 7)
    view = tensor(storage("0", "BFloat16Storage", 35), 0, (7, 5), (1, 7))
    path = write_zip(tmp_path / "x.bin", state_dict({"a": view}), [whole.tobytes()])
    np.testing.assert_array_equal(opened(path)["a"][1:4, 2:5], whole.T[1:4, 2:5])


def test_what_a_module_saves(tmp_path):
    """An OrderedDict with versions as an attribute, a Parameter, the shorter old record of a tensor."""
    versions = several(
        EMPTY_DICT
        + text("_metadata")
        + ORDERED_DICT
        + text("")
        + EMPTY_DICT
        + text("version")
        + number(1)
        + b"sss"
    )
    parameter = called("torch._utils", "_rebuild_parameter", WHOLE, b"\x88", ORDERED_DICT)
    short = called("torch._utils", "_rebuild_tensor", OF_SIX, number(0), sizes([6]), sizes([1]))
    record = state_dict({"a": parameter, "b": short}, ORDERED_DICT, versions[1:-1] + b"b")
    assert_same(opened(six(tmp_path, record)), {"a": SIX, "b": SIX})


def test_files_without_a_byteorder_and_with_another(tmp_path):
    record = state_dict({"a": WHOLE})
    assert_same(opened(six(tmp_path, record, byteorder=None)), {"a": SIX})
    refuses(six(tmp_path, record, byteorder=b"big"), "byteorder is not little")


MARKER = "marker"
TOUCH = text(f"touch {MARKER}")
SHELL = called("posix", "system", TOUCH)


@pytest.mark.parametrize(
    ("attack", "named_in_message"),
    [
        (SHELL, "posix.system"),
        (called("os", "system", TOUCH), "os.system"),
        (called("builtins", "eval", text(f"open('{MARKER}', 'w')")), "builtins.eval"),
        (called("builtins", "exec", text(f"open('{MARKER}', 'w')")), "builtins.exec"),
        (called("builtins", "open", text(MARKER), text("w")), "builtins.open"),
        (called("__builtin__", "eval", text(f"open('{MARKER}', 'w')")), "__builtin__.eval"),
        (called("subprocess", "getoutput", TOUCH), "subprocess.getoutput"),
        (called("functools", "partial", named("os", "system"), TOUCH), "functools.partial"),
        (called("builtins", "getattr", named("os", "path"), text("os")), "builtins.getattr"),
    ],
)
def test_nothing_is_run(tmp_path, monkeypatch, attack, named_in_message):
    monkeypatch.chdir(tmp_path)
    nested = called("torch._utils", "_rebuild_parameter", attack, FALSE, ORDERED_DICT)
    for record in (state_dict({"a": attack}), state_dict({"a": WHOLE, "b": nested}), attack + b"."):
        refuses(six(tmp_path, record), f"asks for '{named_in_message}', which is not a part of tensors")
    assert not (tmp_path / MARKER).exists()
    if "open" in str(attack) and "builtins" in named_in_message:  # what they would do to one who runs them
        pickle.loads(attack + b".")
        assert (tmp_path / MARKER).exists()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (named("numpy.core.multiarray", "_reconstruct"), r"'numpy\.core\.multiarray\._reconstruct'"),
        (named("torch._utils", "_rebuild_from_type_v2"), r"'torch\._utils\._rebuild_from_type_v2'"),
        (named("torch.storage", "_load_from_bytes"), r"'torch\.storage\._load_from_bytes'"),
        (named("torch._utils", "_rebuild_tensor_v2.__globals__"), r"__globals__'"),
        (named("torch._utils _rebuild_tensor_v2", ""), r"_rebuild_tensor_v2\.'"),
        (named("x" * 10_000, "y\x1b[2J"), "asks for 'xxx"),
        (text("os") + text("system") + b"\x93", "uses STACK_GLOBAL"),
        (named("torch", "FloatStorage") + several() + b"\x81", "uses NEWOBJ"),
        (b"(ios\nsystem\n", "uses INST"),
        (b"(cos\nsystem\no", r"'os\.system'"),
        (b"\x82\x01", "uses EXT1"),
        (b"I1\n", "uses INT"),
        (b"\x8b" + struct.pack("<i", 2**31 - 1), "uses LONG4"),
        (b"P0\n", "uses PERSID"),
        (b"\xff", "uses b"),
        (ORDERED_DICT + several() + b"R", "calls a dict with a tuple"),
        (named("torch", "FloatStorage") + several() + b"R", "calls a kind with a tuple"),
        (named("collections", "OrderedDict") + text("x") + b"R", "calls a function with 'x'"),
        (called("collections", "OrderedDict", several()), "OrderedDict with arguments"),
        (WHOLE + EMPTY_DICT + b"b", "sets the state of a tensor"),
        (EMPTY_DICT + EMPTY_DICT + b"b", "sets the state of a dict"),
        (ORDERED_DICT + EMPTY_DICT + text("__class__") + NONE + b"sb", "sets the state of a dict"),
        (ORDERED_DICT + several(NONE, EMPTY_DICT) + b"b", "sets the state of a dict"),
        (named("collections", "OrderedDict") + EMPTY_DICT + b"b", "sets the state of a function"),
        (EMPTY_DICT + several(number(1)) + NONE + b"s", "has a tuple for a key"),
        (EMPTY_DICT + (text("k") + NONE + b"s") * 2, "has the key 'k' twice"),
        (WHOLE + text("a") + NONE + b"s", "sets items of a tensor"),
        (WHOLE + NONE + b"a", "appends to a tensor"),
        (EMPTY_DICT + b"(Nu", "sets items of a dict"),
        (b"h\x07", "recalls a value 7"),
        (b"j\xff\xff\xff\xff", "recalls a value 4294967295"),
        (b"t", "goes back to a mark"),
        (b"uuuu", "sets items|goes back to a mark|more from its stack"),
        (b"0", "uses POP"),
        (b"X\xff\xff\xff\xffa", "ends early"),
        (b"\x8a\xff1", "ends early"),
        (b"cos", "ends early"),
        (b"X\x02\0\0\0\xc3(", "not UTF-8"),
        (text("x" * 10**6), r"holds 'x+'\.\.\. under"),
        (number(2**1000), "holds a int under"),
        (EMPTY_DICT, "holds a dict under 'b'"),
        (b"]", "holds a list under 'b'"),
        (OF_SIX, "holds a storage under 'b'"),
        (named("torch", "FloatStorage"), "holds a kind under 'b'"),
    ],
)
def test_what_no_dict_of_tensors_needs(tmp_path, entry, message):
    refuses(six(tmp_path, state_dict({"a": WHOLE, "b": entry})), message)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (b"", "ends early"),
        (b".", "more from its stack"),
        (b"N.", "holds None"),
        (b"].", "holds a list"),
        (b"NN.", "before all of it is used"),
        (b"(}.", "before all of it is used"),
        (state_dict({"a": WHOLE}) + b"N", "goes on after its end"),
        (state_dict({"state_dict": EMPTY_DICT}), "holds a dict under 'state_dict'"),
        (b"}" + number(1) + WHOLE + b"s.", "has 1 for the name"),
        (state_dict({"a\nb": WHOLE}), "for the name"),
        (state_dict({"a\ud800": WHOLE}), "not UTF-8"),
        (state_dict({"x" * 1001: WHOLE}), "for the name"),
        (b"N" * 2**22 + b".", "has 4,194,305 bytes"),
    ],
)
def test_other_records(tmp_path, record, message):
    refuses(six(tmp_path, record), message)


def rebuilt(*arguments: bytes) -> bytes:
    return called("torch._utils", "_rebuild_tensor_v2", *arguments)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (tensor(OF_SIX, 0, (7,), (1,)), r"\[7\] with strides \[1\] from 0 on of a storage of 6 elements"),
        (tensor(OF_SIX, 6, (1,), (1,)), "of a storage of 6 elements"),
        (tensor(OF_SIX, 0, (2, 3), (4, 1)), "of a storage of 6 elements"),
        (tensor(OF_SIX, 0, (7,), (0,)), "of a storage of 6 elements"),
        (tensor(OF_SIX, 0, (2**62, 2**62), (0, 0)), "of a storage of 6 elements"),
        (tensor(OF_SIX, 0, (2**62, 2**62, 0), (1, 1, 1)), "of a storage of 6 elements"),
        (tensor(OF_SIX, 7, (0,), (1,)), "of a storage of 6 elements"),
        (tensor(OF_SIX, -1, (1,), (1,)), "makes a tensor of a storage from -1 on"),
        (tensor(OF_SIX, 5, (6,), (-1,)), "without a proper shape and strides"),
        (tensor(OF_SIX, 0, (-6,), (1,)), "without a proper shape and strides"),
        (tensor(OF_SIX, 0, (2**1000, 0), (1, 1)), "without a proper shape and strides"),
        (tensor(OF_SIX, 0, (6,), (1, 1)), "without a proper shape and strides"),
        (tensor(OF_SIX, 0, (1,) * 33, (1,) * 33), "without a proper shape and strides"),
        (rebuilt(OF_SIX, FALSE, sizes([6]), sizes([1]), FALSE, ORDERED_DICT), "a storage from False on"),
        (rebuilt(OF_SIX, number(0), several(b"\x88"), sizes([1]), FALSE, ORDERED_DICT), "without a proper"),
        (rebuilt(OF_SIX, number(0), b"](K\x06e", sizes([1]), FALSE, ORDERED_DICT), "without a proper"),
        (
            rebuilt(WHOLE, number(0), sizes([6]), sizes([1]), FALSE, ORDERED_DICT),
            "makes a tensor of a tensor",
        ),
        (rebuilt(OF_SIX, number(0), sizes([6]), sizes([1])), "makes a tensor of 4 arguments"),
        (
            rebuilt(OF_SIX, number(0), sizes([6]), sizes([1]), FALSE, EMPTY_DICT + text("h") + NONE + b"s"),
            "with hooks or flags",
        ),
        (
            rebuilt(
                OF_SIX, number(0), sizes([6]), sizes([1]), FALSE, NONE, EMPTY_DICT + text("neg") + b"\x88s"
            ),
            "with hooks or flags",
        ),
        (rebuilt(OF_SIX, number(0), sizes([6]), sizes([1]), FALSE, SHELL[:0] + several(NONE)), "with hooks"),
        (called("torch._utils", "_rebuild_tensor", OF_SIX), "makes a tensor of 1 arguments"),
        (called("torch._utils", "_rebuild_parameter", OF_SIX, FALSE, ORDERED_DICT), "makes a parameter"),
        (called("torch._utils", "_rebuild_parameter", WHOLE, FALSE), "makes a parameter"),
        (tensor(storage("0", "FloatStorage", 7), 0, (7,), (1,)), "7 elements of float32 .* has 24 bytes"),
        (tensor(storage("0", "FloatStorage", 5), 0, (5,), (1,)), "5 elements of float32 .* has 24 bytes"),
        (tensor(storage("0", "HalfStorage", 6), 0, (6,), (1,)), "6 elements of float16 .* has 24 bytes"),
        (tensor(storage("0", "FloatStorage", -6), 0, (6,), (1,)), "without a proper class"),
        (tensor(storage("1", "FloatStorage", 6), 0, (6,), (1,)), "a storage '1' that is not in the file"),
        (tensor(storage("../data/0", "FloatStorage", 6), 0, (6,), (1,)), "that is not in the file"),
        (storage("0", "FloatStorage", 6, NONE), "names a storage by a tuple"),
        (text("storage") + b"Q", "names a storage by 'storage'"),
        (several() + b"Q", "names a storage by a tuple"),
        (several(*[NONE] * 5) + b"Q", "names a storage by a tuple"),
        (several(text("module"), *[NONE] * 4) + b"Q", "without a proper class"),
        (
            several(text("storage"), named("collections", "OrderedDict"), text("0"), text("cpu"), number(6))
            + b"Q",
            "without a proper class",
        ),
    ],
)
def test_tensors_that_cannot_be(tmp_path, entry, message):
    refuses(six(tmp_path, state_dict({"a": WHOLE, "b": entry})), message)


def test_other_dtypes_are_named(tmp_path):
    path = write_zip(
        tmp_path / "x.bin",
        state_dict({"position_ids": tensor(storage("0", "LongStorage", 3), 0, (3,), (1,))}),
        [bytes(24)],
    )
    refuses(path, "tensor position_ids has dtype int64; weights are read in float32, bfloat16, float16")


def test_nests_cost_no_more_than_their_length(tmp_path):
    """Each tuple holds the last one twice: hashed, compared or printed, they would never end."""
    laughs = several() + b"q\0h\0\x86" * 200
    deep = b"]" + b"\x85" * 10**5
    for nest in (laughs, deep):
        refuses(six(tmp_path, state_dict({"a": nest})), "holds a tuple under 'a'")
        refuses(six(tmp_path, b"}" + nest + b"Ns."), "has a tuple for a key")
        refuses(six(tmp_path, state_dict({"a": nest + b"Q"})), "names a storage by a tuple")
        call = called("torch._utils", "_rebuild_parameter", WHOLE, FALSE, nest)
        refuses(six(tmp_path, state_dict({"a": call})), "makes a parameter")
    refuses(six(tmp_path, b"(" * 10**5), "ends early")


# Files of the format before 1.6


def old(tmp_path, record=None, keys=("7",), storages=None, **options):
    whole = tensor(storage("7", "FloatStorage", 6, NONE), 1, (5,), (1,))
    storages = [struct.pack("<q", 6) + SIX.tobytes()] if storages is None else storages
    path = tmp_path / "x.bin"
    path.write_bytes(old_file(record or state_dict({"a": whole}), keys, storages, **options))
    return path


def test_the_old_format(tmp_path):
    assert_same(opened(old(tmp_path)), {"a": SIX[1:]})
    half = np.arange(4).astype(np.float16)
    record = state_dict(
        {
            "a": tensor(storage("1", "FloatStorage", 6, NONE), 0, (3, 2), (1, 3)),
            "b": tensor(storage("2", "HalfStorage", 4, NONE), 0, (4,), (1,)),
            "c": tensor(storage("1", "FloatStorage", 6, NONE), 2, (), ()),
        }
    )
    storages = [struct.pack("<q", 4) + half.tobytes(), struct.pack("<q", 6) + SIX.tobytes()]
    found = opened(old(tmp_path, record, ["2", "1"], storages))
    assert_same(found, {"a": SIX.reshape(2, 3).T, "b": half, "c": SIX[2]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"little": False}, "not of a little-endian machine"),
        ({"keys": []}, "lists other storages"),
        ({"keys": ["7", "7"]}, "lists other storages"),
        ({"keys": ["8"]}, "lists other storages"),
        ({"storages": []}, "of the storage '7' at byte"),
        ({"storages": [struct.pack("<q", 5) + SIX.tobytes()]}, "5 elements of the storage '7'"),
        ({"storages": [struct.pack("<q", -6) + SIX.tobytes()]}, "elements of the storage '7'"),
        ({"storages": [struct.pack("<q", 6) + SIX[1:].tobytes()]}, "6 elements of the storage '7'"),
        ({"storages": [struct.pack("<q", 6) + SIX.tobytes() + b"x"]}, "where its storages end at"),
        ({"record": state_dict({"a": storage("7", "FloatStorage", 6)})}, "a part of another"),
        ({"record": state_dict({"a": storage("7", "FloatStorage", 6, several(NONE))})}, "a part of another"),
        ({"record": state_dict({"a": SHELL})}, r"asks for 'posix\.system'"),
        (
            {"record": state_dict({k: storage("7", f"{k}Storage", 6, NONE) for k in ("Float", "Int")})},
            "twice of the storage '7', differently",
        ),
    ],
)
def test_damage_in_the_old_format(tmp_path, options, message):
    refuses(old(tmp_path, **options), message)


def test_other_versions_of_the_old_format(tmp_path):
    path = old(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"M\xe9\x03.", b"M\xea\x03."))
    refuses(path, "has the version 1002")


# Damage anywhere


def either_equal_or_refused(path, expected, any_values: bool = False) -> bool:
    try:
        found, told = opened(path), ""
    except KcxError as error:
        found, told = None, str(error)
    if found is None:
        assert str(path) in told
        return False
    if any_values:
        assert all(len(array.tobytes()) == array.nbytes for array in found.values())  # all can be read
    else:
        assert_same(found, expected)
    return True


@pytest.fixture(params=["golden", "by hand", "old"])
def whole_file(request, tiny, tmp_path):
    if request.param == "golden":
        return tiny / "base_bf16_bin_sharded" / "pytorch_model-00002-of-00002.bin"
    if request.param == "old":
        return old(tmp_path)
    return write_torch_file(tmp_path / "x.bin", {"a": SIX, "b": SIX.astype(np.float16).reshape(2, 3)})


def test_truncated_anywhere(whole_file, tmp_path):
    content, expected = whole_file.read_bytes(), opened(whole_file)
    expected = {name: np.array(array) for name, array in expected.items()}
    cut, generator = tmp_path / "cut.bin", random.Random(0)
    ends = {
        *range(200),
        *range(len(content) - 200, len(content)),
        *generator.choices(range(len(content)), k=200),
    }
    before = set(tmp_path.iterdir())
    for end in ends:
        if 0 <= end < len(content):
            cut.write_bytes(content[:end])
            assert not either_equal_or_refused(cut, expected)
    assert set(tmp_path.iterdir()) <= before | {cut}


def test_flipped_bytes_anywhere(whole_file, tmp_path):
    """All bytes around the storages of a small file, and many of the golden one's pickle and headers."""
    content = whole_file.read_bytes()
    generator, changed = random.Random(1), tmp_path / "changed.bin"
    interesting = list(range(len(content)))
    if len(content) > 10_000:
        directory = content.index(b"PK\1\2")
        interesting = generator.sample([*range(1500), *range(directory, len(content))], 500)
    read = 0
    for position in interesting:
        flipped = bytearray(content)
        flipped[position] ^= generator.choice([1, 2, 4, 8, 16, 32, 64, 128, 255])
        for _ in range(generator.choice([0, 0, 3])):
            flipped[generator.choice(interesting)] = generator.randrange(256)
        changed.write_bytes(flipped)
        read += either_equal_or_refused(changed, {}, any_values=True)
    assert 0 < read < len(interesting)  # checksums and dates may change, and little else


@settings(deadline=None, max_examples=300)
@given(
    record=st.lists(
        st.sampled_from(
            [
                *(bytes([code]) for code in b"\x80(.NK}])tuaesRbQq\x85\x86\x87\x88\x89\x00\x01"),
                *(
                    WHOLE,
                    OF_SIX,
                    ORDERED_DICT,
                    text("a"),
                    number(-1),
                    several(),
                    b"q\0",
                    b"h\0",
                    b"r\0\0\0\xff",
                ),
                *(
                    named("torch", "FloatStorage"),
                    named("torch._utils", "_rebuild_tensor_v2"),
                    named("os", "system"),
                ),
                *(
                    named("torch._utils", "_rebuild_parameter"),
                    named("collections", "OrderedDict"),
                    sizes([6]),
                ),
            ]
        ),
        max_size=30,
    ).map(b"".join)
)
def test_any_record(tmp_path_factory, record):
    folder = tmp_path_factory.mktemp("record")
    either_equal_or_refused(six(folder, b"\x80\x02}" + record + b"."), {}, any_values=True)
