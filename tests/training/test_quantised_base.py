"""Tuning on a base in 8 bits: the real loop, and what it refuses."""

import jax
import numpy as np
import pytest

from kcx_jax.errors import UsageError
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
