"""One module a corpus format, each: file -> records. `read_records` picks by name or by content."""

from kcx_jax.corpora.readers.registry import choose_reader, read_records

__all__ = ["choose_reader", "read_records"]
