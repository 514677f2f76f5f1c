"""`kcx bench train`: both sides compute the same, and what it reports; not how fast this machine is."""

import json
import os
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache
from typer.testing import CliRunner

from kcx_jax.bench import beside_peft
from kcx_jax.bench.apart import apart
from kcx_jax.bench.beside_peft import PeftBench, bench_peft, shape
from kcx_jax.bench.workload import Lengths, lengths_of, random_params, random_samples
from kcx_jax.cli.app import app
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.models import ModelConfig

TINY = ModelConfig(100, 32, 64, num_layers=2, num_heads=2, family="llama", norm_head=False)
LENGTHS = Lengths(12, ((5, 3), (7, 2), (4, 5), (6, 6)) * 4)
BENCH = PeftBench(TINY, LENGTHS, trees=2, branches=4, samples_at_once=2, steps=1)
SIDES = ("plain", "one_by_one", "peft", "peft_packed")


@pytest.fixture
def peer():
    pytest.importorskip("torch")
    pytest.importorskip("peft")


@pytest.fixture
def together(monkeypatch):
    """All sides in this process: starting others takes longer than what is measured."""
    monkeypatch.setattr(beside_peft, "apart", lambda work, *given, **named: work(*given, **named))
    before = jax.config.jax_compilation_cache_dir
    yield
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()


@pytest.mark.interop
def test_every_side_tunes_alike_and_reads_what_the_ratios_say(peer, together):
    lines: list[str] = []
    report = bench_peft(BENCH, 1, lines.append).to_json()
    assert [line.split(":")[0] for line in lines[1:]] == ["tree", *SIDES]
    ours = report["kcx"]
    for side in SIDES:
        assert min(report[side]["samples_per_second"], report[side]["peak_bytes"]) > 0
        for loss in ("first_loss", "last_loss"):  # the last one is after an update
            assert report[side][loss] == pytest.approx(ours[loss], rel=1e-5)
    assert ours["last_loss"] < ours["first_loss"]
    first = list(report)[2]
    assert report[first]["samples_per_second"] == max(
        report[side]["samples_per_second"] for side in ("peft", "peft_packed")
    )
    assert report["ratio"] == pytest.approx(ours["samples_per_second"] / report[first]["samples_per_second"])

    def tokens(side: str) -> float:
        return report[side]["tokens_per_second"] / report[side]["samples_per_second"]

    for side in SIDES:
        assert tokens(side) / tokens("kcx") == pytest.approx(report["settings"]["token_ratio"])


@pytest.mark.interop
def test_weights_that_differ_are_refused_before_anything_is_timed(peer, together, monkeypatch):
    monkeypatch.setattr(beside_peft, "random_params", partial(random_params, seed=1))
    lines: list[str] = []
    with pytest.raises(KcxError, match=r"loss of tree is 4\.\d+ and that of peft 4\.\d+"):
        bench_peft(BENCH, 1, lines.append)
    assert not lines


def test_what_cannot_be_measured_is_refused(monkeypatch):
    monkeypatch.setattr(beside_peft, "_NEEDED", ())
    with pytest.raises(UsageError, match="8 samples a step are no multiple of the 3 at once"):
        bench_peft(replace(BENCH, samples_at_once=3), 1, print)
    with pytest.raises(UsageError, match="8 sentences are no 16"):
        bench_peft(replace(BENCH, trees=4), 1, print)
    with pytest.raises(UsageError, match="multiple of 64, found 500"):
        shape(500, 2)


def test_a_missing_peer_is_named_with_what_to_install(monkeypatch):
    monkeypatch.setattr(beside_peft, "_NEEDED", ("json", "no_torch", "no_peft"))
    result = CliRunner().invoke(app, ["bench", "train", "--peer", "peft"])
    assert isinstance(result.exception, UsageError)
    assert "needs no_torch and no_peft" in str(result.exception)
    assert "kcx-jax[model,interop]" in str(result.exception)


@pytest.mark.interop
def test_the_command_writes_json_once(peer, together, monkeypatch, tmp_path):
    monkeypatch.setattr(beside_peft, "shape", lambda hidden, layers: TINY)
    given = ["bench", "train", "--schema-tokens", "9", "--branches", "2", "--trees", "2", "--steps", "1"]
    result = CliRunner().invoke(app, [*given, "--json", str(tmp_path / "x.json")])
    assert result.exit_code == 0, result.exception
    assert "times the peer's samples/s" in result.stdout
    assert json.loads((tmp_path / "x.json").read_text())["settings"]["schema_tokens"] == 9
    assert "exists already" in str(
        CliRunner().invoke(app, [*given, "--json", str(tmp_path / "x.json")]).exception
    )


def test_samples_are_spread_evenly_over_the_lengths():
    lengths = lengths_of("wikineural-en", 328)
    assert lengths.prefix == 328
    some = lengths.spread(16)
    assert len(some.branches) == 16
    ordered = sorted(map(sum, lengths.branches))
    assert list(map(sum, some.branches)) == ordered[::32]
    ids, answer = random_samples(some, 8000)[0]
    assert (len(ids), answer) == (328 + sum(some.branches[0]), some.branches[0][1])


def test_rows_of_the_peer_hold_every_sample_and_no_other_target():
    pytest.importorskip("torch")
    from kcx_jax.bench.torch_steps import NO_TARGET, packed, padded

    samples = [([11, 12, 13, 14], 2), ([21, 22, 23], 1)]
    rows = padded(samples)
    assert rows["input_ids"].tolist() == [[11, 12, 13, 14], [21, 22, 23, 0]]
    assert rows["labels"].tolist() == [
        [NO_TARGET, NO_TARGET, 13, 14],
        [NO_TARGET, NO_TARGET, 23, NO_TARGET],
    ]
    row = packed(samples)
    assert row["input_ids"].tolist() == [[11, 12, 13, 14, 21, 22, 23]]
    assert row["position_ids"].tolist() == [[0, 1, 2, 3, 0, 1, 2]]
    np.testing.assert_array_equal(row["labels"][0] == NO_TARGET, [1, 1, 0, 0, 1, 1, 0])


def test_a_killed_process_is_one_message():
    assert apart(os.getpid) != os.getpid()
    with pytest.raises(KcxError, match="was killed"):
        apart(os.abort)
