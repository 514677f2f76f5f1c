"""Pairs to train on must not hold the sentences of a test set, on either side."""

from collections.abc import Iterable

from kcx_jax.corpora import ParallelRecord, Record, leakage
from kcx_jax.errors import KcxError

SHOWN = 3


def refuse_leaks(pairs: Iterable[ParallelRecord], test: Iterable[Record], name: str) -> None:
    """Raise `KcxError` with counts and examples when sentences of the test set `name` stand in `pairs`.

    Texts are compared as `kcx_jax.corpora.leakage` does: equal after NFKC, case folding, and without white space.
    """
    sides = (side for pair in pairs for side in (pair.source, pair.target))
    found = leakage(sides, test)
    if found.sentences.seen:
        shown = "; ".join(f"{d.test_id} is in {d.train_id}" for d in found.duplicates[:SHOWN])
        raise KcxError(
            f"{found.sentences.seen} of {found.sentences.total} sentences of {name} stand in the pairs, such as "
            f"{shown}. Take them out, or pass no --against to write them all the same."
        )
