"""`Extractor`: texts and a schema in, grounded results out, whichever model answers."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType
from typing import Literal

from kcx_jax.corpora import Record
from kcx_jax.corpora.pairs import pair_places
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.extraction.answers import Answer, AnswerSource, Question, TextTooLongError
from kcx_jax.extraction.chat import ChatAnswers
from kcx_jax.extraction.confidence import item_scores, place_scores
from kcx_jax.extraction.merge import merge
from kcx_jax.extraction.results import AnswerProblem, Key, Result
from kcx_jax.llm import ChatClient
from kcx_jax.schema import TASKS, ParsedAnswer, Schema, Task, load_schema, parse_answer
from kcx_jax.scoring import Unresolved, ground

SchemaSource = Schema | str | Path | ModuleType | Iterable[type | str]


class Extractor:
    """Finds what a schema names in texts. Made by `from_pretrained` or `from_openai`."""

    def __init__(self, source: AnswerSource):
        self._source = source

    @classmethod
    def from_openai(
        cls,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        max_new_tokens: int | None = None,
        concurrency: int = 8,
        timeout: float = 120.0,
    ) -> "Extractor":
        """Answers from an OpenAI-compatible chat endpoint; needs no JAX.

        `base_url` and `api_key` fall back to OPENAI_BASE_URL and OPENAI_API_KEY. `concurrency` requests
        are under way at once, each for at most `timeout` seconds. Raises `UsageError` when a needed key is
        absent.
        """
        client = ChatClient(model, base_url, api_key, concurrency=concurrency, timeout=timeout)
        return cls(ChatAnswers(client, max_new_tokens))

    @classmethod
    def from_pretrained(
        cls,
        path_or_hub_id: str | Path,
        adapter: str | Path | Sequence[str | Path] | None = None,
        dtype: str | None = None,
        *,
        max_new_tokens: int = 256,
        constraint: Literal["off", "syntax", "schema", "schema+span"] = "schema+span",
    ) -> "Extractor":
        """Answers from a checkpoint folder or a Hub id, with LoRA adapters on top if any are given.

        `dtype` ("float32", "bfloat16") is that of the computation; None keeps the checkpoint's. Answers
        longer than `max_new_tokens` are cut off, which shows in the result's problems. `constraint`: what they are
        held to while they are written (docs/decoding.md): "syntax", lists of calls that parse; "schema", those of the
        schema's classes; "schema+span", and what they quote stands in the text. Compiled programs are kept for the
        next process (`kcx_jax.ops.compiled.keep_compiled`). Raises `UsageError` for another level, and `KcxError` as
        `kcx_jax.checkpoints.load_pretrained` does.
        """
        from kcx_jax.checkpoints import load_pretrained
        from kcx_jax.decoding import Generator
        from kcx_jax.extraction.local import ModelAnswers, check_level
        from kcx_jax.ops.compiled import keep_compiled

        check_level(constraint)  # before the model is loaded
        model = load_pretrained(path_or_hub_id, adapter=adapter, dtype=dtype)
        keep_compiled()
        return cls(ModelAnswers(Generator(model), max_new_tokens, constraint))

    def extract(
        self,
        texts: str | Iterable[str | Record],
        schema: SchemaSource,
        tasks: Sequence[Task] | None = None,
        ground: Literal["strict", "ladder"] = "strict",
        *,
        auto: bool = False,
    ) -> Iterator[Result]:
        """A result for each text, in order, while texts are still being read.

        `texts`: one text, or any number of texts and records, whose annotation is not looked at but for the places
        of the pair that ``meta["pair"]`` names: a relation between their surfaces stands there. `schema`:
        a `Schema`, classes, a file, or plain labels such as ["person", "city"]. `tasks` are those that the
        schema has concepts for: "ner" for entities, "re" for relations, "eae" for events; their answers are
        merged by offsets. `ground`: "strict" finds what stands in the text verbatim or after NFC; "ladder"
        also looser forms (`kcx_jax.scoring.ground`), which take the text's own form, have no score, and are
        listed with their rung in ``record.meta["loose"]``. `auto`: as for `load_schema`, labels without a name
        get one; results have the labels. Raises `UsageError` for a schema, tasks or `ground` that cannot be,
        and `KcxError` for a text that does not fit the model or an endpoint that does not answer at all.
        """
        if ground not in ("strict", "ladder"):
            raise UsageError(f"ground is {ground!r}: must be 'strict' or 'ladder'")
        loaded = load_schema(schema, auto=auto)
        return self._results(_records(texts), loaded, _tasks(loaded, tasks), ground == "ladder")

    def _results(
        self, records: Iterator[Record], schema: Schema, tasks: Sequence[Task], ladder: bool
    ) -> Iterator[Result]:
        views = {task: schema.for_task(task) for task in tasks}
        asked: deque[Record] = deque()
        broken: list[KcxError] = []

        def wording() -> Iterator[str]:
            try:
                for record in records:
                    asked.append(record)
                    yield record.text
            except KcxError as error:  # a bad line: the texts before it get their results first
                broken.append(error)

        questions = [Question(schema, task) for task in tasks]
        try:
            for answers in self._source.stream(questions, wording()):
                yield _result(asked.popleft(), schema, views, dict(zip(tasks, answers, strict=True)), ladder)
        except TextTooLongError as error:
            raise KcxError(f"text {asked[error.ahead].id!r}: {error}") from error
        if broken:
            raise broken[0]


def _records(texts: str | Iterable[str | Record]) -> Iterator[Record]:
    for number, text in enumerate([texts] if isinstance(texts, str) else texts):
        record = text if isinstance(text, Record) else Record(str(number), "und", text)
        try:
            record.text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise KcxError(
                f"text {record.id!r}: half a surrogate pair at character {error.start}. "
                "The text was decoded wrongly: read it as UTF-8."
            ) from error
        yield record


def _tasks(schema: Schema, tasks: Sequence[Task] | None) -> Sequence[Task]:
    """The tasks asked for, checked against the schema, or all it has concepts for."""
    concepts = {"ner": schema.entities, "re": schema.relations, "ed": schema.events, "eae": schema.events}
    if tasks is None:
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


def _result(
    record: Record,
    schema: Schema,
    task_schemas: Mapping[Task, Schema],
    answers: Mapping[Task, Answer],
    ladder: bool,
) -> Result:
    """Answers -> instances -> offsets -> one record, with a problem for whatever fell by the way."""
    views: dict[Task, Record] = {}
    problems: list[AnswerProblem] = []
    scores: dict[Key, float] = {}
    for task, answer in answers.items():
        nothing = ParsedAnswer((), ())
        parsed = nothing if answer.finish == "none" else parse_answer(answer.text, task_schemas[task])
        grounded = ground(
            parsed.instances,
            record.text,
            task=task,
            problems=parsed.problems,
            ladder=ladder,
            pair=pair_places(record),
        )
        unfinished = _unfinished(task, answer)
        problems += unfinished
        problems += [AnswerProblem(task, problem.kind, problem.detail) for problem in parsed.problems]
        problems += [AnswerProblem(task, "unresolved", _in_words(each)) for each in grounded.unresolved]
        views[task] = _with_problems(grounded.record, unfinished)
        found = item_scores(answer, parsed.instances)
        scores.update(place_scores(task, grounded.record, parsed.instances, found))
    code = {task: answer.text for task, answer in answers.items()}
    return Result(merge(record, views), schema, tuple(problems), code, scores)


def _unfinished(task: Task, answer: Answer) -> list[AnswerProblem]:
    if answer.finish == "none":
        return [AnswerProblem(task, "no_answer", answer.detail)]
    if answer.finish == "length":
        return [AnswerProblem(task, "length", "the answer was cut off at the limit of new tokens")]
    return []


def _with_problems(record: Record, problems: Sequence[AnswerProblem]) -> Record:
    """The grounded record with these beside the parser's problems, where `score` looks for them."""
    if not problems:
        return record
    listed = [*(asdict(problem) for problem in problems), *record.meta.get("parse_problems", [])]
    return replace(record, meta={**record.meta, "parse_problems": listed})


def _in_words(unresolved: Unresolved) -> str:
    place = f" as {unresolved.role} of" if unresolved.role else ","
    return f"{unresolved.text!r}{place} {unresolved.type}: not in the text"
