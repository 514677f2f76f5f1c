"""cuDNN's fused attention as one part of a softmax over several sets of keys, on NVIDIA GPUs.

What is called is jax's own wrapper, which is private: its public form rounds the log-sum-exp to the output's dtype and
has no backward pass that takes another one's. It is used nowhere else, and `tests/ops` hold its signature.

Shapes: B = rows, T = queries, S = keys, H = query heads, G = heads of keys and values, C = channels of a head.
"""

import inspect
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

_NO_KEYS = -1e30  # the log-sum-exp of a query without keys; finite, so that differences of two are no NaN


@dataclass(frozen=True)
class CudnnPart:
    """Attention to one set of keys: causal, or with `length_B` over so many keys, all of them seen (`Part`)."""

    length_B: jax.Array | None

    def forward(self, q_BTHC: jax.Array, k_BSGC: jax.Array, v_BSGC: jax.Array) -> tuple[jax.Array, jax.Array]:
        from jax._src.cudnn import fused_attention_stablehlo as fused

        query_length, key_length, mask = self._masking(fused, q_BTHC)
        out, lse_BHT = fused.dot_product_attention(
            q_BTHC,
            k_BSGC,
            v_BSGC,
            q_seqlen=query_length,
            kv_seqlen=key_length,
            scale=_scale(q_BTHC),
            mask_type=mask,
            return_residual=True,
        )
        lse_BTH = lse_BHT.swapaxes(1, 2)
        if self.length_B is None:
            return out, lse_BTH
        some = (self.length_B > 0)[:, None, None]
        return jnp.where(some[..., None], out, 0), jnp.where(some, lse_BTH, _NO_KEYS)

    def backward(
        self,
        q_BTHC: jax.Array,
        k_BSGC: jax.Array,
        v_BSGC: jax.Array,
        out_BTHC: jax.Array,
        lse_BTH: jax.Array,
        d_out_BTHC: jax.Array,
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        from jax._src.cudnn import fused_attention_stablehlo as fused

        query_length, key_length, mask = self._masking(fused, q_BTHC)
        if self.length_B is not None:  # nothing comes back from keys that are not there
            d_out_BTHC = jnp.where((self.length_B > 0)[:, None, None, None], d_out_BTHC, 0)
        unused = jnp.zeros(0, q_BTHC.dtype)
        lengths = [unused if length is None else length for length in (query_length, key_length)]
        options: dict[str, Any] = {"score_mod": None} if _takes_score_mod(fused) else {}
        dq, dk, dv = fused._dot_product_attention_bwd_p_wrapper.bind(
            *(q_BTHC, k_BSGC, v_BSGC, unused, *lengths, unused, unused, unused, unused),
            *(lse_BTH.swapaxes(1, 2), out_BTHC, d_out_BTHC.astype(q_BTHC.dtype)),
            scale=_scale(q_BTHC),
            seed=42,
            dropout_rate=0.0,
            variadic_args=(False, False),
            mask_type=mask,
            layout=fused.AttentionLayout.BTNH.value,
            sliding_window_length=None,
            **options,
        )
        return dq, dk, dv

    def _masking(self, fused: Any, q_BTHC: jax.Array) -> tuple[jax.Array | None, jax.Array | None, Any]:
        """Lengths of queries and keys [B] int32, and the kind of mask."""
        if self.length_B is None:
            return None, None, fused.MaskType.CAUSAL
        # A row without keys would be NaN: it is given one, and its result is put away.
        keys = jnp.maximum(self.length_B, 1).astype(jnp.int32)
        return jnp.full_like(keys, q_BTHC.shape[1]), keys, fused.MaskType.PADDING


def _takes_score_mod(fused: Any) -> bool:
    """Whether this jax's private wrapper has the option that jax 0.12 added."""
    return "score_mod" in inspect.signature(fused._dot_product_attention_bwd_impl).parameters


def _scale(q: jax.Array) -> float:
    return q.shape[-1] ** -0.5
