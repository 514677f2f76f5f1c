"""Adapters one upon another: a new one learns on the base with those before merged in, and their sum is the result."""

import signal

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from kcx_jax.errors import UsageError
from kcx_jax.lora import merge
from kcx_jax.testing.tiny import TINY, TinyModel, tiny_model, tiny_settings, tiny_trees
from kcx_jax.training import Stage, train_trees

SETTINGS = tiny_settings(save_every=4, shapes=1, optimiser={"learning_rate": 1e-2})
STAGES = [
    Stage("one", tiny_trees(0), steps=5),
    Stage("two", tiny_trees(1), steps=4, adapter="new"),
    Stage("three", tiny_trees(2), steps=2, adapter="new"),
]
ROWS = TINY.qkv_rows


def merged(model, *adapters):
    """The model with adapters merged in one after another, in float32."""
    params = model.params
    for adapter in adapters:
        params = merge(params, *adapter, ROWS)
    return TinyModel(TINY, params)


def bits_equal(a, b):
    leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(np.asarray(x), np.asarray(y)) for x, y in leaves)


@pytest.fixture(scope="module")
def whole():
    return train_trees(tiny_model(), STAGES, SETTINGS, report=lambda metrics: None)


def test_a_new_adapter_is_trained_as_on_the_merged_base(whole, silent):
    assert len(whole.chain) == 3
    first = train_trees(tiny_model(), STAGES[:1], SETTINGS, report=silent)
    assert bits_equal(first.trained, whole.chain[0][0])
    # The seed of a run's second stage, for a run that has this stage only.
    alone = SETTINGS.model_copy(update={"seed": 1_000_003})
    second = train_trees(merged(tiny_model(), whole.chain[0]), STAGES[1:2], alone, report=silent)
    assert bits_equal(second.trained, whole.chain[1][0])
    assert any(np.abs(leaf).max() > 1e-3 for leaf in jax.tree.leaves(whole.chain[1][0]))


def test_what_comes_out_adds_what_all_of_the_chain_add(whole):
    assert whole.lora_config.rank == 3 * SETTINGS.lora.rank
    at_once = merged(tiny_model(), (whole.trained, whole.lora_config))
    one_by_one = merged(tiny_model(), *whole.chain)
    for found, wanted in zip(*map(jax.tree.leaves, (at_once.params, one_by_one.params)), strict=True):
        assert_allclose(found, wanted, atol=1e-6)
    assert not bits_equal(at_once.params, tiny_model().params)


@pytest.mark.parametrize("step", [2, 7, 10])
def test_a_run_is_resumed_in_any_of_its_stages(step, tmp_path, whole, silent):
    def report(metrics):
        if metrics.step == step:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        train_trees(tiny_model(), STAGES, SETTINGS, tmp_path, report=report)
    resumed = train_trees(tiny_model(), STAGES, SETTINGS, tmp_path, resume=True, report=silent)
    assert len(resumed.history) < 11
    for found, wanted in zip(resumed.chain, whole.chain, strict=True):
        assert bits_equal(found[0], wanted[0])
    with pytest.raises(UsageError, match="in its stage 3, but 2 are given"):
        train_trees(tiny_model(), STAGES[:2], SETTINGS, tmp_path, resume=True, report=silent)


def test_a_models_own_adapter_is_the_first_of_the_chain(whole, tmp_path, silent):
    model = tiny_model()
    model.lora, model.lora_config = whole.chain[0]
    stages = [Stage("two", STAGES[1].trees, steps=4, adapter="new")]
    wider = tiny_settings(shapes=1, lora={"rank": 8})
    result = train_trees(model, stages, wider, tmp_path, report=silent)
    assert bits_equal(result.chain[0][0], whole.chain[0][0])
    assert [config.rank for _, config in result.chain] == [4, 8]
    again = train_trees(model, stages, wider, tmp_path, resume=True, report=silent)
    assert again.history == []
    assert bits_equal(again.trained, result.trained)


def test_mode_full_has_no_adapters_to_chain(silent):
    with pytest.raises(UsageError, match="adapter: new is for mode lora"):
        train_trees(tiny_model(), STAGES, tiny_settings(mode="full"), report=silent)
