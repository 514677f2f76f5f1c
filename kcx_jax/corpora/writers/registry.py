"""The writers by name."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from kcx_jax.corpora.jsonl import write_json_lines
from kcx_jax.corpora.record import Record
from kcx_jax.corpora.writers.brat import write_brat
from kcx_jax.corpora.writers.conll import TAG_SCHEMES, write_conll
from kcx_jax.corpora.writers.fitting import Loss
from kcx_jax.corpora.writers.gliner import write_gliner
from kcx_jax.corpora.writers.huggingface import write_huggingface
from kcx_jax.corpora.writers.iepile import write_iepile
from kcx_jax.corpora.writers.iepile_instructions import write_iepile_instructions
from kcx_jax.corpora.writers.knowcoder import write_knowcoder
from kcx_jax.corpora.writers.label_studio import write_label_studio
from kcx_jax.corpora.writers.options import WriteOptions
from kcx_jax.errors import UsageError
from kcx_jax.schema import Schema


def _write_jsonl(records: Iterable[Record], path: Path, options: WriteOptions) -> int:
    return write_json_lines((record.to_json() for record in records), path, options.overwrite)


WRITERS: dict[str, Callable[[Iterable[Record], Path, WriteOptions], int]] = {
    "jsonl": _write_jsonl,
    "conll": write_conll,
    "brat": write_brat,
    "label-studio": write_label_studio,
    "gliner": write_gliner,
    "iepile": write_iepile,
    "iepile-instructions": write_iepile_instructions,
    "knowcoder": write_knowcoder,
    "huggingface": write_huggingface,
}


def write_records(
    records: Iterable[Record],
    path: str | Path,
    overwrite: bool = False,
    *,
    writer: str = "jsonl",
    allow_loss: bool = False,
    lost: Counter[str] | None = None,
    tag_scheme: str = "bio",
    schema: Schema | None = None,
    template: str | Path | None = None,
) -> int:
    """Write records and return how many. Every record is checked first; the file appears only when all are written.

    Args:
        records: a stream; it is passed once.
        path: the file, written through gzip when its name ends in .gz (not Parquet); for `brat` a folder.
        overwrite: replace `path` if it exists. A folder that is replaced is kept beside it as NAME.replaced.
        writer: a name of `WRITERS`.
        allow_loss: leave out what the format cannot hold, instead of refusing the record.
        lost: counts what was left out, by kind.
        tag_scheme: of `conll`: bio, iobes, bilou or bmes.
        schema: of `iepile-instructions`, which needs one: the classes to ask for.
        template: of `iepile-instructions`: a YAML file with the instruction's sentence by task (NER, RE, EE).

    Raises `UsageError` for an unknown writer or tag scheme, and for a schema that is missing or not taken; `KcxError`
    for a record that is wrong, for one that the format cannot hold, and if `path` exists and `overwrite` is false.
    """
    if writer not in WRITERS:
        raise UsageError(f"unknown writer {writer!r}; known: {', '.join(WRITERS)}")
    if tag_scheme not in TAG_SCHEMES:
        raise UsageError(f"unknown tag scheme {tag_scheme!r}; known: {', '.join(TAG_SCHEMES)}")
    if writer != "iepile-instructions" and (schema is not None or template is not None):
        raise UsageError(f"the writer {writer} takes no schema and no template; iepile-instructions does")
    loss = Loss(writer, allow_loss, Counter() if lost is None else lost)
    sentences = None if template is None else Path(template)
    options = WriteOptions(overwrite, loss, tag_scheme, schema, sentences)
    return WRITERS[writer](_checked(records), Path(path), options)


def _checked(records: Iterable[Record]) -> Iterator[Record]:
    for record in records:
        record.check(f"record {record.id!r}")
        yield record
