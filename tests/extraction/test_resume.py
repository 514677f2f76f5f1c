"""Which stopped runs are continued, begun anew or refused."""

import subprocess
import sys

import pytest

from kcx_jax.corpora import Record
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.extraction.resume import ResumableOutput


def test_a_stopped_run_without_a_result_is_begun_anew(tmp_path):
    path = tmp_path / "out.jsonl"
    with ResumableOutput(path, {"model": "a"}):
        pass
    with ResumableOutput(path, {"model": "b"}) as output:
        output.write({"id": "0", "text": "x"})
    with pytest.raises(UsageError, match=r"other settings \(model\)"), ResumableOutput(path, {"model": "c"}):
        pass


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("model", ["a", "b"])
def test_a_second_run_is_refused_while_the_first_writes(tmp_path, model, overwrite):
    path = tmp_path / "out.jsonl"
    records = [Record(str(number), "und", f"text {number}") for number in range(3)]
    with ResumableOutput(path, {"model": "a"}) as output:
        for record in output.remaining(iter(records)):
            with (
                pytest.raises(KcxError, match="another run writes"),
                ResumableOutput(path, {"model": model}, overwrite),
            ):
                pass
            output.write(record.to_json())
        output.finish()
    assert path.read_text().count("\n") == 3
    assert [each.name for each in tmp_path.iterdir()] == ["out.jsonl"]


def test_a_run_that_ends_while_the_next_begins_is_not_begun_again(tmp_path, monkeypatch):
    path = tmp_path / "out.jsonl"
    first, second = ResumableOutput(path, {"model": "a"}), ResumableOutput(path, {"model": "a"})
    first.__enter__()

    def end_first(handle, refusal):
        first.finish()

    with monkeypatch.context() as patch:
        patch.setattr("kcx_jax.extraction.resume.lock_alone", end_first)
        with pytest.raises(KcxError, match="has just finished"), second:
            pass
    first.__exit__()
    assert [each.name for each in tmp_path.iterdir()] == ["out.jsonl"]


FULL = """
import resource, sys
from pathlib import Path
from kcx_jax.errors import KcxError
from kcx_jax.extraction.resume import ResumableOutput
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    with ResumableOutput(Path(sys.argv[1]), {"model": "a"}) as output:
        output.write({"text": "x" * 100})
except KcxError as error:
    print(error)
"""


@pytest.mark.parametrize("room", [0, 50])
def test_a_full_disk_is_said_with_the_name_of_the_file(tmp_path, room):
    """At the header, and at a result."""
    path = tmp_path / "out.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", FULL, path, str(room)], capture_output=True, text=True, timeout=300
    )
    assert done.stdout == f"cannot write {path}.partial: File too large\n", done.stderr
