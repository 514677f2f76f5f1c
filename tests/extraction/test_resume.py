"""Which stopped runs are continued, begun anew or refused."""

import pytest

from kcx_jax.errors import UsageError
from kcx_jax.extraction.resume import ResumableOutput


def test_a_stopped_run_without_a_result_is_begun_anew(tmp_path):
    path = tmp_path / "out.jsonl"
    with ResumableOutput(path, {"model": "a"}):
        pass
    with ResumableOutput(path, {"model": "b"}) as output:
        output.write({"id": "0", "text": "x"})
    with pytest.raises(UsageError, match=r"other settings \(model\)"), ResumableOutput(path, {"model": "c"}):
        pass
