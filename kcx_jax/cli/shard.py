"""``--shard I/N``: one part of N, for machines that share a piece of work."""

from kcx_jax.errors import UsageError


def shard_of(shard: str | None) -> tuple[int, int] | None:
    """``2/8`` as (2, 8). Raises `UsageError`."""
    if shard is None:
        return None
    part, _, parts = shard.partition("/")
    if not (part.isascii() and part.isdigit() and parts.isascii() and parts.isdigit()) or int(part) >= int(
        parts
    ):
        raise UsageError(f"--shard is {shard!r}: must be I/N with I from 0 to N - 1, such as 0/8")
    return int(part), int(parts)
