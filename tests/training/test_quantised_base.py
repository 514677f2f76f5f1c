"""Tuning on a base in 8 bits: the real loop, and what it refuses."""

import json

import jax
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from kcx_jax.bench import gates
from kcx_jax.cli.app import app
from kcx_jax.errors import RegressionFound, UsageError
from kcx_jax.models import quantisation_of
from kcx_jax.training import train
from kcx_jax.training.config import parse_config


@pytest.fixture
def one_stage(plain_config):
    return plain_config | {"stages": plain_config["stages"][1:]}


@pytest.mark.parametrize("base_dtype", ["int8", "fp8"])
def test_the_loop_tunes_on_it(one_stage, silent, base_dtype):
    tuned = train(parse_config(one_stage | {"base_dtype": base_dtype}), report=silent, say=silent)
    assert quantisation_of(tuned.params) == base_dtype
    updates = [np.abs(pair["B"]).max() for pair in tuned.lora["layers"].values()]
    assert min(updates) > 0
    assert {leaf.dtype.name for leaf in jax.tree.leaves(tuned.lora)} == {"float32"}


def test_the_base_itself_is_not_trained_in_8_bits(one_stage, silent):
    config = parse_config(one_stage | {"base_dtype": "int8", "mode": "full"})
    with pytest.raises(UsageError, match="mode full trains the base itself"):
        train(config, report=silent, say=silent)


def bench_gate(values, tmp_path, *sets):
    """`kcx bench gate` on a config of these values: its result and the figures it wrote."""
    config, figures = tmp_path / "gate.yaml", tmp_path / "gate.json"
    config.write_text(yaml.safe_dump(values))
    words = ["bench", "gate", config, "--steps", "6", "--json", figures]
    words += [word for one in sets for word in ("--set", one)]
    result = CliRunner().invoke(app, list(map(str, words)))
    return result, json.loads(figures.read_text()) if figures.exists() else None


def test_the_gate_of_a_run_s_base_tells_by_its_exit_code(plain_config, tmp_path, monkeypatch):
    result, found = bench_gate(plain_config, tmp_path, "base_dtype=int8")
    assert result.exit_code == 0, result.output
    assert found["kcx"]["passed"] == 1
    assert found["settings"]["stage"] == "stage 1 (align)"
    # The same samples in the same order on both bases, and both learn.
    assert found["exact"]["last_loss"] < found["exact"]["first_loss"]
    assert abs(found["kcx"]["last_loss"] / found["exact"]["last_loss"] - 1) < 0.01
    assert found["kcx"]["layer_error"] > 0
    (tmp_path / "gate.json").unlink()
    monkeypatch.setattr(gates, "LEAST_COSINE", 1.1)
    result, found = bench_gate(plain_config, tmp_path, "base_dtype=int8")
    assert isinstance(result.exception, RegressionFound)
    assert found["kcx"]["passed"] == 0  # the figures are kept all the same


@pytest.mark.parametrize("sets", [(), ("base_dtype=bfloat16",), ("base_dtype=int8", "mode=full")])
def test_a_gate_is_for_a_frozen_base_in_8_bits(plain_config, tmp_path, sets):
    result, _ = bench_gate(plain_config, tmp_path, *sets)
    assert isinstance(result.exception, UsageError)
    assert "base_dtype" in str(result.exception)
