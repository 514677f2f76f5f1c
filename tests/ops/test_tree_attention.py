"""A tree's attention in merged parts equals one dense softmax, in values and gradients.

Shapes: B = rows, T = queries, S = keys, H = query heads, G = heads of keys and values, C = channels of a head.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.bench.exactness import attention_errors
from kcx_jax.bench.workload import Lengths
from kcx_jax.errors import UsageError
from kcx_jax.ops import layouts, tree_attention
from kcx_jax.ops.cudnn import CudnnPart, cudnn_refusal
from kcx_jax.ops.distance import Distance

branch = st.tuples(st.integers(0, 6), st.integers(2, 6))
trees = st.builds(Lengths, st.integers(1, 12), st.lists(branch, min_size=1, max_size=5).map(tuple))
uneven = Lengths(37, ((5, 3), (70, 2), (4, 90), (0, 4), (6, 6)))


@dataclass(frozen=True)
class PlainPart:
    """What cuDNN's kernels compute, by a plain softmax: forward alone, and backward from another's log-sum-exp."""

    length_B: jax.Array | None

    def scores(self, q, k):
        s = jnp.einsum("bthc,bshc->bths", q, jnp.repeat(k, q.shape[2] // k.shape[2], 2)) * q.shape[-1] ** -0.5
        keys = jnp.arange(k.shape[1])
        if self.length_B is None:
            return jnp.where(keys <= jnp.arange(q.shape[1])[:, None, None], s, -1e30)
        return jnp.where(keys < self.length_B[:, None, None, None], s, -1e30)

    def forward(self, q, k, v):
        s = self.scores(q, k)
        out = jnp.einsum("bths,bshc->bthc", jax.nn.softmax(s), jnp.repeat(v, q.shape[2] // k.shape[2], 2))
        return out, jax.nn.logsumexp(s, axis=-1)

    def backward(self, q, k, v, out, lse, d_out):
        R = q.shape[2] // k.shape[2]
        p = jnp.exp(self.scores(q, k) - lse[..., None])
        d_p = jnp.einsum("bthc,bshc->bths", d_out, jnp.repeat(v, R, 2))
        d_s = p * (d_p - jnp.sum(out * d_out, -1, keepdims=True)) * q.shape[-1] ** -0.5
        dk, dv = jnp.einsum("bths,bthc->bshc", d_s, q), jnp.einsum("bths,bthc->bshc", p, d_out)
        dk, dv = (x.reshape(*k.shape[:3], R, -1).sum(3) for x in (dk, dv))
        return jnp.einsum("bths,bshc->bthc", d_s, jnp.repeat(k, R, 2)), dk, dv


@settings(deadline=None, max_examples=6)
@given(lengths=trees, groups=st.sampled_from([(4, 4), (4, 2)]), merged=st.booleans(), seed=st.integers(0, 99))
def test_it_equals_one_dense_softmax(lengths, groups, merged, seed):
    with jax.enable_x64(True), pytest.MonkeyPatch.context() as patch:
        if merged:  # the path of the fused kernels, with plain parts in their place
            patch.setattr(layouts, "_by_cudnn", lambda *_: True)
            patch.setattr(layouts, "tree_attention", partial(tree_attention.tree_attention, part=PlainPart))
        errors = attention_errors(lengths, 5, groups, 8, "float64", "xla", seed)
    assert max(errors.values()) < 1e-12


def test_cudnn_is_refused_where_it_cannot_do_it():
    assert "float32" in cudnn_refusal(jnp.float32, 128, Distance())
    assert "window" in cudnn_refusal(jnp.bfloat16, 128, Distance(window=5))
    if jax.default_backend() != "gpu":
        with pytest.raises(UsageError, match="needs an NVIDIA GPU"):
            attention_errors(uneven, 5, (4, 4), 64, "bfloat16", "cudnn")


@pytest.mark.parametrize("length", [None, jnp.asarray([9, 0], jnp.int32)])
def test_the_private_wrapper_of_cudnn_still_takes_our_arguments(length):
    """Abstractly, without a GPU: an update of jax that changes its signature is found here."""
    q, k = jnp.zeros((2, 16, 4, 64), jnp.bfloat16), jnp.zeros((2, 16, 4, 64), jnp.bfloat16)
    lse = jnp.zeros((2, 16, 4), jnp.float32)
    found = jax.eval_shape(CudnnPart(length).backward, q, k, k, q, lse, q)
    assert [(x.shape, x.dtype) for x in found] == [(q.shape, q.dtype)] * 3


@pytest.mark.gpu
@pytest.mark.parametrize("heads", [(8, 8), (8, 4)])
def test_cudnn_is_as_exact_as_xla(heads):
    with jax.enable_x64(True):
        fused, plain = (
            attention_errors(uneven, 5, heads, 128, "bfloat16", backend) for backend in ("cudnn", "xla")
        )
    assert fused == pytest.approx(plain, rel=0.5)
    assert max(fused.values()) < 1e-2


def test_a_prefix_of_one_token_is_exact():
    with jax.enable_x64(True):
        found = attention_errors(Lengths(1, ((3, 2),)), 1, (2, 2), 8, "float32", "xla")
    errors = np.array(list(found.values()))
    assert (errors < 1e-5).all()
