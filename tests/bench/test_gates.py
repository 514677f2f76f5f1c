"""The gate of a base in 8 bits: the exact base passes through it unchanged, a damaged one does not pass."""

import jax
import pytest

from kcx_jax.bench import gates
from kcx_jax.bench.gates import GateRun, quantisation_gate
from kcx_jax.bench.workload import Lengths, random_tree
from kcx_jax.errors import UsageError
from kcx_jax.lora import LoraConfig
from kcx_jax.models import ModelConfig, init_params
from kcx_jax.ops import Quantised

TINY = ModelConfig(100, 32, 64, num_layers=2, num_heads=2)
TREES = [random_tree(Lengths(20, ((5, 3), (7, 2), (4, 9), (6, 6))), 100)]
RUN = GateRun(rows=1, branches=4, steps=10, dtype="float32", lora=LoraConfig(rank=4))


def of(monkeypatch, change) -> dict[str, float]:
    """The gate's figures where int8 bases are changed by `change`, which gets exact and quantised."""
    plain = gates.frozen_base

    def changed(params, config, dtype, kind, mesh):
        made = plain(params, config, dtype, kind, mesh)
        return change(plain(params, config, dtype, None, mesh), made) if kind else made

    monkeypatch.setattr(gates, "frozen_base", changed)
    return quantisation_gate(TINY, init_params(TINY, jax.random.key(0)), TREES, ("int8",), RUN)["int8"]


def test_the_exact_base_differs_from_itself_in_nothing(monkeypatch):
    found = of(monkeypatch, lambda exact, quantised: exact)
    assert found["passed"] == 1
    assert found["layer_error"] == found["loss_change"] == 0
    assert found["gradient_cosine"] == pytest.approx(1)


def test_int8_passes_and_has_its_error(monkeypatch):
    found = of(monkeypatch, lambda exact, quantised: quantised)
    assert found["passed"] == 1
    assert 1e-5 < found["layer_error"] < 0.05
    assert 0.99 < found["worst_target_cosine"] < found["gradient_cosine"] < 1


def test_wrong_scales_do_not_pass(monkeypatch):
    def swapped(exact, quantised):
        def damaged(leaf):
            wrong = isinstance(leaf, Quantised)
            return leaf.replace(scale=-leaf.scale[:, ::-1]) if wrong else leaf

        return jax.tree.map(damaged, quantised, is_leaf=lambda leaf: isinstance(leaf, Quantised))

    found = of(monkeypatch, swapped)
    assert found["passed"] == 0
    assert found["gradient_cosine"] < 0.9


def test_a_gate_needs_a_step():
    with pytest.raises(UsageError, match="at least one step"):
        quantisation_gate(TINY, {}, TREES, ("int8",), GateRun(steps=0))
