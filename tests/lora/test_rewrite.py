"""Adapters in another form add the same: chains, the fused W_pack split, q, k and v fused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from kcx_jax.errors import UsageError
from kcx_jax.lora import LoraConfig, fuse, joined, merge, split

SIZES = {"W_pack": (20, 8), "o_proj": (8, 12), "gate_proj": (10, 8), "down_proj": (8, 10)}
ROWS = {"q_proj": slice(0, 12), "k_proj": slice(12, 16), "v_proj": slice(16, 20)}
SHAPES = SIZES | {name: (rows.stop - rows.start, 8) for name, rows in ROWS.items()}
LAYERS = 2


def adapter(config, seed=0):
    rng = np.random.default_rng(seed)
    layers = {
        name: {
            "A": jnp.asarray(rng.normal(size=(LAYERS, config.rank_of(name), SHAPES[name][1]))),
            "B": jnp.asarray(rng.normal(size=(LAYERS, SHAPES[name][0], config.rank_of(name)))),
        }
        for name in config.targets
    }
    return {"layers": layers}, config


def added(lora, config):
    """What the adapter adds to each kernel, in float64."""
    zeros = {name: jnp.zeros((LAYERS, *size)) for name, size in SIZES.items()}
    return merge({"layers": zeros}, lora, config, ROWS)["layers"]


targets = st.sampled_from(
    [
        ("W_pack",),
        ("W_pack", "o_proj"),
        ("q_proj",),
        ("k_proj", "v_proj", "down_proj"),
        ("q_proj", "k_proj", "v_proj"),
    ]
)
configs = st.builds(
    lambda targets, rank, alpha, rslora, own: LoraConfig(
        rank, alpha, 0.0, targets, rslora, {targets[0]: own} if own else {}, {targets[-1]: 3.0} if own else {}
    ),
    targets,
    st.integers(1, 4),
    st.sampled_from([1.0, 8.0, 5.0]),
    st.booleans(),
    st.sampled_from([0, 2]),
)


@settings(deadline=None, max_examples=25)
@given(st.lists(configs, min_size=1, max_size=3), st.sampled_from([None, split, fuse]))
def test_a_chain_in_any_form_adds_what_its_adapters_add(chain, rewrite):
    with jax.enable_x64(True):
        adapters = [adapter(config, seed) for seed, config in enumerate(chain)]
        expected = jax.tree.map(lambda *x: sum(x), *(added(*one) for one in adapters))
        found = joined(adapters, ROWS)
        if rewrite is not None:
            found = rewrite(*found, ROWS)
        for name, pair in found[0]["layers"].items():
            rank = found[1].rank_of(name)
            assert pair["A"].shape == (LAYERS, rank, SHAPES[name][1])
            assert pair["B"].shape == (LAYERS, SHAPES[name][0], rank)
        jax.tree.map(lambda a, b: assert_allclose(a, b, rtol=1e-9, atol=1e-9), added(*found), expected)


def test_ranks_add_up_in_a_chain_and_in_fusing_and_stay_in_splitting():
    one, other = (adapter(LoraConfig(rank, 2.0 * rank, targets=("W_pack",)), rank) for rank in (3, 4))
    chain, config = joined([one, other], ROWS)
    assert (config.rank_of("W_pack"), config.scale_of("W_pack")) == (7, 2)
    assert (chain["layers"]["W_pack"]["B"][:, :, :3] == one[0]["layers"]["W_pack"]["B"]).all()  # bit for bit
    apart, config = split(*one, ROWS)
    assert {config.rank_of(name) for name in config.targets} == {3}
    _, config = fuse(apart, config, ROWS)
    assert config.rank_of("W_pack") == 9
    assert config.targets == ("W_pack",)


def test_an_adapter_with_dropout_is_not_fused():
    config = LoraConfig(2, dropout=0.1, targets=("q_proj", "k_proj"))
    with pytest.raises(UsageError, match="dropout"):
        fuse(*adapter(config), ROWS)
