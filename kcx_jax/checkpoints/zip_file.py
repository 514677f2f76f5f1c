"""The members of a zip file that lie in it as they are: where the bytes of each begin, and how many they are.

Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (sections 4.3 to 4.5). Own code, because
members are mapped and never read through a stream, so what the headers claim must be true: nothing
compressed or encrypted, no overlaps, no second member of a name, and every byte inside the file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import BinaryIO

from kcx_jax.errors import KcxError

_END = Struct("<4s4H2IH")
_LOCATOR = Struct("<4sIQI")
_WIDE_END = Struct("<4sQ2H2I4Q")
_ENTRY = Struct("<4s6H3I5H2I")
_LOCAL = Struct("<4s5H3I2H")

_ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13
_SIZES_FOLLOW = 1 << 3  # the local header leaves the sizes to a descriptor behind the data
_WIDE_BLOCK, _WIDE_16, _WIDE_32 = 1, 2**16 - 1, 2**32 - 1  # the value stands in 64 bits elsewhere
_LARGEST_DIRECTORY = 2**24  # bytes; a model's is some kilobytes


@dataclass(frozen=True)
class Member:
    """One member's bytes: `size` of them from byte `offset` of the file on."""

    offset: int
    size: int


@dataclass(frozen=True)
class _Entry:
    name: bytes
    header: int
    size: int


def read_members(path: Path) -> dict[str, Member]:
    """The members of a zip file by name. Raises `KcxError` naming file and member for anything damaged,
    compressed or encrypted, and for names that are no plain relative paths.
    """
    try:
        with path.open("rb") as handle:
            return _Reader(path, handle).members()
    except OSError as error:
        raise KcxError(f"cannot read {path}: {error.strerror or error}.") from error


class _Reader:
    def __init__(self, path: Path, handle: BinaryIO) -> None:
        self.path, self.handle, self.size = path, handle, handle.seek(0, 2)

    def members(self) -> dict[str, Member]:
        start, length, count = self.directory()
        found: dict[str, Member] = {}
        free = 0  # the first byte that no member has taken
        for entry in sorted(self.entries(start, length, count), key=lambda entry: entry.header):
            name = self.plain(entry.name)
            if name in found:
                raise self.damaged(f"{name} twice")
            if entry.header < free:
                raise self.damaged(f"{name} at byte {entry.header:,}, inside of another member")
            offset = self.data_offset(entry, name, start)
            free = offset + entry.size
            if free > start:
                raise self.damaged(
                    f"{entry.size:,} bytes of {name} from byte {offset:,} on, where no room is"
                )
            found[name] = Member(offset, entry.size)
        return found

    def directory(self) -> tuple[int, int, int]:
        """Start, length and number of entries of the central directory, which must reach to its end record."""
        end = self.size - _END.size
        mark, *disks, here, count, length, start, comment = _END.unpack(self.read(end, _END.size))
        if mark != b"PK\5\6" or comment:
            raise self.damaged("no end of a zip file at its end")
        narrow = (here, count, length, start)
        at = end - _LOCATOR.size
        if at >= 0 and (locator := _LOCATOR.unpack(self.read(at, _LOCATOR.size)))[0] == b"PK\6\7":
            end = locator[2]
            fields = _WIDE_END.unpack(self.read(end, _WIDE_END.size))
            mark, rest, *versions_and_disks, here, count, length, start = fields
            disks += [locator[1], *versions_and_disks[2:]]
            limits = (_WIDE_16, _WIDE_16, _WIDE_32, _WIDE_32)
            agree = all(
                small in (wide, limit)
                for small, wide, limit in zip(narrow, (here, count, length, start), limits, strict=True)
            )
            if mark != b"PK\6\6" or rest != _WIDE_END.size - 12 or end + _WIDE_END.size != at or not agree:
                raise self.damaged("two ends of a zip file that disagree")
        if any(disks) or here != count or start + length != end or length > _LARGEST_DIRECTORY:
            raise self.damaged(f"a directory of {count:,} entries in {length:,} bytes from byte {start:,} on")
        return start, length, count

    def entries(self, start: int, length: int, count: int) -> Iterator[_Entry]:
        directory, position = self.read(start, length), 0
        for _ in range(count):
            if position + _ENTRY.size > length:
                raise self.damaged("a directory that ends early")
            fields = _ENTRY.unpack_from(directory, position)
            mark, _, _, flags, method, _, _, _, packed, size, *lengths, disk, _, _, header = fields
            texts, position = position + _ENTRY.size, position + _ENTRY.size + sum(lengths)
            if mark != b"PK\1\2" or position > length or disk:
                raise self.damaged("a directory entry that is none")
            name = directory[texts : texts + lengths[0]]
            extra = directory[texts + lengths[0] :][: lengths[1]]
            size, packed, header = self.widened(extra, (size, packed, header))
            if flags & _ENCRYPTED or method or packed != size:
                raise self.refused(f"{_shown(name)} is compressed or encrypted")
            yield _Entry(name, header, size)
        if position != length:
            raise self.damaged("a directory longer than its entries")

    def widened(self, extra: bytes, values: tuple[int, ...]) -> list[int]:
        """The values, those that did not fit into 32 bits taken from the extra field."""
        position, wide = 0, b""
        while position < len(extra):
            kind, length = (int.from_bytes(extra[at : at + 2], "little") for at in (position, position + 2))
            position += 4 + length
            if position > len(extra):
                raise self.damaged("an extra field that ends early")
            if kind == _WIDE_BLOCK:
                wide = extra[position - length : position]
        found = []
        for value in values:
            if value == _WIDE_32:
                if len(wide) < 8:
                    raise self.damaged("no 64-bit size where one is announced")
                value, wide = int.from_bytes(wide[:8], "little"), wide[8:]
            found.append(value)
        return found

    def data_offset(self, entry: _Entry, name: str, limit: int) -> int:
        """The first byte behind a member's local header, which must tell of the same member."""
        if entry.header + _LOCAL.size > limit:
            raise self.damaged(f"{name} at byte {entry.header:,}, behind the members")
        fields = _LOCAL.unpack(self.read(entry.header, _LOCAL.size))
        mark, _, flags, method, _, _, _, packed, size, *lengths = fields
        texts = self.read(entry.header + _LOCAL.size, sum(lengths))
        if mark != b"PK\3\4" or texts[: lengths[0]] != entry.name or flags & _ENCRYPTED or method:
            raise self.damaged(f"no plain header of {name} at byte {entry.header:,}")
        if not flags & _SIZES_FOLLOW:
            sizes = self.widened(texts[lengths[0] :], (size, packed))
            if sizes != [entry.size, entry.size]:
                raise self.damaged(f"two sizes of {name}, {sizes[0]:,} and {entry.size:,} bytes")
        return entry.header + _LOCAL.size + sum(lengths)

    def read(self, start: int, length: int) -> bytes:
        if start < 0 or start + length > self.size:
            raise self.damaged(f"only {self.size:,} bytes, where its headers tell of more")
        self.handle.seek(start)
        return self.handle.read(length)

    def plain(self, name: bytes) -> str:
        # Nothing is extracted; an odd name still tells that no usual program wrote the file.
        try:
            text = name.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.refused(f"the member name {_shown(name)} is not UTF-8") from error
        if not text.isprintable() or "\\" in text or any(part in ("", ".", "..") for part in text.split("/")):
            raise self.refused(f"the member name {_shown(name)} is not a plain relative path")
        return text

    def damaged(self, found: str) -> KcxError:
        return KcxError(f"{self.path} is not a whole zip file: found {found}. Copy or download it again.")

    def refused(self, found: str) -> KcxError:
        return KcxError(
            f"{self.path}: {found}, as no program that saves weights does. Take the file from another source."
        )


def _shown(name: bytes) -> str:
    return ascii(name[:100].decode("utf-8", "replace"))
