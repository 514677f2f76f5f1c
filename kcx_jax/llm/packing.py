"""Texts as a ledger keeps them: deflated, with the first text of their kind as zlib's preset dictionary.

The requests of a run repeat a long instruction and a schema, its replies and records their keys: what repeats stands
once in the table `pattern`, and a text is little more than what it has of its own.
"""

import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kcx_jax.errors import KcxError

# A pattern is cut to the window that deflate looks back through.
_WINDOW_BITS = 13
_LONGEST = 1 << _WINDOW_BITS
_LEVEL, _MEMORY = 6, 5  # no larger for our texts than with zlib's 256 kB a stream, and faster
_HAS_DICTIONARY = 0x20

Query = Callable[..., Any]


class Packing:
    """Packs and unpacks for the ledger at `path`; patterns come from `read` and go to `write` (SQL and values, as
    `Store` has them). A pattern is written before `pack` returns the first text that leans on it.
    """

    def __init__(self, path: Path, read: Query, write: Query):
        self._path, self._read, self._write = path, read, write
        self._of_kind: dict[str, bytes] = {}
        self._by_id: dict[int, bytes] = {}
        self._learning = threading.Lock()
        self._load()

    def learn(self, kind: str, text: str | bytes) -> None:
        """Let `text` be the pattern of its kind, unless that has one."""
        with self._learning:
            if kind in self._of_kind:
                return
            pattern = _encoded(text)[:_LONGEST]
            # Kinds may share a pattern; two patterns of one checksum may not share it.
            known = self._by_id.setdefault(zlib.adler32(pattern), pattern)
            used = pattern if known == pattern else b""
            self._write("INSERT INTO pattern VALUES (?, ?)", kind, used)
            self._of_kind[kind] = used  # whoever sees it leans on it

    def pack(self, kind: str, text: str | bytes) -> bytes:
        """`text` in little room: a zlib stream (RFC 1950), which names its dictionary by the checksum."""
        self.learn(kind, text)
        pattern = self._of_kind[kind]
        options = (_LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY, zlib.Z_DEFAULT_STRATEGY)
        stream = zlib.compressobj(*options, zdict=pattern) if pattern else zlib.compressobj(*options)
        return stream.compress(_encoded(text)) + stream.flush()

    def unpack(self, packed: bytes) -> bytes:
        """The bytes that were packed. Raises `KcxError` for what `pack` did not make."""
        try:
            pattern = self._pattern_of(packed)
            stream = zlib.decompressobj(zdict=pattern) if pattern else zlib.decompressobj()
            text = stream.decompress(packed) + stream.flush()
        except (zlib.error, TypeError, IndexError, KeyError) as error:
            raise self._damaged(repr(error)) from None
        if not stream.eof or stream.unused_data:
            raise self._damaged("it does not end where it should")
        return text

    def unpack_text(self, packed: bytes) -> str:
        """What was packed, as text."""
        return self.unpack(packed).decode("utf-8", "surrogatepass")

    def _pattern_of(self, packed: bytes) -> bytes | None:
        if not packed[1] & _HAS_DICTIONARY:
            return None
        name = int.from_bytes(packed[2:6])
        if name not in self._by_id:
            self._load()  # of a run that goes on in another process
        return self._by_id[name]

    def _load(self) -> None:
        self._of_kind |= dict(self._read("SELECT kind, text FROM pattern"))
        self._by_id |= {zlib.adler32(pattern): pattern for pattern in self._of_kind.values()}

    def _damaged(self, how: str) -> KcxError:
        return KcxError(
            f"the ledger {self._path} is damaged: a text in it cannot be unpacked ({how}). Restore it from a copy, or "
            "start a new run; nothing was changed."
        )


def _encoded(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
