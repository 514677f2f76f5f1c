"""The ceiling of a corpus: the F1 of gold itself, written as an answer, read again, grounded and scored.

What is lost on the way is lost for every model whose answers hold surfaces and no offsets. Each loss is named.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from kcx_jax.corpora import Mention, Record
from kcx_jax.corpora.pairs import pair_places
from kcx_jax.errors import KcxError
from kcx_jax.prompts import answer_instances
from kcx_jax.schema import TASKS, Entity, Schema, Task, parse_answer, render_answer
from kcx_jax.schema.strings import starts_of
from kcx_jax.scoring import Scores, ground, score
from kcx_jax.scoring.gold_schema import schema_of
from kcx_jax.scoring.units import MEASURES, Unit

_EXAMPLES = 3
_HEADLINE = {measure.task: measure for measure in MEASURES if measure.name == measure.task}


@dataclass(frozen=True)
class Loss:
    """Why items of gold did not come back: how many, of which task, and the first ones as (record, surface)."""

    task: Task
    cause: str
    count: int
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Ceiling:
    """The scores of gold against itself, by task, and what explains the rest of each headline measure.

    discontinuous: how many gold spans are discontinuous, and were written from first character to last.
    """

    scores: dict[Task, Scores]
    losses: tuple[Loss, ...]
    discontinuous: int


def oracle(
    records: Iterable[Record], schema: Schema | None = None, mode: str = "strict", dialect: str = "kcx"
) -> Ceiling:
    """Gold -> `render_answer` -> `parse_answer` -> `ground` -> `score`, for each task that gold is annotated for.

    Where a record asks about a pair, its places are given.

    Args:
        schema: the classes to answer with; None: those that the records have.

    Raises `KcxError` for records without annotation, and as the steps do.
    """
    gold = [_with_own_types(record) for record in records]
    schema = schema or schema_of(gold)
    scores: dict[Task, Scores] = {}
    causes: dict[tuple[Task, str], list[tuple[str, str]]] = {}
    for task in TASKS:
        wanted = [replace(record, meta={}) for record in gold if _annotated(record, task)]
        if not wanted:
            continue
        found = [_again(record, schema, task, dialect) for record in gold if _annotated(record, task)]
        scores[task] = score(wanted, found, [task], mode)
        for record, guess in zip(wanted, found, strict=True):
            for cause, surface in _lost(record, guess, task):
                causes.setdefault((task, cause), []).append((record.id, surface))
    if not scores:
        raise KcxError("the records are annotated for no task, so there is no ceiling to measure")
    losses = [Loss(*key, len(lost), tuple(lost[:_EXAMPLES])) for key, lost in sorted(causes.items())]
    return Ceiling(scores, tuple(losses), sum(map(_discontinuous, gold)))


def _with_own_types(record: Record) -> Record:
    """The record with a class for mentions of none, since answers name a class for each."""
    if record.entities is None or all(mention.type != Entity.__name__ for mention in record.entities):
        return record
    named = (replace(m, type=f"{m.type}_") if m.type == Entity.__name__ else m for m in record.entities)
    return replace(record, entities=tuple(named))


def _annotated(record: Record, task: Task) -> bool:
    if task == "eae":
        return any(event.arguments for event in record.events or ())
    return {"ner": record.entities, "re": record.relations, "ed": record.events}[task] is not None


def _again(record: Record, schema: Schema, task: Task, dialect: str) -> Record:
    answer = render_answer(answer_instances(record, schema, task), dialect)
    parsed = parse_answer(answer, schema.for_task(task), dialect)
    grounded = ground(
        parsed.instances,
        record.text,
        task=task,
        id=record.id,
        language=record.language,
        problems=parsed.problems,
        pair=pair_places(record),
    )
    return grounded.record


def _lost(record: Record, guess: Record, task: Task) -> Iterator[tuple[str, str]]:
    """(cause, surface) of each unit of gold that is not in `guess`."""
    wanted = _HEADLINE[task].count(record)
    for unit, count in (wanted - _HEADLINE[task].count(guess)).items():
        spans = _spans(unit)
        surfaces = [record.text[start:end] for start, end in spans]
        cause = _cause(record, spans, wanted[unit])
        yield from [(cause, " -> ".join(surfaces))] * count


def _spans(unit: Unit) -> list[tuple[int, int]]:
    """The spans in the content of a unit; those of triggers stand as two numbers."""
    content = [part for part in unit[1] if part != ()]
    spans = [part for part in content if isinstance(part, tuple)]
    return spans or [(content[1], content[2])]


def _cause(record: Record, spans: list[tuple[int, int]], wanted: int) -> str:
    if wanted > 1:
        return "annotated twice at one place"
    places = [starts_of(record.text[start:end], record.text) for start, end in spans]
    if all(count == 1 for count in map(len, places)):
        return "items share a surface that stands once"
    mentions = Counter(mention.text for mention in record.entities or ())
    longer = [m for m in record.entities or () if any(_inside(span, m) for span in spans)]
    if longer:
        return "nested in a longer mention"
    crowded = any(mentions[record.text[start:end]] > 1 for start, end in spans)
    return "repeated mention" if crowded else "ambiguous: the surface also stands elsewhere"


def _inside(span: tuple[int, int], mention: Mention) -> bool:
    return mention.start <= span[0] and span[1] <= mention.end and (mention.start, mention.end) != span


def _discontinuous(record: Record) -> int:
    events = record.events or ()
    parts = [mention.spans for mention in record.entities or ()]
    parts += [event.trigger.spans for event in events]
    parts += [argument.spans for event in events for argument in event.arguments]
    return sum(len(spans) > 1 for spans in parts)
