"""Annotated text: `Record`, one reader a format, writers, the catalogue of benchmarks.

Lives here: what stands in a file and how it is read without shifting an offset. Not here: scores (`scoring`),
prompts (`prompts`).
"""

from kcx_jax.corpora.catalogue import Benchmark, catalogue
from kcx_jax.corpora.jsonl import read_parallel, write_parallel
from kcx_jax.corpora.leakage import Duplicate, Leakage, leakage
from kcx_jax.corpora.readers import choose_reader, read_records
from kcx_jax.corpora.record import (
    Argument,
    EventMention,
    Mention,
    ParallelRecord,
    Record,
    RelationLink,
    Span,
    make_span,
    text_order,
)
from kcx_jax.corpora.writers import write_records

__all__ = [
    "Argument",
    "Benchmark",
    "Duplicate",
    "EventMention",
    "Leakage",
    "Mention",
    "ParallelRecord",
    "Record",
    "RelationLink",
    "Span",
    "catalogue",
    "choose_reader",
    "leakage",
    "make_span",
    "read_parallel",
    "read_records",
    "text_order",
    "write_parallel",
    "write_records",
]
