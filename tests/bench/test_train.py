"""Measuring a tuning step and decoding: figures of a tiny model on the CPU, and the count of needed operations."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

from kcx_jax.bench.decode import bench_decode
from kcx_jax.bench.train import TrainBench, bench_train
from kcx_jax.bench.workload import BAICHUAN2_7B, Lengths, lengths_of, random_params, random_tree
from kcx_jax.data.plan import PlanOptions, make_plan
from kcx_jax.errors import UsageError
from kcx_jax.models import ModelConfig, abstract_params
from kcx_jax.training.flops import needed_flops

TINY = ModelConfig(100, 32, 64, num_layers=2, num_heads=2)
LENGTHS = Lengths(20, ((5, 3), (7, 2), (4, 9), (6, 6)))


def test_figures_of_tuning_agree_with_each_other():
    lengths = Lengths(20, LENGTHS.branches * 2)
    bench = TrainBench(TINY, lengths, 4, 2, ("qkv", "attention"), dtype="float32", steps=2, warm=1)
    found = bench_train(bench)
    assert found["samples_per_second"] == pytest.approx(8 / found["seconds_per_step"])
    tokens = 2 * 20 + sum(c + a - 1 for c, a in lengths.branches)
    assert found["tokens_per_second"] == pytest.approx(tokens / found["seconds_per_step"])
    assert found["first_loss"] == pytest.approx(jnp.log(100), abs=1)
    with pytest.raises(UsageError, match="do not fill 4 rows"):
        bench_train(replace(bench, rows=4))


def test_needed_operations_are_those_of_a_lora_step():
    """JAX.md's budget: 31.2 GFLOP a token for rows of 4,096 tokens, all of them targets."""
    tree = random_tree(Lengths(1, ((1, 4095),)), 1000)
    step = make_plan([tree], PlanOptions(1, 1, 1), steps=1).steps[0]
    assert needed_flops(BAICHUAN2_7B, [tree], step) / step.tokens == pytest.approx(31.2e9, rel=0.01)


def test_random_params_are_those_of_the_model():
    params = random_params(TINY, "bfloat16")
    expected = abstract_params(TINY, "bfloat16")
    assert jax.tree.map(lambda x: (x.shape, x.dtype), params) == jax.tree.map(
        lambda x: (x.shape, x.dtype), expected
    )
    assert (params["norm"] == 1).all()
    assert float(jnp.std(params["lm_head"].astype(jnp.float32))) == pytest.approx(0.02, rel=0.1)


def test_decoding_writes_what_was_asked_for():
    found = bench_decode(TINY, LENGTHS, sentences=5, new_tokens=4, slots=2, dtype="float32")
    assert found["sentences_per_second"] == pytest.approx(5 / found["seconds"])


def test_workloads_are_known_by_name():
    assert lengths_of("wikineural-en").token_ratio(16) == pytest.approx(3.7, abs=0.1)
    with pytest.raises(UsageError, match="wikineural-en"):
        lengths_of("nothing")
