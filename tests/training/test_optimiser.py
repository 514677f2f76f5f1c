"""The optimiser: schedules by their closed form, groups learn at their own rate and nothing else changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.errors import UsageError
from kcx_jax.lora import LoraConfig
from kcx_jax.models import init_lora
from kcx_jax.testing.tiny import TINY, tiny_model
from kcx_jax.training.config import OptimiserSettings
from kcx_jax.training.optimiser import learning_rate, make_optimiser

FALL = {
    "linear": lambda share: 1 - share,
    "cosine": lambda share: (1 + np.cos(np.pi * share)) / 2,
    "constant": lambda share: 1.0,
}


@pytest.mark.parametrize("schedule", FALL)
@given(steps=st.integers(1, 200), warmup=st.sampled_from([0, 0.1, 0.5]))
def test_the_rate_rises_to_its_peak_and_falls_as_it_is_named(schedule, steps, warmup):
    rate = learning_rate(OptimiserSettings(schedule=schedule, warmup=warmup, learning_rate=2.0), steps)
    rising = round(warmup * steps)
    for step in {0, rising // 2, rising, (steps + rising) // 2, steps - 1, steps}:
        if step < rising:
            wanted = 2.0 * (step + 1) / rising
        else:
            wanted = 2.0 * FALL[schedule](min(1, (step - rising) / max(1, steps - rising)))
        assert float(rate(step)) == pytest.approx(wanted, rel=1e-5, abs=1e-6)


def updates(values, **settings):
    """What the first step adds to each leaf, by its dotted name."""
    settings = OptimiserSettings(weight_decay=0.1, **settings)
    optimiser = make_optimiser(settings, learning_rate(settings, 10))
    gradient = jax.tree.map(lambda x: jnp.cos(jnp.arange(x.size, dtype=x.dtype)).reshape(x.shape), values)
    found, _ = jax.jit(lambda: optimiser.update(gradient, optimiser.init(values), values))()
    leaves = jax.tree_util.tree_leaves_with_path(found)
    return {jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf) for path, leaf in leaves}


@pytest.mark.parametrize(
    ("collection", "factors", "expected"),
    [
        ("lora", {"B": 16}, lambda name: 16 if name.endswith(".B") else 1),
        (
            "lora",
            {"W_pack": 0.5, "B": 4},
            lambda name: (0.5 if "W_pack" in name else 1) * (4 if name[-1] == "B" else 1),
        ),
        ("lora", {"o_proj.A": 0}, lambda name: 0 if "o_proj.A" in name else 1),
        ("params", {"embed_tokens": 0.25}, lambda name: 0.25 if name == "embed_tokens" else 1),
    ],
)
def test_a_group_learns_at_its_own_rate(collection, factors, expected):
    values = (
        tiny_model().params
        if collection == "params"
        else init_lora(TINY, LoraConfig(rank=2), jax.random.key(0))
    )
    plain, scaled = updates(values), updates(values, rate_factors=factors)
    assert {expected(name) for name in plain} > {1}
    for name, update in plain.items():
        np.testing.assert_array_equal(scaled[name], expected(name) * update, err_msg=name)  # powers of two


@pytest.mark.parametrize("group", ["b", "W_pack.C", "pack", "W_pack.", ""])
def test_a_group_that_holds_nothing_is_refused(group):
    values = init_lora(TINY, LoraConfig(rank=2), jax.random.key(0))
    with pytest.raises(
        UsageError, match=r"rate_factors: nothing that trains is named .*; names are A, B, W_pack"
    ):
        updates(values, rate_factors={group: 2.0})
