"""Asking a system about records whose answers are known."""

from collections.abc import Iterable
from dataclasses import dataclass

from kcx_jax.corpora import Record
from kcx_jax.extraction import Extractor
from kcx_jax.schema import Schema, Task


@dataclass(frozen=True)
class Answered:
    """One answer: its code as the system wrote it, and the record that `kcx_jax.scoring.score` takes.

    The record has the id, language and text of the one asked about. What could not be read or grounded is in
    its ``meta`` ("parse_problems", "unresolved"), where it counts as the metric says.
    """

    id: str
    answer: str
    record: Record


def answer_records(
    extractor: Extractor, records: Iterable[Record], schema: Schema, task: Task
) -> list[Answered]:
    """The answers of `extractor` to one task, in the order of `records`, whose annotation it does not see.

    Raises what `Extractor.extract` raises.
    """
    bare = (Record(record.id, record.language, record.text) for record in records)
    results = extractor.extract(bare, schema, tasks=[task])
    return [Answered(result.record.id, result.answers[task], result.record) for result in results]
