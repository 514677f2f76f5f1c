"""`kcx bench decode`: every engine writes the same tokens, and what it reports; not how fast this machine is."""

import json
import math
import os
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.experimental.compilation_cache import compilation_cache
from typer.testing import CliRunner

from kcx_jax.bench import beside_decoders, conditions, decode
from kcx_jax.bench.answer_work import Work
from kcx_jax.bench.apart import apart
from kcx_jax.bench.beside_decoders import HF, LLAMACPP, DecodeBench, bench_beside
from kcx_jax.bench.conditions import alike
from kcx_jax.bench.llamacpp_answers import _paired, by_llamacpp, write_gguf
from kcx_jax.bench.own_answers import gap
from kcx_jax.bench.torch_answers import by_transformers
from kcx_jax.bench.workload import Lengths, random_params, random_tree
from kcx_jax.cli.app import app
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.models import ModelConfig

TINY = ModelConfig(300, 32, 64, num_layers=2, num_heads=2, family="llama", norm_head=False)
_TREE = random_tree(Lengths(20, ((5, 4), (9, 2), (3, 7), (9, 3), (6, 5))), TINY.vocab_size)
CONTEXTS = [branch.context.tolist() for branch in _TREE.branches]
GOLD = [[*branch.answer.tolist(), TINY.eos_id] for branch in _TREE.branches]
FREE = Work(_TREE.prefix.tolist(), CONTEXTS, new_tokens=6, rows=2)  # contexts of several lengths in a batch
BENCH = DecodeBench(TINY, FREE)


@pytest.fixture
def torch():
    pytest.importorskip("torch")


@pytest.fixture
def llama():
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is built for races alone")
    pytest.importorskip("gguf")


def strong_params(config, dtype, seed=0):
    """Random weights with which a model of so few channels looks at places and not at everything alike."""
    params = random_params(config, dtype, seed)
    return jax.tree.map(lambda leaf: leaf if (leaf == 1).all() else 10 * leaf, params)


@pytest.fixture
def together(monkeypatch):
    """All sides in this process: starting others takes longer than what is measured."""
    for module in (beside_decoders, decode):
        monkeypatch.setattr(module, "random_params", strong_params)
    monkeypatch.setattr(conditions, "THREADS", 1)  # two that wait for each other are slow beside other tests
    monkeypatch.setattr(beside_decoders, "apart", lambda work, *given, **named: work(*given, **named))
    before = jax.config.jax_compilation_cache_dir
    yield
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()


def check(bench: DecodeBench, peer: str) -> None:
    """One round beside `peer`, all tokens equal and the report whole."""
    lines: list[str] = []
    report = bench_beside(bench, [peer], 1, lines.append).to_json()
    assert list(report) == ["settings", "kcx", peer, "ratio"]
    assert [line.split(":")[0].split()[0] for line in lines] == ["of", "kcx", peer]
    for side in ("kcx", peer):
        found = report[side]
        assert found["equal_answers"] == len(CONTEXTS)
        assert found["sentences_per_second"] == pytest.approx(len(CONTEXTS) / found["seconds"])
        assert [each["seconds"] for each in found["rounds"]] == [found["seconds"]]
    speeds = [report[side]["sentences_per_second"] for side in ("kcx", peer)]
    assert report["ratio"] == pytest.approx(speeds[0] / speeds[1])
    assert json.loads(json.dumps(report)) == report


@pytest.mark.interop
def test_transformers_writes_the_same_tokens_from_a_shared_prefix(torch, together):
    check(BENCH, HF)


@pytest.mark.interop
def test_weights_that_differ_are_refused_before_anything_is_timed(torch, together, monkeypatch):
    monkeypatch.setattr(beside_decoders, "random_params", partial(strong_params, seed=1))
    lines: list[str] = []
    with pytest.raises(
        KcxError, match=r"hf writes other tokens: \d of 5 answers are ours \(logits differ by"
    ):
        bench_beside(BENCH, [HF], 1, lines.append)
    assert not lines


@pytest.mark.interop
def test_near_ties_are_no_other_tokens_but_counted(torch, together, monkeypatch):
    monkeypatch.setattr(beside_decoders, "random_params", partial(strong_params, seed=1))
    monkeypatch.setattr(beside_decoders, "NEAR_TIE", math.inf)
    assert bench_beside(BENCH, [HF], 1, print).peers[HF]["equal_answers"] < len(CONTEXTS)


def test_llamacpp_writes_the_same_tokens_from_a_shared_prefix(llama, together):
    check(BENCH, LLAMACPP)


@pytest.mark.interop
def test_transformers_is_led_to_gold_answers_of_any_length(torch, tmp_path):
    gold = led(tmp_path)
    assert by_transformers(tmp_path, 0).answers == gold


def test_llamacpp_is_led_to_gold_answers_of_any_length(llama, tmp_path):
    gold = led(tmp_path)
    write_gguf(tmp_path)
    assert by_llamacpp(tmp_path, 0).answers == gold


def led(folder) -> list[list[int]]:
    """The tiny model and work with gold answers in a folder."""
    work = replace(FREE, new_tokens=max(map(len, GOLD)), gold=GOLD)
    beside_decoders._write(folder, TINY, work)
    assert Work.read(folder) == work
    return GOLD


def test_an_end_among_free_answers_is_refused(together, monkeypatch):
    monkeypatch.setattr(beside_decoders, "_NEEDED", {HF: ((), "")})
    monkeypatch.setattr(beside_decoders, "by_transformers", lambda folder, times: None)
    answers = {"kcx": [[1, 2, 3, 4, 5, 6]] * 4 + [[1, 2]]}
    with pytest.raises(KcxError, match="wrote the end token"):
        beside_decoders._refuse_other_tokens(None, BENCH, answers)


def test_the_gap_of_logits_is_that_of_the_exported_model(tmp_path):
    """The same two tokens the other way round are as far apart, a token and itself not at all."""
    beside_decoders._write(tmp_path, TINY, FREE)
    one, other, none = gap(tmp_path, TINY, [(1, [7, 8], 20, 30), (1, [7, 8], 30, 20), (1, [7, 8], 30, 30)])
    assert one == other > none == 0


@pytest.mark.parametrize("peer", [HF, LLAMACPP])
def test_a_missing_peer_is_named_with_what_to_install(peer, monkeypatch):
    names, how = beside_decoders._NEEDED[peer]
    monkeypatch.setitem(beside_decoders._NEEDED, peer, (("json", *(f"no_{name}" for name in names)), how))
    result = CliRunner().invoke(app, ["bench", "decode", "--peer", peer])
    assert isinstance(result.exception, UsageError)
    assert f"beside {peer} needs {' and '.join(f'no_{name}' for name in names)}. " in str(result.exception)
    assert "pip install" in str(result.exception)


@pytest.mark.parametrize("peers", ["vllm", "hf,", ""])
def test_peers_are_known(peers):
    result = CliRunner().invoke(app, ["bench", "decode", "--peer", peers])
    assert "peers are hf and llamacpp, found" in str(result.exception)


def test_a_file_of_figures_is_not_written_over_and_no_option_promised_that_would(tmp_path):
    (tmp_path / "x.json").write_text("kept")
    result = CliRunner().invoke(app, ["bench", "decode", "--json", str(tmp_path / "x.json")])
    assert str(result.exception).endswith("x.json exists already. Choose another --json.")
    assert (tmp_path / "x.json").read_text() == "kept"


@pytest.mark.interop
def test_the_command_prints_every_side_and_writes_json(torch, together, monkeypatch, tmp_path):
    monkeypatch.setattr(beside_decoders, "free_bench", lambda rows: BENCH)
    result = CliRunner().invoke(app, ["bench", "decode", "--json", str(tmp_path / "x.json")])
    assert result.exit_code == 0, result.exception
    assert [line.split()[0] for line in result.stdout.splitlines()[:2]] == ["kcx", "hf"]
    assert "times the sentences/s of hf" in result.stdout
    settings = json.loads((tmp_path / "x.json").read_text())["settings"]
    assert (settings["schema_tokens"], settings["sentences"], settings["rounds"]) == (20, 5, 3)


@given(st.lists(st.integers(1, 9), min_size=1), st.integers(1, 5))
def test_batches_hold_every_context_once_from_short_to_long(lengths, rows):
    batches = Work([1], [[0] * length for length in lengths], 1, rows).batches()
    order = [number for batch in batches for number in batch]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[number] for number in order] == sorted(lengths)
    assert {len(batch) for batch in batches[:-1]} <= {rows}


def test_rope_turns_neighbours_of_gguf_as_it_turns_halves_of_ours():
    heads, half, position = 3, 4, 5
    weight = np.random.default_rng(0).normal(size=(heads * 2 * half, 7))
    x = np.ones(7)
    angle = position * 10_000.0 ** -(np.arange(half) / half)
    turn = np.exp(1j * angle)
    halves = (weight @ x).reshape(heads, 2, half)
    pairs = (_paired(weight, heads) @ x).reshape(heads, half, 2)
    np.testing.assert_allclose(
        (halves[:, 0] + 1j * halves[:, 1]) * turn, (pairs[..., 0] + 1j * pairs[..., 1]) * turn
    )


def test_processes_of_a_race_are_alike_and_others_are_not():
    before = os.environ.get("MALLOC_TOP_PAD_"), os.sched_getaffinity(0)
    with alike():
        variables, cores = apart(_surroundings)
    assert len([name for name in variables if name.startswith("MALLOC_")]) >= 3
    assert len(cores) == min(2, len(before[1]))
    assert (os.environ.get("MALLOC_TOP_PAD_"), os.sched_getaffinity(0)) == before


def _surroundings() -> tuple[list[str], set[int]]:
    return list(os.environ), os.sched_getaffinity(0)
