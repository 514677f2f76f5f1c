"""`kcx bench load`: what it measures and reports, not how fast this machine is."""

import json

import pytest
from typer.testing import CliRunner

from kcx_jax.bench.load import bench_load
from kcx_jax.bench.report import in_turn
from kcx_jax.cli.app import app


@pytest.fixture
def tiny(shared):
    return shared / "fixtures" / "baichuan2_tiny" / "base_bf16_bin_sharded"


@pytest.mark.parametrize("cold", [False, True])
def test_all_sides_read_the_same_bytes(tiny, cold):
    lines = []
    report = bench_load(tiny, None, rounds=3, cold=cold, say=lines.append).to_json()
    size = sum(file.stat().st_size for file in tiny.glob("*.bin"))
    assert report["settings"]["bytes"] == size
    for side in ("kcx", "plain_read", "read_and_kept"):
        assert report[side]["seconds"] > 0
        assert report[side]["peak_anonymous_bytes"] >= 0
    ours, plain = (report[side]["megabytes_per_second"] for side in ("kcx", "plain_read"))
    assert report["ratio"] == pytest.approx(ours / plain)
    assert len(lines) == 9 + (not cold)


def test_sides_are_measured_in_turn_and_their_medians_taken():
    seen = []

    def side(name, figures):
        values = iter(figures)

        def measure():
            seen.append(name)
            return {"seconds": next(values), "peak_bytes": 10 * len(seen)}

        return measure

    found = in_turn(3, side("a", [5, 1, 2]), side("b", [7, 9, 8]))
    assert seen == ["a", "b"] * 3
    assert [one["seconds"] for one in found] == [2, 8]
    assert [one["peak_bytes"] for one in found] == [50, 60]  # of peaks the highest


def test_the_command_writes_json_once(tiny, tmp_path):
    arguments = ["bench", "load", "--model", str(tiny), "--json", str(tmp_path / "x.json")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert "times the speed of the plain read" in result.stdout
    assert json.loads((tmp_path / "x.json").read_text())["settings"]["cold"] is False
    assert "exists already" in str(CliRunner().invoke(app, arguments).exception)
