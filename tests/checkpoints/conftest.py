"""The golden checkpoints, loaded once."""

import json
from pathlib import Path

import numpy as np
import pytest

from kcx_jax.checkpoints import LoadedModel, load_pretrained


@pytest.fixture(scope="session")
def tiny(shared) -> Path:
    return shared / "fixtures" / "baichuan2_tiny"


@pytest.fixture(scope="session")
def prompts(tiny) -> dict[str, list[int]]:
    return json.loads((tiny / "golden" / "prompts.json").read_text())


@pytest.fixture(scope="session")
def base(tiny) -> LoadedModel:
    return load_pretrained(tiny / "base_fp32", dtype="float32")


@pytest.fixture(scope="session")
def adapted(tiny) -> LoadedModel:
    return load_pretrained(tiny / "base_fp32", adapter=tiny / "adapter", dtype="float32")


def last_logits(model: LoadedModel, ids: list[int]) -> np.ndarray:
    return np.asarray(model.logits([ids]))[0, -1]
