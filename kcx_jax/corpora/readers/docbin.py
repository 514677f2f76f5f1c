"""`docbin`: spaCy's `.spacy` files (DocBin): the entities of each document, and its span groups.

Offsets are spaCy's characters, which are code points. A span of a group that is also an entity, or stands in several
groups under one label, is read once. Only texts, tokens and spans are taken; what users attach to documents is not
loaded. The extra `spacy` brings spaCy.
"""

from collections.abc import Iterator
from pathlib import Path

from kcx_jax.corpora.lines import open_binary
from kcx_jax.corpora.readers.columns import record_id
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.relations import Draft
from kcx_jax.corpora.record import Record
from kcx_jax.errors import KcxError


def read_docbin(path: Path, options: Options) -> Iterator[Record]:
    """The documents of a file; `KcxError` when it is none of spaCy's."""
    try:
        import spacy
        from spacy.tokens import DocBin
    except ImportError as error:
        raise KcxError(f"{path}: reading it needs spaCy: pip install 'kcx-jax[spacy]'") from error
    with open_binary(path) as handle:
        data = handle.read()
    try:
        docs = list(DocBin().from_bytes(data).get_docs(spacy.blank("xx").vocab))
    except Exception as error:  # whatever spaCy raises for bytes that are not its own
        raise KcxError(
            f"{path}: is no DocBin of spaCy, or damaged: {type(error).__name__}: {error}"
        ) from error
    for index, doc in enumerate(docs):
        where = f"{path}: document {index + 1}"
        draft = Draft(path, where, doc.text, options, [(token.idx, token.idx + len(token)) for token in doc])
        spans = {(span.start_char, span.end_char, span.label_) for span in doc.ents}
        for group in doc.spans.values():
            spans |= {(span.start_char, span.end_char, span.label_) for span in group}
        for start, end, label in sorted(spans):
            draft.mention(draft.char_span(start, end, "entities"), label or None, "entities")
        annotated = bool(spans) or doc.has_annotation("ENT_IOB")
        yield draft.record(record_id(path, index), entities=annotated, relations=False)
