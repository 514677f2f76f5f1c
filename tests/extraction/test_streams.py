"""Reading texts, and writing results so that a stopped run goes on."""

import json

import pytest

from kcx_jax.corpora import Record
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.extraction.inputs import read_texts
from kcx_jax.extraction.resume import ResumableOutput

SETTINGS = {"model": "m", "tasks": ["ner"]}


def _read(*lines):
    return list(read_texts(enumerate(lines, 1), "in"))


def test_plain_lines_are_texts_with_their_numbers():
    assert _read("", "Ada.", "  ", " 李白 {") == [Record("2", "und", "Ada."), Record("4", "und", " 李白 {")]


def test_json_lines_keep_what_they_say():
    records = _read('{"text": "Ada."}', '{"text": "李白", "id": "x", "language": "zh", "meta": {"page": 1}}')
    assert records == [Record("1", "und", "Ada."), Record("x", "zh", "李白", meta={"page": 1})]


@pytest.mark.parametrize(
    "bad",
    ['{"text": "A"', "Ada.", "[1]", '{"txt": "A"}', '{"text": "\\ud83d"}', '{"text": 1}', "{" * 100_000],
)
def test_a_bad_line_is_named(bad):
    first, error, last = _read('{"text": "Ada."}', "", bad, '{"text": "Bob."}')
    assert isinstance(error, KcxError)
    assert str(error).startswith("in:3: ")
    assert (first.text, last.id, last.text) == ("Ada.", "4", "Bob."), "those around it are read"


def test_no_line_is_no_text():
    assert _read() == _read(" ") == []


def _texts(count):
    return [Record(str(number), "und", f"text {number}\u2028 李白") for number in range(count)]


def _run(path, records, settings=SETTINGS, stop_after=None, **options):
    """Write each record as its own result; stop after so many, as a killed process would."""
    with ResumableOutput(path, settings, **options) as output:
        for number, record in enumerate(output.remaining(iter(records))):
            if number == stop_after:
                return output.done, number
            output.write(record.to_json())
        output.finish()
    return output.done, None


def test_a_stopped_run_goes_on_where_it_stopped_and_ends_as_if_it_had_not(tmp_path):
    _run(tmp_path / "whole.jsonl", _texts(7))
    path = tmp_path / "deep" / "out.jsonl"
    assert _run(path, _texts(7), stop_after=3) == (0, 3)
    assert not path.exists(), "the name appears when the file is whole"
    with (tmp_path / "deep" / "out.jsonl.partial").open("ab") as partial:
        partial.write(b'{"id": "3", "text": "te')  # killed inside a line
    assert _run(path, _texts(7), stop_after=2) == (3, 2)
    assert _run(path, _texts(7)) == (5, None)
    assert path.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert [p.name for p in path.parent.iterdir()] == ["out.jsonl"]


def test_only_the_same_settings_go_on(tmp_path):
    path = tmp_path / "out.jsonl"
    _run(path, _texts(4), stop_after=2)
    with pytest.raises(UsageError, match=r"other settings \(model\)"):
        _run(path, _texts(4), {**SETTINGS, "model": "n"})
    assert _run(path, _texts(4), {**SETTINGS, "model": "n"}, overwrite=True) == (0, None)


def test_overwriting_goes_on_too_when_it_is_the_same_run(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text("old")
    _run(path, _texts(4), stop_after=2, overwrite=True)
    assert path.read_text() == "old"
    assert _run(path, _texts(4), overwrite=True) == (2, None)
    assert path.read_text(encoding="utf-8").count("\n") == 4


@pytest.mark.parametrize("changed", [_texts(1), [Record("0", "und", "other"), *_texts(4)[1:]]])
def test_another_input_does_not_go_on(tmp_path, changed):
    _run(tmp_path / "out.jsonl", _texts(4), stop_after=2)
    with pytest.raises(KcxError, match="input has changed"):
        _run(tmp_path / "out.jsonl", changed)


def test_a_finished_file_is_not_replaced_unasked(tmp_path):
    path = tmp_path / "out.jsonl"
    _run(path, _texts(2))
    with pytest.raises(KcxError, match="exists already"):
        _run(path, _texts(2))
    assert path.read_text(encoding="utf-8").count("\n") == 2


def test_a_file_that_is_no_run_of_ours_is_left_alone(tmp_path):
    partial = tmp_path / "out.jsonl.partial"
    partial.write_text("something of the user's\n")
    with pytest.raises(UsageError, match="first line is no settings"):
        _run(tmp_path / "out.jsonl", _texts(2))
    assert partial.read_text() == "something of the user's\n"


def test_a_header_that_was_cut_off_is_written_again(tmp_path):
    (tmp_path / "out.jsonl.partial").write_text('{"settings": {"mo')
    assert _run(tmp_path / "out.jsonl", _texts(2)) == (0, None)


def test_a_folder_that_cannot_be_written_is_one_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KcxError, match="cannot write"):
        _run(tmp_path / "file" / "out.jsonl", _texts(1))
    with pytest.raises(UsageError, match="uncompressed"):
        ResumableOutput(tmp_path / "out.jsonl.gz", SETTINGS)


def test_rows_are_json_lines(tmp_path):
    _run(tmp_path / "out.jsonl", _texts(3))
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").split("\n")[:-1]]
    assert [Record.from_json(row) for row in rows] == _texts(3)
