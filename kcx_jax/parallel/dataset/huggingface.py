"""Pairs as a Hugging Face dataset: one folder with a Parquet file and its card; needs the extra ``hub``.

Columns: ``id``; ``source`` and ``target``, each a record with the keys it has on disk (`meta` as a JSON string); where
the pair comes from (``run_id``, ``stage``, ``model``, ``round``, ``calls``, ``rungs``); the whole provenance as JSON.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kcx_jax.corpora import Benchmark, ParallelRecord
from kcx_jax.corpora.writers.huggingface import record_columns, record_row, write_parquet
from kcx_jax.corpora.writers.options import utf8
from kcx_jax.errors import KcxError
from kcx_jax.files import new_folder
from kcx_jax.parallel.dataset.card import card

DATA, CARD = "data/train.parquet", "README.md"
_KINDS: dict[str, type] = {"stage": str, "model": str, "round": int, "calls": int, "rungs": dict}


def write_dataset(
    pairs: Sequence[ParallelRecord],
    folder: Path,
    run_id: str | None = None,
    sources: Sequence[Benchmark] = (),
    overwrite: bool = False,
) -> int:
    """Write `folder` with the pairs and their card, and return how many pairs.

    `sources` are the corpora that the pairs were made from, for the card. A folder that `overwrite` replaces is kept
    beside it. Raises `KcxError` naming the pair for what is inconsistent or what Parquet cannot hold.
    """
    import pyarrow

    with new_folder(folder, overwrite) as work:
        rows = (_row(pair, run_id) for pair in pairs)
        count = write_parquet(rows, pyarrow.schema(_columns()), work / DATA, overwrite=False)
        (work / CARD).write_text(card(pairs, DATA, run_id, sources), encoding="utf-8")
    return count


def _columns() -> list[tuple[str, Any]]:
    import pyarrow as pa

    side = pa.struct(record_columns())
    rungs = pa.list_(pa.struct([("rung", pa.string()), ("count", pa.int64())]))
    return [
        *(("id", pa.string()), ("source", side), ("target", side)),
        *((key, pa.string()) for key in ("run_id", "stage", "model")),
        *(("round", pa.int64()), ("calls", pa.int64()), ("rungs", rungs), ("provenance", pa.string())),
    ]


def _row(pair: ParallelRecord, run_id: str | None) -> dict[str, Any]:
    for side, record in (("source", pair.source), ("target", pair.target)):
        record.check(f"pair {pair.id!r}, {side}")
    told = {key: _told(pair, key, kind) for key, kind in _KINDS.items()}
    rungs = told["rungs"]
    if rungs is not None:
        told["rungs"] = [
            {"rung": rung, "count": _number(pair, "rungs", count)} for rung, count in rungs.items()
        ]
    try:
        provenance = json.dumps(pair.provenance, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise KcxError(f"pair {pair.id!r}: provenance cannot be written as JSON: {error}") from error
    utf8(json.dumps([pair.id, told], ensure_ascii=False), pair.source)
    sides = {"source": record_row(pair.source), "target": record_row(pair.target)}
    return {"id": pair.id, **sides, "run_id": run_id, **told, "provenance": provenance}


def _told(pair: ParallelRecord, key: str, kind: type) -> Any:
    value = pair.provenance.get(key)
    if value is not None and kind is int:
        return _number(pair, key, value)
    if value is not None and type(value) is not kind:
        raise KcxError(f"pair {pair.id!r}: provenance.{key} is {value!r}, which is no {kind.__name__}")
    return value


def _number(pair: ParallelRecord, key: str, value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise KcxError(f"pair {pair.id!r}: provenance.{key} holds {value!r}, which counts nothing")
    return value
