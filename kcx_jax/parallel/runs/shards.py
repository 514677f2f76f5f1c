"""A corpus in parts, each a run of its own on a machine of its own."""

import hashlib
from collections.abc import Iterable, Iterator

from kcx_jax.corpora import Record
from kcx_jax.parallel.runs.duplicates import content_digest
from kcx_jax.parallel.runs.worklist import id_twice


def in_shard(records: Iterable[Record], part: int, parts: int) -> Iterator[Record]:
    """The records of one part of `parts`, from 0: chosen by their content, so that order and place do not matter, and
    duplicates are together.

    Raises `KcxError` for an id that stands twice in `records`, in whichever parts: no other part would see it.
    """
    ids: set[bytes] = set()  # 16 bytes an id: ten million fit in memory
    for record in records:
        digest = hashlib.blake2b(record.id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if digest in ids:
            raise id_twice(record.id)
        ids.add(digest)
        if _number(record) % parts == part:
            yield record


def in_share(records: Iterable[Record], share: float) -> Iterator[Record]:
    """About a `share` (0 to 1) of the records, chosen by their content: a larger share holds the smaller one."""
    return (record for record in records if _number(record) < share * 2**64)


def _number(record: Record) -> int:
    """A number below 2 ** 64, by what the record holds."""
    return int.from_bytes(content_digest(record)[:8])
