"""Asking a system about records whose answers are known."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from kcx_jax.corpora import Record
from kcx_jax.corpora.pairs import pair_of
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
    extractor: Extractor, records: Iterable[Record], schema: Schema, task: Task, pair: bool = False
) -> list[Answered]:
    """The answers of `extractor` to one task, in the order of `records`, of which it sees what `bare` leaves.

    `pair`, and what is raised: as `Extractor.extract`.
    """
    results = extractor.extract(map(bare, records), schema, tasks=[task], pair=pair)
    return [Answered(result.record.id, result.answers[task], result.record) for result in results]


def bare(record: Record) -> Record:
    """What a system may see of a record: its text, and the pair that it asks about."""
    asked = Record(record.id, record.language, record.text)
    if record.meta.get("pair") is None:
        return asked
    pair = pair_of(record)
    return replace(asked, entities=pair, meta={"pair": {"mentions": [mention.id for mention in pair]}})
