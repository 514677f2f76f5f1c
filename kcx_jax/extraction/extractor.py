"""`Extractor`: texts and a schema in, grounded results out, whichever model answers."""

from collections import deque
from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from types import ModuleType
from typing import Literal

from kcx_jax.corpora import Record
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.extraction.answers import AnswerSource, Ask, Figures
from kcx_jax.extraction.chat import ChatAnswers
from kcx_jax.extraction.in_thread import drawn_in_thread
from kcx_jax.extraction.reading import Ground, Reader, Reading
from kcx_jax.extraction.results import Result
from kcx_jax.extraction.windows import SIZE, Window
from kcx_jax.llm import ChatClient
from kcx_jax.schema import Schema, Task, load_schema

SchemaSource = Schema | str | Path | ModuleType | Iterable[type | str]
Texts = str | Record | Iterable[str | Record]


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
        context_tokens: int | None = None,
        concurrency: int = 8,
        timeout: float = 120.0,
    ) -> "Extractor":
        """Answers from an OpenAI-compatible chat endpoint; needs no JAX.

        `base_url` and `api_key` fall back to OPENAI_BASE_URL and OPENAI_API_KEY. `context_tokens`: how many tokens
        a request and its reply may have together, so that a schema too large for that is asked about in parts.
        `concurrency` requests are under way at once, each for at most `timeout` seconds. Raises `UsageError` when a
        needed key is absent.
        """
        client = ChatClient(model, base_url, api_key, concurrency=concurrency, timeout=timeout)
        return cls(ChatAnswers(client, max_new_tokens, context_tokens))

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

    @property
    def figures(self) -> Figures:
        """What the model has done for this extractor so far."""
        return self._source.figures

    def extract(
        self,
        texts: Texts,
        schema: SchemaSource,
        tasks: Sequence[Task] | None = None,
        ground: Ground = "strict",
        *,
        window: int | None = SIZE,
        overlap: int | None = None,
        auto: bool = False,
        pair: bool = False,
    ) -> Generator[Result, None, None]:
        """A result for each text, in order, while texts are still being read.

        `texts`: one text, or any number of texts and records, whose annotation is not looked at but for the places
        of the pair that ``meta["pair"]`` names: a relation between their surfaces stands there. `schema`:
        a `Schema`, classes, a file, or plain labels such as ["person", "city"]. `tasks` are those that the
        schema has concepts for: "ner" for entities, "re" for relations, "eae" for events; their answers are
        merged by offsets. `ground`: "strict" finds what stands in the text verbatim or after NFC; "ladder"
        also looser forms (`kcx_jax.scoring.ground`), which take the text's own form, have no score, and are
        listed in ``result.repairs``. `window`: a text of more characters is read in windows of at most so many, which
        overlap by `overlap` (default: a fifth), and what is found in them is joined; None: texts are read whole, as
        far as the model has room. `auto`: as for `load_schema`, labels without a name get one; results have the
        labels. `pair`: RE is asked about the pair of each record, which its prompt names, as in tuning with
        ``prompts.pair``. Raises `UsageError` for a schema, tasks, `ground` or windows that cannot be, and `KcxError`
        for a text that is none or an endpoint that does not answer at all.
        """
        reader = self._reader(schema, tasks, ground, window, overlap, auto, pair)
        return (result for (result,) in self._results(_records(texts), [reader]))

    def extract_each(
        self,
        texts: Texts,
        schemas: Mapping[str, SchemaSource],
        ground: Ground = "strict",
        *,
        window: int | None = SIZE,
        overlap: int | None = None,
        auto: bool = False,
    ) -> Generator[dict[str, Result], None, None]:
        """For each text the results of several schemas, by the names that `schemas` gives them.

        They are asked about together: the texts are read once, and a model works on all of them at a time. The rest is
        as for `extract`. Raises `UsageError` for no schema at all, too.
        """
        if not isinstance(schemas, Mapping):
            raise UsageError("schemas need names: give a mapping, such as {'people': ['person']}")
        if not schemas:
            raise UsageError("no schema is given: name at least one, such as {'people': ['person']}")
        readers = [self._reader(schema, None, ground, window, overlap, auto) for schema in schemas.values()]
        found = self._results(_records(texts), readers)
        return (dict(zip(schemas, results, strict=True)) for results in found)

    def aextract(
        self,
        texts: Texts,
        schema: SchemaSource,
        tasks: Sequence[Task] | None = None,
        ground: Ground = "strict",
        *,
        window: int | None = SIZE,
        overlap: int | None = None,
        auto: bool = False,
        pair: bool = False,
    ) -> AsyncIterator[Result]:
        """`extract` for ``async for``: the work is done in a thread, and the event loop goes on.

        A caller that is cancelled, or leaves the loop, does not wait; what the model has at hand then comes to its end
        in the thread, and nothing more is asked.
        """
        results = self.extract(
            texts, schema, tasks, ground, window=window, overlap=overlap, auto=auto, pair=pair
        )
        return drawn_in_thread(results)

    def _reader(
        self,
        schema: SchemaSource,
        tasks: Sequence[Task] | None,
        ground: Ground,
        window: int | None,
        overlap: int | None,
        auto: bool,
        pair: bool = False,
    ) -> Reader:
        loaded = load_schema(schema, auto=auto)
        return Reader(loaded, tasks, ground, Window.of(window, overlap), self._source.room, pair)

    def _results(
        self, records: Iterator[Record], readers: Sequence[Reader]
    ) -> Generator[tuple[Result, ...], None, None]:
        """For each record what each reader makes of it."""
        asked: deque[tuple[Reading, ...]] = deque()
        broken: list[Exception] = []

        def asks() -> Iterator[Ask]:
            try:
                for record in records:
                    readings = tuple(reader.read(record) for reader in readers)
                    asked.append(readings)
                    for reading in readings:
                        yield from reading.asks
            except Exception as error:  # a bad line: the texts before it get their results first
                broken.append(error)

        answers = iter(self._source.stream(asks()))
        for first in answers:
            own = chain([first], answers)
            yield tuple(reading.result(list(islice(own, len(reading)))) for reading in asked.popleft())
        if broken:
            raise broken[0]


def _records(texts: Texts) -> Iterator[Record]:
    if isinstance(texts, Mapping) or not isinstance(texts, (Record, Iterable)):
        raise UsageError(
            f"texts are a text (str), a record, or several of these, found {type(texts).__name__}. Of a file, "
            "read the text first; of a mapping, give its values."
        )
    for number, text in enumerate([texts] if isinstance(texts, (str, bytes, Record)) else texts):
        if not isinstance(text, (str, Record)):
            raise KcxError(
                f"text {str(number)!r}: a text (str) or a record is needed, found {type(text).__name__}"
            )
        yield text if isinstance(text, Record) else Record(str(number), "und", text)
