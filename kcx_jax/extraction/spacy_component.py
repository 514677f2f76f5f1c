"""A component for spaCy's pipelines: ``nlp.add_pipe("kcx", config={"labels": ["person"], "model": "my-model"})``.

The extra `spacy` brings spaCy, which finds this module by the entry point of the package.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Literal

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import filter_spans

from kcx_jax.errors import UsageError
from kcx_jax.extraction.extractor import Extractor, SchemaSource
from kcx_jax.extraction.reading import Ground
from kcx_jax.extraction.results import FoundEntity, Result
from kcx_jax.extraction.windows import SIZE
from kcx_jax.schema import Task, load_schema

Alignment = Literal["expand", "contract", "strict"]
# What a document gets beside its spans: plain values, which spaCy writes to disk with it.
_EXTENSIONS = ("kcx_relations", "kcx_events", "kcx_problems", "kcx_unaligned")
_ENGINE = ("dtype", "max_new_tokens", "constraint")
_ENDPOINT = ("base_url", "max_new_tokens", "context_tokens")


class KcxComponent:
    """Annotates documents with what an extractor finds; offsets in ``doc._`` are spaCy's characters.

    - ``doc.spans[spans_key]``: all entities, those too that overlap;
    - ``doc.ents``: of these the longest that do not; what stood there stays, or gives way with `overwrite_ents`;
    - ``doc._.kcx_relations``, ``doc._.kcx_events``: as dictionaries, like `FoundRelation` and `FoundEvent`;
    - ``doc._.kcx_problems``: what could not be used of the answers;
    - ``doc._.kcx_unaligned``: entities that do not begin and end with tokens. `alignment_mode` says what the spans do
      about these: "expand" them to whole tokens, "contract" them, or leave them out ("strict"; and where no token is
      left).
    """

    def __init__(
        self,
        extractor: Extractor,
        schema: SchemaSource,
        *,
        spans_key: str = "kcx",
        alignment_mode: Alignment = "expand",
        overwrite_ents: bool = False,
        auto: bool = False,
        **reading: Any,
    ):
        self._extractor, self._schema, self._reading = extractor, load_schema(schema, auto=auto), reading
        self._key, self._mode, self._overwrite = spans_key, alignment_mode, overwrite_ents
        self._extractor.extract(
            [], self._schema, **reading
        )  # what cannot be is said before any document comes
        for name in _EXTENSIONS:
            if not Doc.has_extension(name):
                Doc.set_extension(name, default=[])

    def __call__(self, doc: Doc) -> Doc:
        """Annotate one document."""
        (annotated,) = self.pipe([doc])
        return annotated

    def pipe(self, stream: Iterable[Doc], **_: Any) -> Iterator[Doc]:
        """Annotate documents as they come; many of them are asked about at a time."""
        waiting: deque[Doc] = deque()

        def texts() -> Iterator[str]:
            for doc in stream:
                waiting.append(doc)
                yield doc.text

        for result in self._extractor.extract(texts(), self._schema, **self._reading):
            yield self._annotated(waiting.popleft(), result)

    def _annotated(self, doc: Doc, result: Result) -> Doc:
        spans, unaligned = self._spans(doc, result.entities)
        doc.spans[self._key] = spans
        before = () if self._overwrite else doc.ents
        taken = {token.i for span in before for token in span}
        free = [span for span in spans if taken.isdisjoint(range(span.start, span.end))]
        doc.set_ents([*before, *filter_spans(free)])
        doc._.kcx_relations = [_plain(each) for each in result.relations]
        doc._.kcx_events = [_plain(each) for each in result.events]
        doc._.kcx_problems = [_plain(each) for each in result.problems]
        doc._.kcx_unaligned = [_plain(each) for each in unaligned]
        return doc

    def _spans(self, doc: Doc, entities: Sequence[FoundEntity]) -> tuple[list[Span], list[FoundEntity]]:
        """The spans of entities, and those that are not made of whole tokens."""
        spans, unaligned = [], []
        for entity in entities:
            span = doc.char_span(entity.start, entity.end, entity.label, alignment_mode=self._mode)
            if span is None or (span.start_char, span.end_char) != (entity.start, entity.end):
                unaligned.append(entity)
            if span is not None and len(span):
                spans.append(span)
        return spans, unaligned


def _plain(found: Any) -> dict[str, Any]:
    """As values that come back from disk as they are: dictionaries and lists."""
    return asdict(
        found,
        dict_factory=lambda items: {
            name: list(value) if isinstance(value, tuple) else value for name, value in items
        },
    )


@Language.factory("kcx", assigns=["doc.ents", "doc.spans"])
def make(
    nlp: Language,
    name: str,
    labels: list[str] | None = None,
    schema: str | None = None,
    model: str | None = None,
    adapter: str | list[str] | None = None,
    chat_model: str | None = None,
    base_url: str | None = None,
    dtype: str | None = None,
    max_new_tokens: int | None = None,
    context_tokens: int | None = None,
    constraint: str | None = None,
    tasks: list[Task] | None = None,
    ground: Ground = "strict",
    window: int | None = SIZE,
    overlap: int | None = None,
    auto: bool = False,
    spans_key: str = "kcx",
    alignment_mode: Alignment = "expand",
    overwrite_ents: bool = False,
) -> KcxComponent:
    """The component, from a pipeline's config: either `labels` or a `schema` (a file, or Python source), and either a
    `model` or a `chat_model`, whose key is OPENAI_API_KEY's. The rest is as for `Extractor` and `KcxComponent`.
    """
    if (labels is None) == (schema is None):
        raise UsageError("say what to find: either labels, such as ['person'], or a schema")
    if (model is None) == (chat_model is None):
        raise UsageError("say which model answers: either model, a folder or Hub id, or chat_model")
    given = {key: value for key, value in locals().items() if value is not None}
    if model is not None:
        _refuse(given, ("base_url", "context_tokens"), "chat_model", "model")
        options = {key: given[key] for key in _ENGINE if key in given}
        extractor = Extractor.from_pretrained(model, adapter, **options)
    else:
        _refuse(given, ("adapter", "dtype", "constraint"), "model", "chat_model")
        options = {key: given[key] for key in _ENDPOINT if key in given}
        extractor = Extractor.from_openai(str(chat_model), **options)
    return KcxComponent(
        extractor,
        schema if labels is None else labels,  # type: ignore[arg-type]
        tasks=tasks,
        ground=ground,
        window=window,
        overlap=overlap,
        auto=auto,
        spans_key=spans_key,
        alignment_mode=alignment_mode,
        overwrite_ents=overwrite_ents,
    )


def _refuse(given: dict[str, Any], names: Sequence[str], with_: str, not_with: str) -> None:
    for name in names:
        if given.get(name) not in (None, []):
            raise UsageError(f"{name} goes with {with_}, not with {not_with}")
