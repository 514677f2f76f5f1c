"""`parquet`: Parquet files, and the Arrow folders that Hugging Face `datasets` saves (`save_to_disk`).

Two kinds of columns are known: `tokens` (also `words`) with one tag a token under `ner_tags` (also `tags`, `labels`),
as strings or as numbers whose names stand in the file's Hugging Face metadata; and this project's records (`text`, and
`entities`, `relations` or `events` as lists of structs). `meta.split` is what the folder, or a column `split`, says of
itself. The extra `hub` brings pyarrow.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from kcx_jax.corpora.json_object import JsonObject
from kcx_jax.corpora.lines import read_opening
from kcx_jax.corpora.readers.columns import is_tag, record_id, tagged_spans
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.relations import Draft, token_list
from kcx_jax.corpora.record import Record
from kcx_jax.errors import KcxError

MAGIC = b"PAR1"
_TOKENS, _TAGS = ("tokens", "words"), ("ner_tags", "tags", "labels")
_LAYERS = ("entities", "relations", "events")


def is_dataset_folder(path: Path) -> bool:
    """Whether `datasets` saved this folder."""
    return (path / "dataset_info.json").is_file() and (path / "state.json").is_file()


def read_parquet(path: Path, options: Options) -> Iterator[Record]:
    """The rows of a file or folder; `KcxError` naming the columns when they are of no known kind."""
    names, rows = _open(path)
    token, tag = _first(_TOKENS, names), _first(_TAGS, names)
    tagged = token is not None and tag is not None
    if not tagged and not ("text" in names and any(layer in names for layer in _LAYERS)):
        raise KcxError(
            f"{path}: the columns {', '.join(names)} are neither tokens with ner_tags nor a text with entities, "
            "relations or events"
        )
    saved = _saved_split(path)
    for index, row in enumerate(rows):
        where = f"{path}: row {index + 1}"
        if token is not None and tag is not None:
            record = _tokens(row[token], row[tag], names[tag], path, where, index, options)
        else:
            record = _record(row, path, where, index, options)
        split = row.get("split") or saved
        said = {"split": split} if isinstance(split, str) else {}
        yield replace(record, meta=said | record.meta)


def is_parquet(path: Path) -> bool:
    """Whether the file begins as Parquet does; `KcxError` when it cannot be read."""
    return read_opening(path, len(MAGIC)) == MAGIC


def try_texts(path: Path, content: IO[bytes] | None = None) -> Iterator[Record | KcxError]:
    """The rows of a file with a column `text`, annotated or not; one that is no record comes as its error.

    A row without an id has its number, from 1 on. With `content`, `path` stands for it in messages alone. Raises
    `KcxError` for a file without that column.
    """
    names, rows = _open(path, content)
    if "text" not in names:
        raise KcxError(f"{path}: no column is called text; there are {', '.join(names)}")
    for number, row in enumerate(rows, 1):
        own = number if row.get("id") is None else row["id"]
        try:
            yield _record({**row, "id": str(own)}, path, f"{path}: row {number}", number - 1, Options())
        except KcxError as error:
            yield error


def _saved_split(path: Path) -> str | None:
    """The split that a folder of `save_to_disk` says it is."""
    state = json.loads((path / "state.json").read_text()) if path.is_dir() else {}
    return state.get("_split")


def _first(wanted: Sequence[str], names: Mapping[str, Any]) -> str | None:
    return next((name for name in wanted if name in names), None)


def _open(
    path: Path, content: IO[bytes] | None = None
) -> tuple[dict[str, list[str] | None], Iterator[dict[str, Any]]]:
    """The columns, each with the names of its class labels if it has any, and the rows."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise KcxError(f"{path}: reading it needs pyarrow: pip install 'kcx-jax[hub]'") from error
    try:
        if path.is_dir():
            files = [
                path / entry["filename"]
                for entry in json.loads((path / "state.json").read_text())["_data_files"]
            ]
            schema = pa.ipc.open_stream(pa.memory_map(str(files[0]))).schema
            batches = (batch for file in files for batch in pa.ipc.open_stream(pa.memory_map(str(file))))
        else:
            file = pq.ParquetFile(path if content is None else content)
            schema, batches = file.schema_arrow, file.iter_batches(1024)
    except (pa.ArrowException, OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise KcxError(f"{path}: cannot be read: {error}") from error
    return _columns(schema), _rows(path, batches, pa.ArrowException)


def _rows(path: Path, batches: Iterator[Any], failure: type[Exception]) -> Iterator[dict[str, Any]]:
    try:
        for batch in batches:
            yield from batch.to_pylist()
    except (failure, OSError) as error:
        raise KcxError(f"{path}: cannot be read on: {error}") from error


def _columns(schema: Any) -> dict[str, list[str] | None]:
    try:
        info = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = info.get("info", {}).get("features", {})
    except (ValueError, AttributeError, RecursionError):
        features = {}
    return {
        name: _class_names(features.get(name) if isinstance(features, dict) else None)
        for name in schema.names
    }


def _class_names(feature: Any) -> list[str] | None:
    """The names of a ClassLabel, or of a list of such."""
    for _ in range(3):
        if isinstance(feature, list) and feature:
            feature = feature[0]
        if not isinstance(feature, dict):
            return None
        names = feature.get("names")
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return names
        feature = feature.get("feature")
    return None


def _tokens(
    tokens: Any, tags: Any, names: list[str] | None, path: Path, where: str, index: int, options: Options
) -> Record:
    words = token_list(tokens, f"{where}: tokens")
    if not isinstance(tags, list) or len(tags) != len(words):
        raise KcxError(f"{where}: {len(words)} tokens, but not as many tags")
    named = []
    for tag in tags:
        if isinstance(tag, int) and names is not None and 0 <= tag < len(names):
            named.append(names[tag])
        elif isinstance(tag, str):
            named.append(tag)
        else:
            raise KcxError(
                f"{where}: the tag {tag!r} has no name; save the dataset with its ClassLabel feature"
            )
    if wrong := [tag for tag in named if not is_tag(tag)]:
        raise KcxError(f"{where}: {wrong[0]!r} is no tag (expected O, or a label behind B-, I-, ...)")
    draft = Draft.of_tokens(path, where, words, options)
    for first, end, label in tagged_spans(named):
        draft.mention(draft.token_span(first, end, "tags"), label, "tags")
    return draft.record(record_id(path, index), relations=False)


def _record(row: dict[str, Any], path: Path, where: str, index: int, options: Options) -> Record:
    value = {key: _without_nothing(item) for key, item in row.items() if item is not None}
    value.setdefault("id", record_id(path, index))
    value.setdefault("language", options.tag)
    meta = value.get("meta")
    if isinstance(meta, str):
        try:
            value["meta"] = json.loads(meta)
        except (ValueError, RecursionError) as error:
            raise JsonObject(value, where).error("meta", f"is no JSON: {error}") from error
    known = ("id", "language", "text", *_LAYERS, "meta")
    return Record.from_json({key: item for key, item in value.items() if key in known}, where)


def _without_nothing(value: Any) -> Any:
    """Structs without the fields that are null in this row (Parquet has one type for all of them)."""
    if isinstance(value, dict):
        return {key: _without_nothing(item) for key, item in value.items() if item is not None}
    return [_without_nothing(item) for item in value] if isinstance(value, list) else value
