"""`huggingface`: one Parquet file that `datasets.load_dataset("parquet", ...)` reads; needs the extra ``hub``.

Columns are the keys of the record on disk, nested as there; `meta` is a JSON string, as its shape differs from record
to record. It holds everything but lone surrogates.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from kcx_jax.corpora.record import Record
from kcx_jax.corpora.writers.options import WriteOptions, utf8
from kcx_jax.errors import KcxError
from kcx_jax.files import atomic_write

_BATCH = 1000


def write_huggingface(records: Iterable[Record], path: Path, options: WriteOptions) -> int:
    """Write the records in groups of rows; `KcxError` naming the record for what Parquet cannot hold."""
    import pyarrow

    rows = (record_row(record) for record in records)
    return write_parquet(rows, pyarrow.schema(record_columns()), path, options.overwrite)


def write_parquet(rows: Iterator[dict[str, Any]], schema: Any, path: Path, overwrite: bool) -> int:
    """Write rows that fit the pyarrow `schema`, and return how many; needs no more memory for more of them."""
    import pyarrow
    from pyarrow import parquet

    count = 0
    with atomic_write(path, "wb", overwrite) as handle, parquet.ParquetWriter(handle, schema) as file:
        for first in rows:
            batch = [first, *islice(rows, _BATCH - 1)]
            file.write_table(pyarrow.Table.from_pylist(batch, schema))
            count += len(batch)
    return count


def record_row(record: Record) -> dict[str, Any]:
    """The record as a row of `record_columns`; `KcxError` for what JSON or UTF-8 cannot hold."""
    row = record.to_json()
    utf8(json.dumps({key: value for key, value in row.items() if key != "meta"}, ensure_ascii=False), record)
    try:
        return row | {"meta": json.dumps(record.meta, allow_nan=False)}
    except (TypeError, ValueError) as error:
        raise KcxError(f"record {record.id!r} cannot be written: meta: {error}") from error


def record_columns() -> list[tuple[str, Any]]:
    """The columns of a record and their pyarrow types."""
    import pyarrow as pa

    parts = pa.list_(pa.list_(pa.int64()))
    span = [("start", pa.int64()), ("end", pa.int64()), ("text", pa.string()), ("spans", parts)]
    argument = [("role", pa.string()), ("entity", pa.string()), *span]
    relation = [(key, pa.string()) for key in ("type", "head", "tail")]
    event = [
        ("type", pa.string()),
        ("trigger", pa.struct(span)),
        ("arguments", pa.list_(pa.struct(argument))),
    ]
    return [
        *((key, pa.string()) for key in ("id", "language", "text")),
        ("entities", pa.list_(pa.struct([("id", pa.string()), ("type", pa.string()), *span]))),
        ("relations", pa.list_(pa.struct(relation))),
        ("events", pa.list_(pa.struct(event))),
        ("meta", pa.string()),
    ]
