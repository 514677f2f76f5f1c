"""200,000 characters in four languages: every offset is true, nothing is lost, and memory stays what it is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kcx_jax.corpora import Record
from kcx_jax.extraction import Extractor, Reader
from kcx_jax.extraction.graphemes import is_border
from kcx_jax.schema import load_schema
from kcx_jax.testing.llm_server import ScriptedServer

from .long_documents import CLASSES, LENGTH, document
from .oracle import Oracle, occurrences

LANGUAGES = ("en", "zh", "ar", "th")
KCX = [sys.executable, "-c", "from kcx_jax.cli import main; main()"]
SCHEMA = load_schema(CLASSES)


def _truth(text, names):
    return sorted((*span, label.lower()) for name, label in names.items() for span in occurrences(text, name))


def _found(record, labels=str.lower):
    return [(each.start, each.end, labels(each.type)) for each in record.entities]


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_that_is_named_in_a_long_document_is_found_where_it_stands(language, shared):
    text, names = document(language, shared)
    oracle = Oracle(names)
    (result,) = Extractor(oracle).extract([text], SCHEMA)
    truth = _truth(text, names)
    assert len(truth) > 500
    assert _found(result.record) == truth
    assert all(text[each.start : each.end] == each.text for each in result.entities)
    assert not result.problems
    assert len(text) == LENGTH
    windows = Reader(SCHEMA).read(Record("0", language, text)).windows
    assert 200 < len(windows) == len(oracle.asked) < 400
    assert all(is_border(text, place) for window in windows for place in window)
    assert all(text[place - 1 : place + 1] != "\r\n" for window in windows for place in window)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_long_document_through_an_endpoint_and_the_command_line(language, shared, tmp_path):
    text, names = document(language, shared)
    oracle, record = Oracle(names), Record("doc", language, text)
    answers = {ask.text: oracle.answer(ask) for ask in Reader(SCHEMA).read(record).asks}
    (tmp_path / "in.jsonl").write_text(json.dumps(record.to_json()), encoding="utf-8")
    with ScriptedServer(answers) as server:
        words = ["--input", "in.jsonl", "--output", "out.jsonl", "--labels", ",".join(CLASSES)]
        words += ["--chat-model", "any", "--base-url", server.base_url]
        done = subprocess.run(
            [*KCX, "extract", *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert server.bill.answers == len(answers)
    row = json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"))
    assert row["text"] == text
    assert _found(Record.from_json(row)) == _truth(text, names)
    assert " 0 problems" in done.stderr


MEASURE = """
import json, resource, sys
sys.path.insert(0, sys.argv[1])
from oracle import Oracle
from kcx_jax.extraction import Extractor
text, names, labels, copies, times = json.load(sys.stdin)
results = Extractor(Oracle(names)).extract((text * times for _ in range(copies)), labels)
print(sum(len(result.entities) for result in results), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def _peak(text, names, copies, times):
    """Entities found, and the most memory that a process took, in MB, for so many documents of so many texts."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(Path(__file__).parent)],
        input=json.dumps([text, names, CLASSES, copies, times]), capture_output=True, text=True, check=True,
    )  # fmt: skip
    found, kilobytes = map(int, done.stdout.split())
    return found, kilobytes / 1024


@pytest.mark.parametrize("language", LANGUAGES)
def test_memory_does_not_grow_with_what_was_read(language, shared):
    text, names = document(language, shared, 100_000)
    found, one = _peak(text, names, 1, 1)
    twice, longer = _peak(text, names, 1, 2)
    many, more = _peak(text, names, 8, 1)
    assert (2 * found, 8 * found) == (twice, many)
    # A document's own text, windows and results; each further one of a stream takes the place of the one before.
    assert longer - one < 20, (one, longer)
    assert more - one < 12, (one, more)
