"""A tree's attention in merged parts equals one dense softmax, in values and gradients.

Shapes: B = rows, T = queries, S = keys, H = query heads, G = heads of keys and values, C = channels of a head.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from kcx_jax.bench.exactness import attention_errors
from kcx_jax.bench.workload import Lengths
from kcx_jax.errors import UsageError
from kcx_jax.ops import backends
from kcx_jax.ops.backends import CAPABILITIES, choose, refusal
from kcx_jax.ops.blockwise import BlockwisePart
from kcx_jax.ops.cudnn import CudnnPart
from kcx_jax.ops.distance import Distance, alibi_slopes
from kcx_jax.ops.pallas_attention import PallasPart

branch = st.tuples(st.integers(0, 6), st.integers(2, 6))
trees = st.builds(Lengths, st.integers(1, 12), st.lists(branch, min_size=1, max_size=5).map(tuple))
uneven = Lengths(37, ((5, 3), (70, 2), (4, 90), (0, 4), (6, 6)))
RULES = {"plain": Distance(), "alibi": Distance(slopes=alibi_slopes(4)), "window": Distance(window=7)}


@pytest.fixture
def small_blocks(monkeypatch):
    """Several blocks in trees of a few tokens; Pallas interpreted on this device."""
    monkeypatch.setattr(backends, "BlockwisePart", partial(BlockwisePart, block=5))
    monkeypatch.setattr(backends, "PallasPart", partial(PallasPart, block=4))
    monkeypatch.setattr(backends, "refusal", lambda *_: None)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("backend", sorted(set(CAPABILITIES) - {"cudnn"}))
def test_every_backend_equals_one_dense_softmax(small_blocks, backend, rule):
    tree = Lengths(9, ((5, 3), (0, 4), (6, 2)))
    with jax.enable_x64(True):
        errors = attention_errors(tree, 5, (4, 2), 8, "float64", backend, distance=RULES[rule])
    assert max(errors.values()) < 1e-12


@settings(max_examples=3, phases=[Phase.explicit, Phase.generate])  # shrinking would compile for minutes
@example(lengths=Lengths(1, ((0, 2),)), groups=(4, 4), backend="blockwise", seed=0)
@given(
    lengths=trees,
    groups=st.sampled_from([(4, 4), (4, 2)]),
    backend=st.sampled_from(["xla", "blockwise"]),
    seed=st.integers(0, 99),
)
def test_trees_of_any_shape_equal_one_dense_softmax(lengths, groups, backend, seed):
    with jax.enable_x64(True):
        assert max(attention_errors(lengths, 5, groups, 8, "float64", backend, seed).values()) < 1e-12


@pytest.mark.parametrize("backend", sorted(set(CAPABILITIES) - {"cudnn"}))
def test_bfloat16_costs_every_backend_the_same(small_blocks, backend):
    with jax.enable_x64(True):
        errors = attention_errors(uneven, 5, (4, 2), 16, "bfloat16", backend, distance=RULES["alibi"])
    assert max(errors.values()) < 1e-2


def test_a_backend_is_refused_where_it_cannot_do_it():
    assert "not in float32" in refusal("cudnn", jnp.float32, 128, Distance())
    assert "window" in refusal("cudnn", jnp.bfloat16, 128, Distance(window=5))
    for backend in ("xla", "blockwise"):
        assert refusal(backend, jnp.float64, 7, RULES["alibi"]) is None
    if jax.default_backend() != "gpu":
        assert choose("auto", jnp.bfloat16, 128, Distance()) == "blockwise"
        for backend in ("cudnn", "pallas"):
            with pytest.raises(UsageError, match=f"attention by {backend}: it needs an NVIDIA GPU"):
                attention_errors(uneven, 5, (4, 4), 64, "bfloat16", backend)


@pytest.mark.parametrize(
    ("backend", "capability", "channels", "fits"),
    [
        ("cudnn", 9.0, 256, True),
        ("cudnn", 8.0, 256, False),
        ("cudnn", 9.0, 100, False),
        ("cudnn", 7.5, 64, False),
        ("pallas", 9.0, 128, True),
        ("pallas", 9.0, 96, False),
        ("pallas", 9.0, 256, False),
    ],
)
def test_a_gpu_is_given_the_heads_it_can_take(monkeypatch, backend, capability, channels, fits):
    monkeypatch.setattr(backends, "_on_nvidia", lambda: True)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(backends, "_compute_capability", lambda: capability)
    found = refusal(backend, jnp.bfloat16, channels, Distance())
    assert (found is None) == fits
    if fits and backend == "cudnn":
        assert choose("auto", jnp.bfloat16, channels, Distance()) == "cudnn"
        assert choose("auto", jnp.bfloat16, channels, RULES["alibi"]) == "xla"


@pytest.mark.parametrize("length", [None, jnp.asarray([9, 0], jnp.int32)])
def test_the_private_wrapper_of_cudnn_still_takes_our_arguments(length):
    """Abstractly, without a GPU: an update of jax that changes its signature is found here."""
    q, k = jnp.zeros((2, 16, 4, 64), jnp.bfloat16), jnp.zeros((2, 16, 4, 64), jnp.bfloat16)
    lse = jnp.zeros((2, 16, 4), jnp.float32)
    found = jax.eval_shape(CudnnPart(length).backward, q, k, k, q, lse, q)
    assert [(x.shape, x.dtype) for x in found] == [(q.shape, q.dtype)] * 3


@pytest.mark.gpu
@pytest.mark.parametrize("heads", [(8, 8), (8, 4)])
@pytest.mark.parametrize("backend", ["cudnn", "pallas"])
def test_fused_kernels_are_as_exact_as_xla(backend, heads):
    with jax.enable_x64(True):
        fused, plain = (
            attention_errors(uneven, 5, heads, 128, "bfloat16", backend) for backend in (backend, "xla")
        )
    assert fused == pytest.approx(plain, rel=0.5)
    assert max(fused.values()) < 1e-2


def test_a_prefix_of_one_token_is_exact():
    with jax.enable_x64(True):
        found = attention_errors(Lengths(1, ((3, 2),)), 1, (2, 2), 8, "float32", "xla")
    errors = np.array(list(found.values()))
    assert (errors < 1e-5).all()
