"""The tiny golden checkpoint in fp32, plain and with its adapter."""

import json

import pytest

from kcx_jax.checkpoints import load_pretrained


@pytest.fixture(scope="session")
def tiny(shared):
    return load_pretrained(shared / "fixtures/baichuan2_tiny/base_fp32", dtype="float32")


@pytest.fixture(scope="session")
def tiny_adapted(shared):
    folder = shared / "fixtures/baichuan2_tiny"
    return load_pretrained(folder / "base_fp32", adapter=folder / "adapter", dtype="float32")


@pytest.fixture(scope="session")
def golden(shared):
    return json.loads((shared / "fixtures/baichuan2_tiny/golden/generate.json").read_text())
