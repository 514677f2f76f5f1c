"""Samples of a corpus drawn by a seed: the same from any order of its records, a larger one holding the smaller.

A record's place in the draw is a digest of the seed with its id and text, so nothing but these decides.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from kcx_jax.corpora.record import Record
from kcx_jax.errors import UsageError


def sample_records(
    records: Iterable[Record],
    seed: int = 0,
    *,
    count: int | None = None,
    share: float | None = None,
    shots: int | None = None,
) -> list[Record]:
    """A part of `records`, in their own order; exactly one of these says how much.

    Args:
        count: so many records, or all where there are fewer. share: this share of them, in (0, 1], rounded up.
        shots: records in the drawn order, each for a class of which there are fewer than so many items yet
            (mentions, relations, events), until every class has them or the corpus ends.

    Raises `UsageError` unless one of them is given, and in its range.
    """
    given = {"count": count, "share": share, "shots": shots}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        raise UsageError(f"a sample is of a count, a share or shots: give one of them, not {named or 'none'}")
    for name, value in (("count", count), ("shots", shots)):
        if value is not None and value < 1:
            raise UsageError(f"{name} is {value}: must be at least 1")
    if share is not None and not 0 < share <= 1:
        raise UsageError(f"share is {share}: must be above 0 and at most 1")
    listed = list(records)
    order = sorted(range(len(listed)), key=lambda i: (_draw(listed[i], seed), i))
    if shots is not None:
        chosen = set(_shots(listed, order, shots))
    else:
        size = count if count is not None else math.ceil((share or 0) * len(listed))
        chosen = set(order[:size])
    return [record for i, record in enumerate(listed) if i in chosen]


def _draw(record: Record, seed: int) -> bytes:
    content = f"{seed}\0{record.id}\0{record.text}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, digest_size=16).digest()


def _shots(records: Sequence[Record], order: Sequence[int], shots: int) -> Iterator[int]:
    had: Counter[str] = Counter()
    for i in order:
        classes = Counter(_classes(records[i]))
        if any(had[name] < shots for name in classes):
            had += classes
            yield i


def _classes(record: Record) -> Iterator[str]:
    yield from (mention.type for mention in record.entities or ())
    yield from (link.type for link in record.relations or ())
    yield from (event.type for event in record.events or ())
