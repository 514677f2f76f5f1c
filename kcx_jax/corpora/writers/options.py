"""What every writer is told besides the records and the path."""

from dataclasses import dataclass
from pathlib import Path

from kcx_jax.corpora.record import Record
from kcx_jax.corpora.writers.fitting import Loss
from kcx_jax.errors import KcxError
from kcx_jax.schema import Schema


@dataclass(frozen=True)
class WriteOptions:
    """`overwrite`: replace what is there; `loss`: what is left out; `tag_scheme`: of formats with a tag a token.

    `schema`, `template`: of formats that are instructions: the classes to ask for, the file of sentences.
    """

    overwrite: bool
    loss: Loss
    tag_scheme: str = "bio"
    schema: Schema | None = None
    template: Path | None = None


def utf8(text: str, record: Record) -> bytes:
    """The bytes of `text`; `KcxError` naming the record for a lone surrogate, which UTF-8 has not."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise KcxError(
            f"record {record.id!r}: has a lone surrogate ({text[error.start]!r}), which no UTF-8 file but JSON can hold"
        ) from error
