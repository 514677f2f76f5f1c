"""Relation extraction whose two mentions are given (SemEval, FewRel, TACRED): `meta["pair"]` of a record."""

import dataclasses

from kcx_jax.corpora.record import Mention, Record
from kcx_jax.errors import UsageError


def pair_of(record: Record) -> tuple[Mention, Mention]:
    """The two mentions that a record asks about, in the corpus's order.

    Raises `UsageError` for a record without a pair, or with one that does not name two of its mentions.
    """
    pair = record.meta.get("pair")
    if pair is None:
        raise UsageError(
            f"record {record.id!r} has no meta.pair, so no pair can be given: leave the pair out of its prompt"
        )
    ids = pair.get("mentions") if isinstance(pair, dict) else None
    mentions = {mention.id: mention for mention in record.entities or ()}
    if (
        not isinstance(ids, list)
        or len(ids) != 2
        or not all(isinstance(each, str) and each in mentions for each in ids)
    ):
        raise UsageError(
            f"record {record.id!r}: meta.pair must be an object whose mentions are two entity ids of the record"
        )
    first, second = ids
    return mentions[first], mentions[second]


def pair_places(record: Record) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """The offsets of a record's pair; None where it asks about no pair, or its mentions are not known.

    Raises `UsageError` as `pair_of`.
    """
    if record.entities is None or "pair" not in record.meta:
        return None
    first, second = pair_of(record)
    return (first.start, first.end), (second.start, second.end)


def of_the_pair(record: Record) -> Record:
    """The record with those of its relations alone that link its pair, in either direction."""
    ends = {mention.id for mention in pair_of(record)}
    if record.relations is None:
        return record
    kept = tuple(link for link in record.relations if {link.head, link.tail} == ends)
    return dataclasses.replace(record, relations=kept)
