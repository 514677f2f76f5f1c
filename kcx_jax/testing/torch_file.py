"""PyTorch weight files made by hand, opcode by opcode, so that tests can write what `torch.save` never would."""

import struct
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

STORAGES = {"float32": "FloatStorage", "bfloat16": "BFloat16Storage", "float16": "HalfStorage"}


def text(value: str) -> bytes:
    """A string."""
    encoded = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def number(value: int) -> bytes:
    """An integer, in as many bytes as it takes."""
    if 0 <= value < 256:
        return b"K" + bytes([value])
    length = value.bit_length() // 8 + 1
    return b"\x8a" + bytes([length]) + value.to_bytes(length, "little", signed=True)


def several(*values: bytes) -> bytes:
    """A tuple."""
    return b"(" + b"".join(values) + b"t"


def sizes(values: Iterable[int]) -> bytes:
    """A tuple of integers."""
    return several(*map(number, values))


def named(module: str, name: str) -> bytes:
    """A global."""
    return f"c{module}\n{name}\n".encode()


def called(module: str, name: str, *arguments: bytes) -> bytes:
    """A global applied to arguments."""
    return named(module, name) + several(*arguments) + b"R"


ORDERED_DICT = called("collections", "OrderedDict")
FALSE, NONE, EMPTY_DICT = b"\x89", b"N", b"}"


def storage(key: str, kind: str, elements: int, *more: bytes) -> bytes:
    """A storage by its persistent id; the old format has `NONE` at its end."""
    named_by = (text("storage"), named("torch", kind), text(key), text("cpu"), number(elements), *more)
    return several(*named_by) + b"Q"


def tensor(of: bytes, offset: int, shape: Iterable[int], strides: Iterable[int]) -> bytes:
    """A view of a storage, all counts in elements."""
    view = (of, number(offset), sizes(shape), sizes(strides))
    return called("torch._utils", "_rebuild_tensor_v2", *view, FALSE, ORDERED_DICT)


def state_dict(entries: Mapping[str, bytes], start: bytes = EMPTY_DICT, end: bytes = b"") -> bytes:
    """A whole pickle: a dict (an empty one is `start`) with entries, and what `end` does to it."""
    items = b"".join(text(key) + value for key, value in entries.items())
    return b"\x80\x02" + start + b"(" + items + b"u" + end + b"."


def whole_tensors(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The pickle of arrays that have a storage each: the first "0", the second "1", ..."""
    return state_dict(
        {
            name: tensor(
                storage(str(key), STORAGES[array.dtype.name], array.size), 0, array.shape, steps(array)
            )
            for key, (name, array) in enumerate(arrays.items())
        }
    )


def steps(array: np.ndarray) -> list[int]:
    """Strides in elements."""
    return [stride // array.dtype.itemsize for stride in array.strides]


def write_zip(
    path: Path,
    record: bytes,
    storages: Iterable[bytes],
    byteorder: bytes | None = b"little",
    root: str = "archive",
) -> Path:
    """The zip of a pickle and its storages, called "0", "1", ..."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(f"{root}/data.pkl", record)
        for key, content in enumerate(storages):
            archive.writestr(f"{root}/data/{key}", content)
        if byteorder is not None:
            archive.writestr(f"{root}/byteorder", byteorder)
    return path


def write_torch_file(path: Path, arrays: Mapping[str, np.ndarray]) -> Path:
    """A file of a state dict, as torch writes it since 1.6."""
    return write_zip(path, whole_tensors(arrays), (array.tobytes() for array in arrays.values()))


def old_file(record: bytes, keys: Iterable[str], storages: Iterable[bytes], little: bool = True) -> bytes:
    """The content of a file as torch wrote it before 1.6; each storage begins with its length."""
    sizes_of = state_dict({"little_endian": b"\x88" if little else FALSE})
    magic = b"\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
    listed = b"\x80\x02](" + b"".join(map(text, keys)) + b"e."
    return magic + b"\x80\x02M\xe9\x03." + sizes_of + record + listed + b"".join(storages)
