"""A model that is ready to use: its arrays, how to compute with them, and the tokenizer that goes with them.

Shapes: B = rows, T = tokens of a row, N = new tokens, V = vocabulary.
"""

import contextlib
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from numpy.typing import ArrayLike

from kcx_jax.checkpoints.generate import generate
from kcx_jax.errors import UsageError
from kcx_jax.lora import LoraConfig, merge
from kcx_jax.models import ModelConfig, Transformer, output_head, quantisation_of
from kcx_jax.ops.layouts import Causal
from kcx_jax.ops.program import Program
from kcx_jax.ops.sampling import GREEDY, Sampling
from kcx_jax.tokenizer import Tokenizer


@dataclass(frozen=True)
class LoadedModel:
    """What `load_pretrained` gives.

    `lora` and `lora_config` are None without an adapter.

    `name` and `adapter_name` are what was asked for; `fingerprint` tells the base from others (see
    `RunStore`); `generation` is the checkpoint's generation_config.json, if it has one. `training` are the settings of
    the runs that made model and adapters, data included, as YAML, the first run first (none where none is known).
    """

    config: ModelConfig
    params: Any
    lora: Any
    lora_config: LoraConfig | None
    tokenizer: Tokenizer
    module: Transformer
    mesh: Mesh | None
    name: str
    adapter_name: str | None
    fingerprint: dict[str, str]
    generation: dict | None
    training: tuple[str, ...]

    @property
    def variables(self) -> dict[str, Any]:
        """The collections that `module.apply` takes."""
        return {"params": self.params} if self.lora is None else {"params": self.params, "lora": self.lora}

    @cached_property
    def inverse_norms(self) -> jax.Array | None:
        """The inverse row norms of a NormHead, [V] in float32, computed once; None for a plain head."""
        return jax.jit(lambda params: output_head(self.config, params)[1])(self.params)

    def merged(self) -> "LoadedModel":
        """The same model with its adapter added to the weights (float32 sum, one rounding): faster, and final.

        `UsageError` for a base in 8 bits.
        """
        if self.lora_config is None:
            return self
        self.refuse_quantised("merge its adapter into")
        params = merge(self.params, self.lora, self.lora_config, self.config.qkv_rows)
        return replace(
            self,
            params=params,
            lora=None,
            lora_config=None,
            module=self.module.clone(lora=None),
            name=f"{self.name} + {self.adapter_name}",
            adapter_name=None,
        )

    def refuse_quantised(self, to_do: str) -> None:
        """Raise `UsageError` unless the base has the values of its files, up to one rounding."""
        held = quantisation_of(self.params)
        if held is not None:
            raise UsageError(
                f"{self.name} was loaded with base_dtype={held!r}, which is not exact: to {to_do} it, load it again "
                "without base_dtype."
            )

    def logits(
        self, token_ids: ArrayLike, lengths: ArrayLike | None = None, left_padded: bool = False
    ) -> jax.Array:
        """Next-token scores: ids [B, T] int32 -> [B, T, V] float32.

        `lengths` [B] says how many tokens of each row are real, the first ones or, if `left_padded`, the
        last; all are without it. Scores at padding mean nothing. Raises `UsageError` for ids or lengths that
        cannot be.
        """
        tokens_BT, lengths_B = self._checked(token_ids, lengths, new=0)
        with self._on_mesh():
            layout = Causal(jnp.asarray(lengths_B), left_padded=left_padded)
            return _logits(self.module, self.variables, self.inverse_norms, tokens_BT, layout)

    def generate(
        self,
        token_ids: ArrayLike,
        max_new_tokens: int,
        lengths: ArrayLike | None = None,
        stop_id: int | Literal["end"] | None = "end",
        sampling: Sampling = GREEDY,
    ) -> np.ndarray:
        """The next token, again and again: ids [B, T] -> new ids [B, max_new_tokens] int32.

        The likeliest one, or as `sampling` says. Rows are padded on the right, `lengths` [B] as in
        `logits`. A row ends with `stop_id` ("end": the tokenizer's end token, None: never) and has the pad id after
        it. The engine for many prompts of one prefix is `decoding`; this is the plain loop.
        """
        tokens_BT, lengths_B = self._checked(token_ids, lengths, new=max_new_tokens)
        stop = -1 if stop_id is None else self.tokenizer.eos_id if stop_id == "end" else stop_id
        with self._on_mesh():
            new_BN = generate(
                *(self.module, max_new_tokens, sampling.sampler(self.config.vocab_size)),
                *(self.variables, self.inverse_norms, tokens_BT, lengths_B, stop),
            )
        return np.asarray(new_BN)

    def _on_mesh(self) -> contextlib.AbstractContextManager:
        return contextlib.nullcontext() if self.mesh is None else jax.set_mesh(self.mesh)

    def _checked(
        self, token_ids: ArrayLike, lengths: ArrayLike | None, new: int
    ) -> tuple[np.ndarray, np.ndarray]:
        tokens_BT = np.asarray(token_ids)
        if tokens_BT.ndim != 2 or tokens_BT.dtype.kind not in "iu" or 0 in tokens_BT.shape:
            raise UsageError(
                f"token ids must be whole numbers [B, T], found {tokens_BT.dtype} {tokens_BT.shape}."
            )
        rows, width = tokens_BT.shape
        lengths_B = np.full(rows, width) if lengths is None else np.asarray(lengths)
        if tokens_BT.min() < 0 or tokens_BT.max() >= self.config.vocab_size:
            raise UsageError(f"token ids must lie in the vocabulary, 0 to {self.config.vocab_size - 1}.")
        if lengths_B.shape != (rows,) or lengths_B.min() < 1 or lengths_B.max() > width:
            raise UsageError(f"lengths must be {rows} numbers from 1 to {width}, found {lengths_B}.")
        if new < 0 or width + new > self.config.max_positions:
            raise UsageError(
                f"{width} tokens and {new} new ones do not fit {self.config.max_positions} positions."
            )
        return tokens_BT.astype(np.int32), lengths_B.astype(np.int32)


@partial(Program, static_argnums=0)
def _logits(
    module: Transformer,
    variables: Any,
    inverse_norm_V: jax.Array | None,
    tokens_BT: jax.Array,
    layout: Causal,
) -> Any:
    hidden_BTD, _ = module.apply(variables, tokens_BT, layout.positions(tokens_BT.shape[1]), layout)
    return module.apply(variables, hidden_BTD, inverse_norm_V, method="logits")
