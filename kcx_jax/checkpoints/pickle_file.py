"""PyTorch's weight files (`pytorch_model.bin`), read without torch and without running anything in them.

Since torch 1.6 such a file is an uncompressed zip: ROOT/data.pkl, a pickle of the state dict whose tensors
name their storages, ROOT/data/KEY with the bytes of each storage, and ROOT/byteorder. Before, it was five
pickles (magic number, version, the machine's sizes, the state dict, the storages' keys) and then each
storage as its length (8 bytes, in elements) and its bytes. Source: torch/serialization.py, torch/_utils.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, TypeGuard

from kcx_jax.checkpoints.stored import DTYPES, StoredTensor
from kcx_jax.checkpoints.unpickle import Call, Machine, OrderedRecord, PickleFault, shown
from kcx_jax.checkpoints.zip_file import Member, read_members
from kcx_jax.errors import KcxError

_ZIP_START = b"PK\3\4"
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_OLD_START = b"\x80\x02\x8a\x0a" + _MAGIC.to_bytes(10, "little")
_LARGEST_PICKLE = 2**22  # bytes, of 227 tensors some 20,000; its values may take 100 times as many
_LONGEST_NAME = 1000
_MOST_AXES = 32  # numpy's before 2.0
_MOST_ELEMENTS = 2**48  # so that no product of sizes overflows in numpy
_PLAIN = (
    "Only a plain dict of tensors by name (a state dict) is read, and nothing in it was run. Where torch is "
    "installed, convert it: safetensors.torch.save_file(torch.load(BIN, weights_only=True), SAFETENSORS)."
)


@dataclass(frozen=True)
class _Kind:
    """What a storage class of torch holds; only the dtypes of weights become tensors."""

    dtype: str
    size: int


@dataclass
class _Storage:
    kind: _Kind
    elements: int
    offset: int = 0  # in files of the old format known only when the pickles are read


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


_KINDS = {
    "Float": _Kind("float32", 4),
    "BFloat16": _Kind("bfloat16", 2),
    "Half": _Kind("float16", 2),
    "Double": _Kind("float64", 8),
    "Long": _Kind("int64", 8),
    "Int": _Kind("int32", 4),
    "Short": _Kind("int16", 2),
    "Char": _Kind("int8", 1),
    "Byte": _Kind("uint8", 1),
    "Bool": _Kind("bool", 1),
    "ComplexFloat": _Kind("complex64", 8),
    "ComplexDouble": _Kind("complex128", 16),
}


def read_pickle(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a PyTorch file by name, opened but not read; those of one storage share their bytes.

    Raises `KcxError` naming file and tensor for what is damaged and for anything but a flat dict of tensors.
    """
    try:
        with path.open("rb") as handle:
            start = handle.read(len(_OLD_START))
        if start.startswith(_ZIP_START):
            content = _read_zip(path)
        elif start == _OLD_START:
            content = _read_old(path)
        else:
            raise _damaged(path, f"{start!r} at its beginning")
        return _stored(path, content)
    except OSError as error:
        raise KcxError(f"cannot read {path}: {error.strerror or error}.") from error
    except PickleFault as fault:
        raise KcxError(f"{path}: its pickle {fault}. {_PLAIN}") from fault


def _stored(path: Path, content: Any) -> dict[str, StoredTensor]:
    if not isinstance(content, dict):
        raise PickleFault(f"holds {shown(content)}")
    tensors = {}
    for name, tensor in content.items():
        if not isinstance(name, str) or len(name) > _LONGEST_NAME or not name.isprintable():
            raise PickleFault(f"has {shown(name)} for the name of a tensor")
        if not isinstance(tensor, _Tensor):
            raise PickleFault(f"holds {shown(tensor)} under {shown(name)}")
        storage, dtype = tensor.storage, tensor.storage.kind.dtype
        if dtype not in DTYPES:
            raise KcxError(
                f"{path}: tensor {name} has dtype {dtype}; weights are read in {', '.join(DTYPES)}."
            )
        offset = storage.offset + tensor.offset * storage.kind.size
        strides = None if _is_row_major(tensor) else tensor.strides
        tensors[name] = StoredTensor(name, path, DTYPES[dtype], tensor.shape, offset, strides)
    return tensors


def _is_row_major(tensor: _Tensor) -> bool:
    if 0 in tensor.shape:
        return True
    step = 1
    for size, stride in zip(tensor.shape[::-1], tensor.strides[::-1], strict=True):
        if size > 1 and stride != step:
            return False
        step *= size
    return True


def _read_zip(path: Path) -> Any:
    members = read_members(path)
    roots = {name.partition("/")[0] for name in members}
    root = roots.pop() if len(roots) == 1 else ""
    if f"{root}/data.pkl" not in members:
        raise _damaged(path, "a zip file without data.pkl in its one folder")
    order = members.get(f"{root}/byteorder", Member(0, 0))  # files of torch before 2.1 have none
    if order.size and (order.size != 6 or _read(path, order) != b"little"):
        raise KcxError(f"{path}: its byteorder is not little. Save it again on a little-endian machine.")
    record = members[f"{root}/data.pkl"]
    if record.size > _LARGEST_PICKLE:
        raise PickleFault(f"has {record.size:,} bytes")

    def storage(identity: Any) -> _Storage:
        key, found = _identified(identity, 5)
        member = members.get(f"{root}/data/{key}")
        if member is None:
            raise PickleFault(f"names a storage {shown(key)} that is not in the file")
        if member.size != found.elements * found.kind.size:
            told = f"{shown(found.elements)} elements of {found.kind.dtype}"
            raise PickleFault(f"tells of {told} in the storage {shown(key)}, which has {member.size:,} bytes")
        found.offset = member.offset
        return found

    machine = Machine(_read(path, record), 0, _KNOWN, storage)
    content = machine.run()
    if machine.position != record.size:
        raise PickleFault("goes on after its end")
    return content


def _read(path: Path, member: Member) -> bytes:
    with path.open("rb") as handle:
        handle.seek(member.offset)
        return handle.read(member.size)


def _read_old(path: Path) -> Any:
    storages: dict[str, _Storage] = {}

    def storage(identity: Any) -> _Storage:
        if not isinstance(identity, tuple) or not identity or identity[-1] is not None:
            raise PickleFault("names a storage that is a part of another")
        key, found = _identified(identity, 6)
        if storages.setdefault(key, found) != found:
            raise PickleFault(f"tells twice of the storage {shown(key)}, differently")
        return storages[key]

    size = path.stat().st_size
    head, position, values = _read(path, Member(0, min(size, _LARGEST_PICKLE))), 0, []
    for _ in range(5):
        machine = Machine(head, position, _KNOWN, storage)
        values.append(machine.run())
        position = machine.position
    _, version, machine_of, content, keys = values
    if version is True or not isinstance(version, int) or version != _VERSION:
        raise PickleFault(f"has the version {shown(version)}, {_VERSION} is known")
    if not isinstance(machine_of, dict) or machine_of.get("little_endian") is not True:
        raise PickleFault("is not of a little-endian machine")
    _find_old_storages(path, size, position, keys, storages)
    return content


def _find_old_storages(
    path: Path, size: int, position: int, keys: Any, storages: Mapping[str, _Storage]
) -> None:
    """Enter the offset of every storage; they follow each other up to the end of the file."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise PickleFault(f"has {shown(keys)} for the order of its storages")
    if sorted(keys) != sorted(storages):
        raise PickleFault("lists other storages than its tensors have")
    for key in keys:
        storage = storages[key]
        elements = int.from_bytes(_read(path, Member(position, 8)), "little")
        storage.offset = position + 8
        position = storage.offset + storage.elements * storage.kind.size
        if elements != storage.elements or position > size:
            raise _damaged(
                path, f"{elements:,} elements of the storage {shown(key)} at byte {storage.offset:,}"
            )
    if position != size:
        raise _damaged(path, f"{size:,} bytes, where its storages end at {position:,}")


def _identified(identity: Any, length: int) -> tuple[str, _Storage]:
    """Key and storage of a persistent id: ("storage", class, key, device, elements) and what follows."""
    if not isinstance(identity, tuple) or len(identity) != length or not isinstance(identity[0], str):
        raise PickleFault(f"names a storage by {shown(identity)}")
    tag, kind, key, device, elements = identity[:5]
    proper = isinstance(kind, _Kind) and isinstance(key, str) and isinstance(device, str)
    if tag != "storage" or not proper or not _is_sizes((elements,)):
        raise PickleFault("names a storage without a proper class, key, device and length")
    return key, _Storage(kind, elements)


def _is_sizes(value: Any) -> TypeGuard[tuple[int, ...]]:
    return isinstance(value, tuple) and all(type(size) is int and 0 <= size < 2**63 for size in value)


def _view(arguments: tuple) -> _Tensor:
    """The tensor of (storage, offset, shape, strides), all in elements, checked to lie in its storage."""
    storage, offset, shape, strides = arguments
    if not isinstance(storage, _Storage) or not _is_sizes((offset,)):
        raise PickleFault(f"makes a tensor of {shown(storage)} from {shown(offset)} on")
    if not _is_sizes(shape) or not _is_sizes(strides) or not len(shape) == len(strides) <= _MOST_AXES:
        raise PickleFault("makes a tensor without a proper shape and strides")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if 0 in shape:
        inside = offset <= storage.elements and prod(size for size in shape if size) < _MOST_ELEMENTS
    else:  # fewer elements than a tensor has: some are meant many times, in the worst case without end
        inside = last < storage.elements and prod(shape) <= storage.elements
    if not inside:
        extent = f"{_list(shape)} with strides {_list(strides)} from {offset:,} on"
        raise PickleFault(f"makes a tensor {extent} of a storage of {storage.elements:,} elements")
    return _Tensor(storage, offset, shape, strides)


def _list(sizes: Sequence[int]) -> str:
    return f"[{', '.join(map(str, sizes))}]"


def _rebuild_tensor(arguments: tuple) -> _Tensor:
    if len(arguments) != 4:
        raise PickleFault(f"makes a tensor of {len(arguments)} arguments")
    return _view(arguments)


def _rebuild_tensor_v2(arguments: tuple) -> _Tensor:
    """(storage, offset, shape, strides, requires_grad, hooks), and flags such as a pending negation."""
    if len(arguments) not in (6, 7):
        raise PickleFault(f"makes a tensor of {len(arguments)} arguments")
    if any(not isinstance(extra, dict | None) or extra for extra in arguments[5:]):
        raise PickleFault("makes a tensor with hooks or flags")
    return _view(arguments[:4])


def _rebuild_parameter(arguments: tuple) -> _Tensor:
    """(tensor, requires_grad, hooks): to us, the tensor."""
    if len(arguments) != 3 or not isinstance(arguments[0], _Tensor) or arguments[2] != {}:
        raise PickleFault("makes a parameter of something else than a tensor")
    return arguments[0]


def _ordered_dict(arguments: tuple) -> OrderedRecord:
    if arguments:
        raise PickleFault("makes an OrderedDict with arguments")
    return OrderedRecord()


_KNOWN: Mapping[str, Call | _Kind] = {
    "collections OrderedDict": Call(_ordered_dict),
    "torch._utils _rebuild_tensor": Call(_rebuild_tensor),
    "torch._utils _rebuild_tensor_v2": Call(_rebuild_tensor_v2),
    "torch._utils _rebuild_parameter": Call(_rebuild_parameter),
    **{f"torch {name}Storage": kind for name, kind in _KINDS.items()},
}


def _damaged(path: Path, found: str) -> KcxError:
    return KcxError(f"{path} is not a whole PyTorch file: found {found}. Copy or download it again.")
