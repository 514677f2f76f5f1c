"""The transformer as Linen modules: Baichuan2-7B's block, scanned over the layers.

Collections: `params` (the base) and `lora` (adapters, float32 master weights); their trees are described in
`parameters`.

Shapes: B = rows, T = tokens of a row, D = hidden size, F = inner size of the MLP, H = heads, C = channels of
a head, V = vocabulary, P = prefix slots, S = own cache slots.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from kcx_jax.lora.adapter import LoraConfig, adapter_output
from kcx_jax.models.config import ModelConfig
from kcx_jax.models.parameters import layer_parameters, lora_parameters, outer_parameters
from kcx_jax.models.sharding import constrain
from kcx_jax.ops.layouts import KV, Causal, Layout
from kcx_jax.ops.numerics import (
    inverse_row_norms,
    linear,
    norm_head_logits,
    rms_norm,
    statistics_dtype,
)
from kcx_jax.ops.parameters import initialise
from kcx_jax.ops.rope import Rotation, rotate, rotation


class Layer(nn.Module):
    """Pre-norm attention and SwiGLU, each added to the residual stream."""

    config: ModelConfig
    lora: LoraConfig | None

    @nn.compact
    def __call__(
        self,
        carry: tuple[jax.Array, KV | None],
        angles: Rotation,
        layout: Layout,
        state: Any,
        dropout_key: jax.Array | None,
    ) -> tuple[tuple[jax.Array, KV | None], KV | None]:
        """(The new stream, the cache of all layers), and what the layout keeps of this layer.

        `carry` is the stream and the cache before it, `state` this layer's slice of what the layout has.
        """
        x_BTD, cache = carry
        weights = {
            name: self.param(name, p.init, p.shape) for name, p in layer_parameters(self.config).items()
        }
        pairs = self._pairs()

        def dense(name: str, x: jax.Array) -> jax.Array:
            y = linear(x, weights[name])
            if name not in pairs:
                return y
            assert self.lora is not None
            key = None if dropout_key is None else jax.random.fold_in(dropout_key, list(pairs).index(name))
            return y + adapter_output(x, pairs[name], self.lora, key)

        eps = self.config.norm_eps
        q, k, v = jnp.split(dense("W_pack", rms_norm(x_BTD, weights["input_layernorm"], eps)), 3, axis=-1)
        q, k, v = (y.reshape(*y.shape[:2], -1, self.config.head_dim) for y in (q, k, v))
        seen_BTHC, cache, kept = layout.attend(rotate(q, angles), rotate(k, angles), v, state, cache)
        x_BTD = x_BTD + dense("o_proj", seen_BTHC.reshape(x_BTD.shape))
        h_BTD = rms_norm(x_BTD, weights["post_attention_layernorm"], eps)
        inner_BTF = jax.nn.silu(dense("gate_proj", h_BTD)) * dense("up_proj", h_BTD)
        x_BTD = constrain(x_BTD + dense("down_proj", inner_BTF), "batch", None, None)
        self.sow("intermediates", "hidden", x_BTD)
        return (x_BTD, cache), kept

    def _pairs(self) -> dict[str, dict[str, jax.Array]]:
        """The adapter pairs of this layer by kernel name; none without a LoRA configuration."""
        if self.lora is None:
            return {}

        def initial(pair: dict) -> dict:
            return initialise(pair, self.make_rng("params"), jnp.float32)

        described = lora_parameters(self.config, self.lora)
        return {name: self.variable("lora", name, initial, pair).value for name, pair in described.items()}


class Transformer(nn.Module):
    """Baichuan2-7B's architecture, computed in `dtype`; `remat` recomputes layers in the backward pass.

    With a `LoraConfig` the collection `lora` must be there. When `deterministic` is false and the adapter has
    dropout, `apply` needs rngs={"dropout": key}. Layer outputs are sown as intermediates/layers/hidden.
    """

    config: ModelConfig
    lora: LoraConfig | None = None
    dtype: Any = jnp.float32
    remat: bool = False

    def setup(self) -> None:
        self.outer = {
            name: self.param(name, p.init, p.shape) for name, p in outer_parameters(self.config).items()
        }
        self.layers = nn.scan(
            nn.remat(Layer, prevent_cse=False) if self.remat else Layer,
            variable_axes={"params": 0, "lora": 0, "intermediates": 0},
            split_rngs={"params": True},
            in_axes=(nn.broadcast, nn.broadcast, 0, 0),
            length=self.config.num_layers,
        )(self.config, self.lora)

    def __call__(
        self,
        tokens_BT: jax.Array,
        positions_BT: jax.Array,
        layout: Layout,
        cache: KV | None = None,
        deterministic: bool = True,
    ) -> tuple[jax.Array, KV | None]:
        """Hidden states [B, T, D] after the final norm, and the new cache (None where the layout keeps none).

        tokens and positions are int32; `cache` is the rows' own cache of the layout `Cached`.
        """
        angles = rotation(
            positions_BT, self.config.head_dim, self.config.rope_theta, statistics_dtype(self.dtype)
        )
        dropout_keys = None
        if self.lora is not None and self.lora.dropout > 0 and not deterministic:
            dropout_keys = jax.random.split(self.make_rng("dropout"), self.config.num_layers)
        layout, states = layout.per_layer()
        x_BTD = self.outer["embed_tokens"][tokens_BT].astype(self.dtype)
        x_BTD = constrain(x_BTD, "batch", None, None)
        (x_BTD, cache), kept = self.layers((x_BTD, cache), angles, layout, states, dropout_keys)
        hidden_BTD = rms_norm(x_BTD, self.outer["norm"], self.config.norm_eps)
        return hidden_BTD, kept if cache is None else cache

    def logits(self, hidden: jax.Array, inverse_norm_V: jax.Array | None = None) -> jax.Array:
        """Scores of the next token, [..., D] -> [..., V] in float32 (norms are computed if not given)."""
        head_VD = self.outer["lm_head"]
        if inverse_norm_V is None:
            inverse_norm_V = inverse_row_norms(head_VD)
        return norm_head_logits(hidden, head_VD, inverse_norm_V)


def prefix_cache(module: Transformer, variables: Any, tokens_P: jax.Array, length: jax.Array | int) -> KV:
    """Keys and values of a prefix shared by many rows: KV [layers, H, P, C], `length` slots of it real."""
    layout = Causal(jnp.asarray([length], jnp.int32), keep_kv=True)
    _, kv = module.apply(variables, tokens_P[None], layout.positions(tokens_P.shape[0]), layout)
    return jax.tree.map(lambda x: x[:, 0], kv)


def empty_cache(config: ModelConfig, rows: int, slots: int, dtype: jax.typing.DTypeLike) -> KV:
    """The rows' own cache before any token: KV [layers, B, H, S, C] of zeros."""
    shape = (config.num_layers, rows, config.num_kv_heads, slots, config.head_dim)
    return KV(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype))
