"""One writer a format; `write_records` chooses by name."""

from kcx_jax.corpora.writers.registry import WRITERS, write_records

__all__ = ["WRITERS", "write_records"]
