"""Which way a pair is read: as it is, or with its sides changed too."""

from collections.abc import Iterable, Iterator

from kcx_jax.corpora import ParallelRecord
from kcx_jax.errors import UsageError

DIRECTIONS = ("forward", "both")
REVERSED = ":reversed"
"""What the id of a pair ends in whose sides were changed; its provenance has ``"reversed": true``."""


def directed(pairs: Iterable[ParallelRecord], directions: str = "forward") -> Iterator[ParallelRecord]:
    """The pairs, with ``both`` each followed by its reverse. `UsageError` for another direction."""
    if directions not in DIRECTIONS:
        raise UsageError(f"unknown directions {directions!r}; known: {', '.join(DIRECTIONS)}")
    for pair in pairs:
        yield pair
        if directions == "both":
            told = {**pair.provenance, "reversed": True}
            yield ParallelRecord(f"{pair.id}{REVERSED}", pair.target, pair.source, told)
