"""Cases for people who have no annotation tool: JSON Lines, and a table for a spreadsheet.

A line of JSON is a case; its ``decision`` is there to be filled in. In the table a case is a row for its sentence (item
"sentence") and one for each span (its id); the column ``decision`` is there to be filled in. A case without a decided
sentence was not decided.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from kcx_jax.corpora.json_object import JsonObject
from kcx_jax.corpora.jsonl import open_output, read_json_lines, write_json_lines
from kcx_jax.corpora.lines import read_text
from kcx_jax.corpora.writers.options import utf8
from kcx_jax.errors import KcxError
from kcx_jax.parallel.review.cases import Case
from kcx_jax.parallel.review.decisions import Decision
from kcx_jax.parallel.translation.spans import source_spans

CANDIDATES = 3
"""How many drafts a person is shown at most."""
SENTENCE = "sentence"
_SHOWN = [f"candidate_{number}" for number in range(1, CANDIDATES + 1)]
COLUMNS = ["id", "item", "is", "source", *_SHOWN, "decision", "who", "when", "problems"]


def write_lines(cases: Iterable[Case], target: str, path: Path, overwrite: bool) -> int:
    """Write the cases, to be translated into `target`, as JSON Lines; returns how many."""
    return write_json_lines((_line(case, target) for case in cases), path, overwrite)


def _line(case: Case, target: str) -> dict[str, Any]:
    spans = source_spans(case.record)
    return {
        "id": case.record.id,
        "source_language": case.record.language,
        "target_language": target,
        "sentence": case.record.text,
        "spans": [{"id": span.id, "is": span.role, "text": span.text} for span in spans],
        "problems": list(case.problems),
        "candidates": [
            {"sentence": draft.sentence, "spans": dict(draft.texts)} for draft in case.candidates[:CANDIDATES]
        ],
        "decision": {"sentence": "", "spans": {span.id: "" for span in spans}},
        "who": "",
        "when": "",
    }


def read_lines(path: Path) -> Iterator[Decision]:
    """What was decided in a file of `write_lines`; `KcxError` naming line and key for what is no such file."""
    for where, value in read_json_lines(path):
        row = JsonObject(value, where)
        decision = JsonObject(row.get("decision"), where, "decision")
        spans = JsonObject(decision.get("spans"), where, "decision.spans")
        texts = {id: spans.string(id, empty=True) for id in spans.value}
        if sentence := decision.string("sentence", empty=True):
            who, when = (row.string(key, empty=True) for key in ("who", "when"))
            yield Decision(row.string("id"), sentence, texts, who=who, when=when, tool="jsonl")


def write_table(cases: Iterable[Case], path: Path, overwrite: bool) -> int:
    """Write the cases as CSV and return how many; `KcxError` naming the record for a lone surrogate."""
    count = 0
    with open_output(path, overwrite) as handle:
        handle.write("\ufeff".encode())  # by it spreadsheets know UTF-8
        handle.write(_csv([COLUMNS]).encode())
        for case in cases:
            handle.write(utf8(_csv(_rows(case)), case.record))
            count += 1
    return count


def _rows(case: Case) -> Iterator[list[str]]:
    drafts = case.candidates[:CANDIDATES]
    unused = [""] * (CANDIDATES - len(drafts))
    sentences = [draft.sentence for draft in drafts]
    told = "\n".join(case.problems)
    yield [case.record.id, SENTENCE, "", case.record.text, *sentences, *unused, "", "", "", told]
    for span in source_spans(case.record):
        texts = [draft.texts.get(span.id, "") for draft in drafts]
        yield [case.record.id, span.id, span.role, span.text, *texts, *unused, "", "", "", ""]


def _csv(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def read_table(path: Path) -> Iterator[Decision]:
    """What was decided in a file of `write_table`; `KcxError` naming line and column for what is no such file."""
    rows = csv.DictReader(io.StringIO(read_text(path).removeprefix("\ufeff"), newline=""), strict=True)
    found: dict[str, dict[str, dict[str, str]]] = {}
    try:
        needed = {"id", "item", "decision", "who", "when"}
        if missing := needed - set(rows.fieldnames or ()):
            raise KcxError(f"{path}:1: has no column {', '.join(sorted(missing))}")
        for row in rows:
            if None in row or None in row.values():
                than = "more" if None in row else "fewer"
                raise KcxError(f"{path}:{rows.line_num}: has {than} cells than the head has columns")
            items = found.setdefault(row["id"], {})
            if row["item"] in items:
                raise KcxError(f"{path}:{rows.line_num}: {row['id']!r} has the item {row['item']!r} twice")
            items[row["item"]] = row
    except csv.Error as error:
        raise KcxError(f"{path}:{rows.line_num}: no CSV: {error}") from error
    for id, items in found.items():
        sentence = items.pop(SENTENCE, None)
        if sentence is None:
            raise KcxError(f"{path}: {id!r} has no row whose item is {SENTENCE!r}")
        if sentence["decision"]:
            texts = {item: row["decision"] for item, row in items.items()}
            yield Decision(
                id, sentence["decision"], texts, who=sentence["who"], when=sentence["when"], tool="csv"
            )
