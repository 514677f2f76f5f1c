"""What one text needs: a `Reader` takes it apart into what a model is asked, and puts the answers together.

No model is called here: `Extractor` and the server bring asks and answers together, each in its own way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from kcx_jax.corpora import Record
from kcx_jax.corpora.pairs import pair_places
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.extraction.answers import Answer, Ask, Question, Room
from kcx_jax.extraction.confidence import item_scores, place_scores
from kcx_jax.extraction.join import Piece, join
from kcx_jax.extraction.merge import merge
from kcx_jax.extraction.results import AnswerProblem, Key, Result
from kcx_jax.extraction.shift import shifted
from kcx_jax.extraction.windows import Span, Window, cut
from kcx_jax.prompts import pair_instances, sentence_context, split_schema
from kcx_jax.schema import TASKS, Entity, ParsedAnswer, Schema, Task, parse_answer
from kcx_jax.scoring import Unresolved, ground

__all__ = ["Ask", "Ground", "Reader", "Reading"]

Ground = Literal["strict", "ladder"]
_SLACK = 0.9  # of what a text that is too long should have room for: tokens are not spread evenly over it

_BROKEN_OFF = (
    "truncated",
    "runaway",
)  # kinds of problems of an answer that has no end, whatever the model says


class Reader:
    """How texts are read for one schema: made once, used for any number of texts.

    `tasks`, `ground`: as for `Extractor.extract`. `window`: how long texts are cut; None: only where the model has no
    room for them. `room`: what fits the model, if that is known: schemas that are too large for it are split, and their
    answers joined. `pair`: RE is asked about the pair that ``meta["pair"]`` of each record names, and its prompt says
    so, as in tuning with ``prompts.pair``. Raises `UsageError` for tasks, a ground or a schema that cannot be.
    """

    def __init__(
        self,
        schema: Schema,
        tasks: Sequence[Task] | None = None,
        ground: Ground = "strict",
        window: Window | None = Window(),  # noqa: B008  (frozen)
        room: Room | None = None,
        pair: bool = False,
    ):
        if ground not in ("strict", "ladder"):
            raise UsageError(f"ground is {ground!r}: must be 'strict' or 'ladder'")
        self.schema, self.ladder = schema, ground == "ladder"
        self.tasks = _tasks(schema, tasks)
        self.questions = tuple(
            Question(group, task) for task in self.tasks for group in _groups(schema, task, room)
        )
        if pair and "re" not in self.tasks:
            raise UsageError("a pair is given for the task re alone, which is not asked for")
        self.pair = pair
        self._window, self._room = window, room
        self._tokens = room.text(question.prefix for question in self.questions) if room else 0

    def read(self, record: Record) -> "Reading":
        """What is asked about a text. Raises `KcxError` for a text that was decoded wrongly or has no room at all, and
        for one without the pair that is to be given, or whose pair does not stand in one window.
        """
        check_text(record)
        pair_places(record)  # a pair that is none is said before anything is asked
        pair = pair_instances(record, self.schema) if self.pair else ()
        windows = cut(record.text, self._window, partial(self._fit, record, pair))
        if pair and len(windows) > 1:
            raise KcxError(
                f"text {record.id!r}: a pair is given, and the text is too long to be read at once. Read it whole "
                "(window=None), or with a model or schema that leaves it room."
            )
        return Reading(self, record, windows, pair)

    def _fit(self, record: Record, pair: tuple[Entity, ...], piece: str) -> int:
        """How many characters of a piece of the text the model has room for."""
        context = sentence_context(piece, pair)
        if self._room is None or len(context.encode("utf-8")) <= self._tokens:
            return len(piece)  # a token is a byte at least
        tokens = self._room.count(context)
        if tokens <= self._tokens:
            return len(piece)
        characters = int(_SLACK * len(piece) * self._tokens / tokens)
        if characters < 1:
            raise KcxError(
                f"text {record.id!r}: beside a schema of this size, the model's {self._room.tokens} positions leave "
                f"{self._tokens} tokens to a text, which are too few. Use a smaller schema."
            )
        return characters


@dataclass(frozen=True)
class Reading:
    """One text under way: what is asked about it, and what comes of the answers."""

    reader: Reader
    record: Record
    windows: Sequence[Span]
    pair: tuple[Entity, ...] = ()  # that RE is asked about

    def __len__(self) -> int:
        """How many asks there are."""
        return len(self.windows) * len(self.reader.questions)

    @property
    def asks(self) -> tuple[Ask, ...]:
        """All that is asked, one window after the other, the questions of a window in the order of the reader's."""
        texts = (self.record.text[start:end] for start, end in self.windows)
        return tuple(
            Ask(question, text, self.pair if question.task == "re" else ())
            for text in texts
            for question in self.reader.questions
        )

    def result(self, answers: Sequence[Answer]) -> Result:
        """The result, from the answers to `asks`, in their order.

        Answers become instances, these get offsets, and windows, parts of the schema and tasks are joined to one
        record, with a problem for whatever fell by the way. Raises `ValueError` for another number of answers.
        """
        pieces: dict[Task, list[Piece]] = {task: [] for task in self.reader.tasks}
        code: dict[Task, list[str]] = {task: [] for task in self.reader.tasks}
        problems: dict[Task, list[AnswerProblem]] = {task: [] for task in self.reader.tasks}
        places = ((window, question) for window in self.windows for question in self.reader.questions)
        for (window, question), answer in zip(places, answers, strict=True):
            piece, own = self._piece(window, question, answer)
            pieces[question.task].append(piece)
            problems[question.task] += own
            code[question.task].append(answer.text)
        views: dict[Task, Record] = {}
        scores: dict[Key, float] = {}
        for task, parts in pieces.items():
            views[task], found = join(parts)
            scores = found | scores if task == "ed" else scores | found  # an event of both is that of EAE
        return Result(
            merge(self.record, views),
            self.reader.schema,
            tuple(problem for own in problems.values() for problem in own),
            {task: "\n".join(texts) for task, texts in code.items()},
            scores,
        )

    def _piece(self, window: Span, question: Question, answer: Answer) -> tuple[Piece, list[AnswerProblem]]:
        """One answer, grounded in its window, and its problems."""
        task, text = question.task, self.record.text[slice(*window)]
        where = window if len(self.windows) > 1 else None
        nothing = ParsedAnswer((), ())
        parsed = nothing if answer.finish == "none" else parse_answer(answer.text, question.classes)
        grounded = ground(
            parsed.instances,
            text,
            task=task,
            problems=parsed.problems,
            ladder=self.reader.ladder,
            pair=self._pair_in(window),
        )
        unfinished = _unfinished(task, answer, where)
        problems = [
            *unfinished,
            *(AnswerProblem(task, problem.kind, problem.detail, where) for problem in parsed.problems),
            *(AnswerProblem(task, "unresolved", _in_words(each), where) for each in grounded.unresolved),
        ]
        record = _noted(shifted(grounded.record, self.record.text, window[0]), unfinished, where)
        scores = place_scores(task, record, parsed.instances, item_scores(answer, parsed.instances))
        whole = answer.finish == "stop" and not any(each.kind in _BROKEN_OFF for each in parsed.problems)
        return Piece(question, window, record, scores, whole), problems

    def _pair_in(self, window: Span) -> tuple[Span, Span] | None:
        """The offsets of the record's pair in a window that holds both its mentions."""
        pair = pair_places(self.record)
        if pair is None or not all(window[0] <= start and end <= window[1] for start, end in pair):
            return None
        first, second = ((start - window[0], end - window[0]) for start, end in pair)
        return first, second


def check_text(record: Record) -> None:
    """Raise `KcxError` where a text is none: half a character stands in it."""
    try:
        record.text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise KcxError(
            f"text {record.id!r}: half a surrogate pair at character {error.start}. "
            "The text was decoded wrongly: read it as UTF-8."
        ) from error


def _tasks(schema: Schema, tasks: Sequence[Task] | None) -> Sequence[Task]:
    """The tasks asked for, checked against the schema, or all it has concepts for."""
    concepts = {"ner": schema.entities, "re": schema.relations, "ed": schema.events, "eae": schema.events}
    if tasks is None:
        if not schema.concepts:
            raise UsageError("the schema is empty: give at least one class or label")
        return [task for task in TASKS if task != "ed" and concepts[task]]
    if isinstance(tasks, str) or not tasks:
        raise UsageError(f"tasks: give a list of tasks, such as ['ner', 're'], not {tasks!r}")
    for task in tasks:
        if task not in concepts:
            raise UsageError(f"unknown task {task!r}; there are {', '.join(TASKS)}")
        if not concepts[task]:
            kind = {"ner": "entity", "re": "relation"}.get(task, "event")
            raise UsageError(f"task {task!r} needs {kind} classes, and the schema has none")
    return list(dict.fromkeys(tasks))


def _groups(schema: Schema, task: Task, room: Room | None) -> tuple[Schema, ...]:
    """The schema, or where it is too large for the model the parts that are asked for one by one."""
    if room is None or room.count(Question(schema, task).prefix) <= room.schema:
        return (schema,)
    if room.schema < 1:
        raise UsageError(f"{room.tokens} tokens for schema, text and answer together are too few")
    try:
        return split_schema(schema, task, max_tokens=room.schema, count_tokens=room.count)
    except UsageError as error:
        raise UsageError(
            f"the model has room for {room.tokens} tokens, of which a schema may take {room.schema}: {error}"
        ) from error


def _unfinished(task: Task, answer: Answer, window: Span | None) -> list[AnswerProblem]:
    if answer.finish == "none":
        return [AnswerProblem(task, "no_answer", answer.detail, window)]
    if answer.finish == "length":
        return [AnswerProblem(task, "length", "the answer was cut off at the limit of new tokens", window)]
    return []


def _noted(record: Record, unfinished: Sequence[AnswerProblem], window: Span | None) -> Record:
    """The grounded record with these beside the parser's problems, where `score` looks for them, and the window of each
    entry that has no place in the text.
    """
    meta: dict[str, Any] = dict(record.meta)
    if unfinished:
        listed = [{"task": each.task, "kind": each.kind, "detail": each.detail} for each in unfinished]
        meta["parse_problems"] = [*listed, *meta.get("parse_problems", [])]
    if window is not None:
        for name in ("unresolved", "parse_problems"):
            if name in meta:
                meta[name] = [{**entry, "window": list(window)} for entry in meta[name]]
    return replace(record, meta=meta)


def _in_words(unresolved: Unresolved) -> str:
    place = f" as {unresolved.role} of" if unresolved.role else ","
    what = "more often than it is in the text" if unresolved.repeated else "not in the text"
    return f"{unresolved.text!r}{place} {unresolved.type}: {what}"
