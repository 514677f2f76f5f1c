"""The gate of a base in 8 bits: int8 passes, a damaged base does not."""

import jax
import numpy as np
import pytest

from kcx_jax.bench import gates
from kcx_jax.bench.gates import GateRun, quantisation_gate
from kcx_jax.bench.workload import Lengths, random_tree
from kcx_jax.data import PlanOptions
from kcx_jax.errors import UsageError
from kcx_jax.lora import LoraConfig
from kcx_jax.models import ModelConfig, init_params
from kcx_jax.ops import Quantised

TINY = ModelConfig(100, 32, 64, num_layers=2, num_heads=2)
TREES = [random_tree(Lengths(20, ((5, 3), (7, 2), (4, 9), (6, 6))), 100)]
RUN = GateRun(
    PlanOptions(rows=1, branches=4, shapes=1), 10, "float32", LoraConfig(rank=4, targets=("down_proj",))
)


def measured(gradient=(1.0, 2.0, 3.0), losses=(4.0, 2.0)):
    return gates._Measured(
        np.ones((2, 1, 3, 4)), {"W_pack": np.array(gradient), "o_proj": np.ones(2)}, np.array(losses)
    )


@pytest.mark.parametrize(
    ("found", "passed"),
    [
        (measured(), 1),
        (measured(losses=(9.0, 2.019)), 1),
        (measured(losses=(4.0, 2.021)), 0),
        (measured(losses=(4.0, 1.97)), 0),
        (measured(gradient=(1.0, 2.0, 2.6)), 1),
        (measured(gradient=(1.0, 2.0, 1.0)), 0),
    ],
)
def test_the_limits_are_those_of_gradient_and_last_loss(found, passed):
    figures = gates._compared(found, measured())
    assert figures["passed"] == passed
    assert figures["layer_error"] == 0


@pytest.mark.slow
def test_int8_passes_with_its_error_and_a_damaged_base_does_not(monkeypatch):
    plain = gates.frozen_base

    def damaged(params, config, dtype, kind, mesh):
        """fp8 stands for a base whose scales are those of other channels."""
        made = plain(params, config, dtype, kind and "int8", mesh)
        if kind != "fp8":
            return made
        return jax.tree.map(
            lambda leaf: leaf.replace(scale=-leaf.scale[:, ::-1]) if isinstance(leaf, Quantised) else leaf,
            made,
            is_leaf=lambda leaf: isinstance(leaf, Quantised),
        )

    monkeypatch.setattr(gates, "frozen_base", damaged)
    params = init_params(TINY, jax.random.key(0))
    found = quantisation_gate(TINY, params, TREES, ("int8", "fp8"), RUN)
    good, bad = found["int8"], found["fp8"]
    assert good["passed"] == 1
    assert 1e-5 < good["layer_error"] < 0.05
    assert 0.99 < good["worst_target_cosine"] <= good["gradient_cosine"] < 1
    assert bad["passed"] == 0
    assert bad["gradient_cosine"] < gates.LEAST_COSINE
    assert good["exact_last_loss"] < good["exact_first_loss"]


def test_a_gate_needs_a_step():
    with pytest.raises(UsageError, match="at least one step"):
        quantisation_gate(TINY, {}, TREES, ("int8",), GateRun(steps=0))
