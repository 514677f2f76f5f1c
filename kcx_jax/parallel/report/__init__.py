"""What a run came to, counted in one pass over its records; as a page and as Markdown."""

from kcx_jax.parallel.report.counts import report

__all__ = ["report"]
