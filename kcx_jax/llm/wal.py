"""SQLite's write-ahead log, looked at for damage: SQLite takes what it can read of it, and is silent about the rest.

The log and its index (`-wal`, `-shm`) are described at https://sqlite.org/walformat.html.
"""

import struct
import sys
from pathlib import Path

HEADER, FRAME = 32, 24  # bytes
_ORDERS = {0x377F0682: "<", 0x377F0683: ">"}  # the header's first word: byte order of its checksum


def commits_are_lost(database: Path) -> bool:
    """Whether the log holds commits that SQLite cannot read, or can no longer be told to hold none.

    For the only writer, while a connection is open that has read from the database. A last commit that was cut
    short is none: a killed process may leave one.
    """
    log = Path(f"{database}-wal")
    if not log.exists() or log.stat().st_size < HEADER:
        return False
    data = log.read_bytes()
    if not _is_whole(data[:HEADER]):
        return True
    index = Path(f"{database}-shm").read_bytes()
    read = int.from_bytes(index[16:20], sys.byteorder)
    unread = _frames(data, read)
    while unread and unread[-1] is None:
        unread.pop()
    return any(commits is not False for commits in unread[:-1])


def _frames(data: bytes, read: int) -> list[bool | None]:
    """Of each frame behind the first `read` ones whether it ends a commit; None: it is of an older log, or damaged."""
    salt = data[16:24]
    size = FRAME + int.from_bytes(data[8:12], "big")
    starts = range(HEADER + read * size, len(data) - FRAME + 1, size)
    return [data[at + 4 : at + 8] != bytes(4) if data[at + 8 : at + 16] == salt else None for at in starts]


def _is_whole(header: bytes) -> bool:
    order = _ORDERS.get(int.from_bytes(header[:4], "big"))
    if order is None:
        return False
    one = two = 0
    for first, second in struct.iter_unpack(f"{order}2I", header[:24]):
        one = (one + first + two) % 2**32
        two = (two + second + one) % 2**32
    return header[24:] == struct.pack(">2I", one, two)
