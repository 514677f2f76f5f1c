"""Asking a system about records whose answers are known."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from kcx_jax.corpora import Record
from kcx_jax.corpora.pairs import pair_of
from kcx_jax.errors import UsageError
from kcx_jax.extraction import Extractor, Result
from kcx_jax.extraction.windows import SIZE
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
    """The answers of `extractor` to one task, in the order of `records`. `pair`, and what is raised: as `ask`."""
    results = ask(extractor, records, schema, task, pair)
    return [Answered(result.record.id, result.answers[task], result.record) for result in results]


def ask(
    extractor: Extractor, records: Iterable[Record], schema: Schema, task: Task, pair: bool
) -> Iterator[Result]:
    """The results of one task, in the order of `records`, of which `extractor` sees the text, and the pair they have.

    `pair`, and what is raised: as `Extractor.extract`; a text whose pair is given is read whole, as in tuning.
    """
    window = None if pair else SIZE
    asked = (bare(record, pair) for record in records)
    return extractor.extract(asked, schema, tasks=[task], window=window, pair=pair)


def bare(record: Record, pair: bool = False) -> Record:
    """What a system may see of a record: its text, and its pair. Raises `UsageError` where a `pair` is to be given
    and there is none."""
    text = Record(record.id, record.language, record.text)
    try:
        mentions = pair_of(record)
    except UsageError:
        if pair:
            raise
        return text  # what `meta` calls a pair may be the user's own
    return replace(text, entities=mentions, meta={"pair": {"mentions": [mention.id for mention in mentions]}})
