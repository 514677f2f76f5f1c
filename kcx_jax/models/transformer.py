"""The transformer as Linen modules: one block for every family, scanned over the layers.

Collections: `params` (the base) and `lora` (adapters, float32 master weights); their trees are described in
`parameters`.

Shapes: B = rows, T = tokens of a row, D = hidden size, F = inner size of the MLP, H = query heads, G = heads
of keys and values, C = channels of a head, V = vocabulary, P = prefix slots, S = own cache slots.
"""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from kcx_jax.lora.adapter import FUSED, LoraConfig, adapter_output
from kcx_jax.models.config import ModelConfig
from kcx_jax.models.parameters import layer_parameters, lora_parameters, outer_parameters
from kcx_jax.models.sharding import constrain
from kcx_jax.ops.layouts import KV, Layout
from kcx_jax.ops.numerics import (
    head_logits,
    head_logits_of,
    inverse_row_norms,
    linear,
    rms_norm,
    statistics_dtype,
)
from kcx_jax.ops.parameters import initialise
from kcx_jax.ops.rope import Rotation, rotate, rotation

Activation = Literal["qkv", "attention", "stream", "gate", "up"]
"""What a layer's backward pass may keep: W_pack's output, attention's output and log-sum-exp, the stream between
attention and MLP, the outputs of gate_proj and up_proj."""


class Layer(nn.Module):
    """Pre-norm attention and SwiGLU, each added to the residual stream."""

    config: ModelConfig
    lora: LoraConfig | None

    @nn.compact
    def __call__(
        self,
        carry: tuple[jax.Array, KV | None],
        angles: Rotation | None,
        layout: Layout,
        state: Any,
        dropout_key: jax.Array | None,
    ) -> tuple[tuple[jax.Array, KV | None], None]:
        """(The new stream, the cache of all layers), and nothing to stack over the layers.

        `carry` is the stream and the cache before it, `state` this layer's slice of what the layout has.
        """
        x_BTD, cache = carry
        weights = {
            name: self.param(name, p.init, p.shape) for name, p in layer_parameters(self.config).items()
        }
        dense = _Dense(weights, self.lora, self._pairs(), dropout_key)
        eps = self.config.norm_eps
        q, k, v = self._heads(dense, rms_norm(x_BTD, weights["input_layernorm"], eps), weights, angles)
        seen_BTHC, cache = layout.attend(q, k, v, self.config.distance, state, cache)
        x_BTD = checkpoint_name(x_BTD + dense("o_proj", seen_BTHC.reshape(*x_BTD.shape[:2], -1)), "stream")
        h_BTD = rms_norm(x_BTD, weights["post_attention_layernorm"], eps)
        gate_BTF = checkpoint_name(dense("gate_proj", h_BTD), "gate")
        up_BTF = checkpoint_name(dense("up_proj", h_BTD), "up")
        x_BTD = x_BTD + dense("down_proj", jax.nn.silu(gate_BTF) * up_BTF)
        x_BTD = constrain(x_BTD, "batch", None, None)
        self.sow("intermediates", "hidden", x_BTD)
        return (x_BTD, cache), None

    def _heads(
        self, dense: "_Dense", h_BTD: jax.Array, weights: Mapping[str, jax.Array], angles: Rotation | None
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Queries [B, T, H, C], keys and values [B, T, G, C], turned to their positions."""
        qkv = checkpoint_name(dense(FUSED, h_BTD), "qkv")
        q, k, v = (
            dense.adapted(name, qkv[..., rows], h_BTD).reshape(*h_BTD.shape[:2], -1, self.config.head_dim)
            for name, rows in self.config.qkv_rows.items()
        )
        if self.config.qk_norm:
            q = rms_norm(q, weights["q_norm"], self.config.norm_eps)
            k = rms_norm(k, weights["k_norm"], self.config.norm_eps)
        return (q, k, v) if angles is None else (rotate(q, angles), rotate(k, angles), v)

    def _pairs(self) -> dict[str, dict[str, jax.Array]]:
        """The adapter pairs of this layer by kernel name; none without a LoRA configuration."""
        if self.lora is None:
            return {}

        def initial(pair: dict) -> dict:
            return initialise(pair, self.make_rng("params"), jnp.float32)

        described = lora_parameters(self.config, self.lora)
        return {name: self.variable("lora", name, initial, pair).value for name, pair in described.items()}


class _Dense:
    """The linear maps of a layer by name: kernel, bias and adapter, as far as they are there."""

    def __init__(
        self,
        weights: Mapping[str, jax.Array],
        lora: LoraConfig | None,
        pairs: Mapping[str, Mapping[str, jax.Array]],
        dropout_key: jax.Array | None,
    ):
        self.weights, self.lora, self.pairs, self.dropout_key = weights, lora, pairs, dropout_key

    def __call__(self, name: str, x: jax.Array) -> jax.Array:
        """[..., in] -> [..., out]."""
        y = linear(x, self.weights[name])
        if f"{name}_bias" in self.weights:
            y = y + self.weights[f"{name}_bias"].astype(y.dtype)
        return self.adapted(name, y, x)

    def adapted(self, target: str, y: jax.Array, x: jax.Array) -> jax.Array:
        """y and what the adapter of `target` makes of x."""
        if target not in self.pairs:
            return y
        assert self.lora is not None
        key = self.dropout_key
        if key is not None:
            key = jax.random.fold_in(key, list(self.pairs).index(target))
        return y + adapter_output(x, self.pairs[target], self.lora.scale_of(target), self.lora.dropout, key)


class Transformer(nn.Module):
    """The architecture of `config`, computed in `dtype`.

    The backward pass keeps all activations of a layer, or with `keep` only those named there (() recomputes the
    whole layer). `unrolled` compiles the layers one after another instead of one loop over them: leaves with a layer
    axis may then be lists of each layer's own (`unstacked`), and nothing is sown.

    With a `LoraConfig` the collection `lora` must be there. When `deterministic` is false and the adapter has
    dropout, `apply` needs rngs={"dropout": key}. Layer outputs are sown as intermediates/layers/hidden.
    """

    config: ModelConfig
    lora: LoraConfig | None = None
    dtype: Any = jnp.float32
    keep: tuple[Activation, ...] | None = None
    unrolled: bool = False

    def setup(self) -> None:
        self.outer = {
            name: self.param(name, p.init, p.shape) for name, p in outer_parameters(self.config).items()
        }
        self.layers = nn.scan(
            _layer_type(self.keep),
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
        """Hidden states [B, T, D] after the final norm, and the new cache (None without one).

        tokens and positions are int32; `cache` is the rows' own cache of the layout `Cached`.
        """
        rope, wide = self.config.rope, statistics_dtype(self.dtype)
        angles = None if rope is None else rotation(positions_BT, self.config.head_dim, rope, wide)
        dropout_keys = None
        if self.lora is not None and self.lora.dropout > 0 and not deterministic:
            dropout_keys = jax.random.split(self.make_rng("dropout"), self.config.num_layers)
        layout, states = layout.per_layer()
        x_BTD = self.outer["embed_tokens"][tokens_BT].astype(self.dtype)
        x_BTD = constrain(x_BTD, "batch", None, None)
        carry = x_BTD, cache
        if self.unrolled:
            x_BTD, cache = self._one_by_one(carry, angles, layout, states, dropout_keys)
        else:
            (x_BTD, cache), _ = self.layers(carry, angles, layout, states, dropout_keys)
        hidden_BTD = rms_norm(x_BTD, self.outer["norm"], self.config.norm_eps)
        return hidden_BTD, cache

    def _one_by_one(self, carry: Any, angles: Rotation | None, layout: Layout, *given: Any) -> Any:
        """As `layers`; `given` has a layer axis, as the weights have."""
        layer = _layer_type(self.keep)(self.config, self.lora, parent=None)
        weights = {
            name: tree["layers"] for name, tree in self.variables.items() if name in ("params", "lora")
        }
        for number in range(self.config.num_layers):
            own, *others = jax.tree.map(itemgetter(number), (weights, *given), is_leaf=_is_list)
            carry, _ = layer.apply(own, carry, angles, layout, *others)
        return carry

    def logits(self, hidden: jax.Array, inverse_norm_V: jax.Array | None = None) -> jax.Array:
        """Scores of the next token, [..., D] -> [..., V] in float32.

        The norms of a NormHead's rows are computed where they are not given; other heads have none.
        """
        head_VD, norms_V = output_head(self.config, self.outer, inverse_norm_V)
        return head_logits(hidden, head_VD, norms_V)

    def logits_of(
        self, hidden: jax.Array, tokens: jax.Array, inverse_norm_V: jax.Array | None = None
    ) -> jax.Array:
        """As `logits`, of some tokens only: [..., D] and ids [..., X] -> [..., X] in float32."""
        head_VD, norms_V = output_head(self.config, self.outer, inverse_norm_V)
        return head_logits_of(hidden, tokens, head_VD, norms_V)


def output_head(
    config: ModelConfig, params: Mapping[str, Any], inverse_norm_V: jax.Array | None = None
) -> tuple[jax.Array, jax.Array | None]:
    """The head's rows [V, D] and, for a NormHead, their inverse norms [V] in float32."""
    head_VD = params["embed_tokens" if config.tied_head else "lm_head"]
    if config.norm_head and inverse_norm_V is None:
        inverse_norm_V = inverse_row_norms(head_VD)
    return head_VD, inverse_norm_V


def unstacked(tree: Any) -> Any:
    """The tree with a list of each layer's own array in place of every array with a layer axis."""
    return jax.tree.map(lambda x: [x[number] for number in range(len(x))], tree)


def _is_list(x: Any) -> bool:
    return isinstance(x, list)


def _layer_type(keep: tuple[Activation, ...] | None) -> type[Layer]:
    """The layer that keeps only the named activations for its backward pass, or all of them."""
    if keep is None:
        return Layer
    policy = jax.checkpoint_policies.save_only_these_names(*keep)
    return nn.remat(Layer, prevent_cse=False, policy=policy)


def empty_cache(config: ModelConfig, rows: int, slots: int, dtype: jax.typing.DTypeLike) -> KV:
    """The rows' own cache before any token: KV [layers, B, G, S, C] of zeros."""
    shape = (config.num_layers, rows, config.num_kv_heads, slots, config.head_dim)
    return laid_cache(KV(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype)))


def laid_cache(cache: KV) -> KV:
    """The rows' own cache as it lies on a mesh: rows over the batch axes, heads over `tensor`."""
    return jax.tree.map(lambda x: constrain(x, None, "batch", "heads", None, None), cache)
