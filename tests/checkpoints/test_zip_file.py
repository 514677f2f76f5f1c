"""The zip around a pickle: what its headers claim is true, or the file is refused."""

import struct
import zipfile

import numpy as np
import pytest

from kcx_jax.checkpoints.pickle_file import read_pickle
from kcx_jax.checkpoints.zip_file import read_members
from kcx_jax.errors import KcxError
from kcx_jax.testing.torch_file import state_dict, storage, tensor, whole_tensors, write_zip

SIX = np.arange(6, dtype=np.float32)


def six(tmp_path, record: bytes | None = None, **options):
    """A file whose one storage holds 0 to 5 as float32."""
    record = whole_tensors({"a": SIX}) if record is None else record
    return write_zip(tmp_path / "x.bin", record, [SIX.tobytes()], **options)


def refuses(path, message: str):
    with pytest.raises(KcxError, match=message) as caught:
        read_pickle(path)
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()


def test_compressed_members_and_bombs(tmp_path):
    bomb = np.zeros(10**7, np.float32)
    arrays = {"a": SIX, "b": bomb}
    path = tmp_path / "x.bin"
    for name in ("data.pkl", "data/0", "data/1", "byteorder"):
        with zipfile.ZipFile(path, "w") as archive:
            contents = [("data.pkl", whole_tensors(arrays)), ("data/0", SIX.tobytes())]
            contents += [("data/1", bomb.tobytes()), ("byteorder", b"little")]
            for key, content in contents:
                kind = zipfile.ZIP_DEFLATED if key == name else zipfile.ZIP_STORED
                archive.writestr(f"archive/{key}", content, kind)
        refuses(path, f"'archive/{name}' is compressed or encrypted")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["archive/data/0"], "archive/data/0 twice"),
        (["archive/../x"], "not a plain relative path"),
        (["/etc/passwd"], "not a plain relative path"),
        (["archive/"], "not a plain relative path"),
        (["archive\\x"], "not a plain relative path"),
        (["archive/\x1b[2J"], "not a plain relative path"),
        (["other/x"], "without data.pkl in its one folder"),
    ],
)
def test_odd_member_names(tmp_path, names, message):
    path = six(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        for name in names:
            archive.writestr(name, b"")
    refuses(path, message)


def test_a_zip_of_something_else(tmp_path):
    refuses(six(tmp_path, root="a/b"), r"without data\.pkl")
    for content in (b"", b"version https://git-lfs.github.com/spec/v1", b"\x80\x02}.", b"PK\3\4", b"PK"):
        (tmp_path / "x.bin").write_bytes(content)
        refuses(tmp_path / "x.bin", r"is not a whole (PyTorch|zip) file")
    refuses(tmp_path / "absent.bin", "cannot read")
    with pytest.raises(KcxError, match="cannot read"):
        read_members(tmp_path)


def patched(path, mark: bytes, at: int, content: bytes, number: int = 0):
    """Overwrite bytes `at` behind the n-th occurrence of a mark."""
    whole, start = path.read_bytes(), -1
    for _ in range(number + 1):
        start = whole.index(mark, start + 1)
    path.write_bytes(whole[: start + at] + content + whole[start + at + len(content) :])
    return path


LOCAL, ENTRY, END = b"PK\3\4", b"PK\1\2", b"PK\5\6"


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ((LOCAL, 26, b"\x20\0"), r"no plain header of archive/data\.pkl"),  # a longer name
        ((LOCAL, 28, b"\x08\0"), "in the storage '0'|uses|ends early|two sizes|asks|inside|no room"),
        ((LOCAL, 28, b"\xff\xff"), "an extra field|where its headers tell of more|inside"),
        ((LOCAL, 8, b"\x08\0"), "no plain header"),
        ((LOCAL, 6, b"\x01\0"), "no plain header"),
        ((LOCAL, 18, b"\x01\0\0\0"), "two sizes"),
        ((LOCAL, 30, b"A"), "no plain header"),
        ((LOCAL, 26, b"\x20\0", 1), "no plain header of archive/data/0"),
        ((ENTRY, 8, b"\x01\0"), "compressed or encrypted"),
        ((ENTRY, 8, b"\x40\0"), "compressed or encrypted"),
        ((ENTRY, 20, b"\0\0\0\0"), "compressed or encrypted"),
        ((ENTRY, 24, b"\xff\xff\xff\xff"), "no 64-bit size"),
        ((ENTRY, 28, b"\xff\xff"), "directory entry that is none"),
        ((ENTRY, 34, b"\1\0"), "directory entry that is none"),
        ((ENTRY, 42, b"\xf0\xff\xff\xff"), "behind the members"),
        ((ENTRY, 42, b"\x01\0\0\0"), "no plain header|tell of more"),
        ((ENTRY, 42, b"\0\0\0\0", 1), "inside of another member|no plain header"),
        ((END, 4, b"\1\0"), "a directory of 3 entries"),
        ((END, 8, b"\2\0"), "a directory of 3 entries"),
        ((END, 8, b"\2\0\2\0"), "longer than its entries"),
        ((END, 8, b"\4\0\4\0"), "ends early"),
        ((END, 16, b"\1"), "a directory of 3 entries"),
        ((END, 20, b"\1"), "no end of a zip file"),
    ],
)
def test_lying_headers(tmp_path, patch, message):
    refuses(patched(six(tmp_path), *patch), message)


def test_sizes_that_reach_into_the_next_member(tmp_path):
    """Both headers tell of 40 bytes where 24 are: the next member begins inside of them."""
    record = state_dict({"a": tensor(storage("0", "FloatStorage", 10), 0, (10,), (1,))})
    path = six(tmp_path, record)
    for mark, at in ((LOCAL, 18), (ENTRY, 20)):
        patched(path, mark, at, struct.pack("<II", 40, 40), number=1)
    refuses(path, "archive/byteorder at byte .*, inside of another member")
    path = six(tmp_path, record, byteorder=None)
    for mark, at in ((LOCAL, 18), (ENTRY, 20)):
        patched(path, mark, at, struct.pack("<II", 40, 40), number=1)
    refuses(path, "40 bytes of archive/data/0 .* where no room is")


def test_files_of_more_than_four_gibibytes(tmp_path):
    """Sizes and offsets of 64 bits, the first storage being a hole in the file."""
    hole, path = 2**32 + 4096, tmp_path / "x.bin"
    record = state_dict(
        {
            "large": tensor(storage("0", "BFloat16Storage", hole // 2), 0, (hole // 4096, 2048), (2048, 1)),
            "behind": tensor(storage("1", "FloatStorage", 6), 0, (6,), (1,)),
        }
    )
    members = {"data.pkl": record, "data/0": hole, "data/1": SIX.tobytes()}
    directory = b""
    with path.open("wb") as handle:
        for key, content in members.items():
            name, at = f"archive/{key}".encode(), handle.tell()
            size = content if isinstance(content, int) else len(content)
            fields = (45, 0, 0, 0, 0, 0, 2**32 - 1, 2**32 - 1, len(name), 20)
            handle.write(
                LOCAL + struct.pack("<5H3I2H", *fields) + name + struct.pack("<2H2Q", 1, 16, size, size)
            )
            handle.seek(hole, 1) if isinstance(content, int) else handle.write(content)
            fields = (45, 45, 0, 0, 0, 0, 0, *[2**32 - 1] * 2, len(name), 28, 0, 0, 0, 0, 2**32 - 1)
            extra = struct.pack("<2H3Q", 1, 24, size, size, at)
            directory += ENTRY + struct.pack("<6H3I5H2I", *fields) + name + extra
        start = handle.tell()
        handle.write(directory)
        counts = (3, 3, len(directory), start)
        handle.write(b"PK\6\6" + struct.pack("<Q2H2I4Q", 44, 45, 45, 0, 0, *counts))
        handle.write(b"PK\6\7" + struct.pack("<IQI", 0, start + len(directory), 1))
        handle.write(END + struct.pack("<4H2IH", 0, 0, 3, 3, len(directory), 2**32 - 1, 0))
    with zipfile.ZipFile(path) as archive:  # a second opinion on what was written
        assert [info.file_size for info in archive.infolist()] == [len(record), hole, 24]
    found = {name: tensor.open() for name, tensor in read_pickle(path).items()}
    assert found["large"].shape == (hole // 4096, 2048)
    assert not found["large"][-1].any()
    np.testing.assert_array_equal(found["behind"], SIX)
    with path.open("r+b") as handle:
        handle.seek(start + len(directory) + 32)
        handle.write(struct.pack("<Q", 4))
    refuses(path, "two ends of a zip file that disagree")
