"""An adapter in another form that adds exactly the same: several as one, the fused W_pack split, q, k and v fused.

Leaves are stacked: A [layers, r, in], B [layers, out, r]. Adapters with one scale keep their values bit for bit; where
scales differ, each B is multiplied by its own (in its dtype), and the scale of the result is 1.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from kcx_jax.errors import UsageError
from kcx_jax.lora.adapter import FUSED, SPLIT, TARGETS, LoraConfig, Rows

Adapter = tuple[Mapping[str, Any], LoraConfig]
Piece = tuple[Any, Any, float]  # A, B, scale


def joined(adapters: Sequence[Adapter], rows: Rows) -> Adapter:
    """One adapter of the summed rank that adds what all of `adapters` add (a chain of them on one base).

    Where some adapt W_pack and some its parts, all are split. `rows` as in `merge`.
    """
    if len(adapters) == 1:
        return adapters[0]
    if any(not set(config.targets).isdisjoint(SPLIT) for _, config in adapters):
        adapters = [split(*adapter, rows) for adapter in adapters]
    pieces: dict[str, list[Piece]] = {}
    for lora, config in adapters:
        for target, pair in lora["layers"].items():
            pieces.setdefault(target, []).append((pair["A"], pair["B"], config.scale_of(target)))
    return _assembled(
        {target: _side_by_side(found) for target, found in pieces.items()}, adapters[-1][1].dropout
    )


def split(lora: Mapping[str, Any], config: LoraConfig, rows: Rows) -> Adapter:
    """The adapter with W_pack's pair as three of the same rank, for q_proj, k_proj and v_proj, A being the same."""
    if FUSED not in config.targets:
        return lora, config
    layers = dict(lora["layers"])
    fused = layers.pop(FUSED)
    layers |= {name: {"A": fused["A"], "B": fused["B"][:, own]} for name, own in rows.items()}

    def renamed(values: Any) -> dict[str, Any]:
        found = dict(values)
        own = found.pop(FUSED, None)
        return found if own is None else found | dict.fromkeys(SPLIT, own)

    targets = tuple(name for name in TARGETS if name in layers)
    changed = LoraConfig(
        config.rank,
        config.alpha,
        config.dropout,
        targets,
        config.rslora,
        renamed(config.ranks),
        renamed(config.alphas),
    )
    return {"layers": {name: layers[name] for name in targets}}, changed


def fuse(lora: Mapping[str, Any], config: LoraConfig, rows: Rows) -> Adapter:
    """The adapter with q_proj, k_proj and v_proj as one pair of W_pack.

    Exact, hence of the sum of their ranks: A is theirs one below the other, B has theirs as blocks.
    """
    present = [name for name in SPLIT if name in config.targets]
    if not present:
        return lora, config
    if config.dropout:
        raise UsageError(
            "an adapter with dropout on q_proj, k_proj and v_proj drops other inputs for each; fused, it could not. "
            "Set its dropout to 0 to use or export it fused."
        )
    layers = dict(lora["layers"])
    height = rows["v_proj"].stop
    blocks = []
    for name in present:
        pair, own = layers.pop(name), rows[name]
        above_and_below = [(0, 0), (own.start, height - own.stop), (0, 0)]
        blocks.append((pair["A"], jnp.pad(pair["B"], above_and_below), config.scale_of(name)))
    pieces = {name: (pair["A"], pair["B"], config.scale_of(name)) for name, pair in layers.items()}
    return _assembled({FUSED: _side_by_side(blocks), **pieces}, config.dropout)


def _side_by_side(pieces: Sequence[Piece]) -> Piece:
    """One pair for the sum of what `pieces` add to the same rows."""
    scales = {scale for _, _, scale in pieces}
    common = scales.pop() if len(scales) == 1 else None
    A = jnp.concatenate([A for A, _, _ in pieces], axis=1)
    B = jnp.concatenate([B if common is not None else B * scale for _, B, scale in pieces], axis=2)
    return A, B, 1.0 if common is None else common


def _assembled(pieces: Mapping[str, Piece], dropout: float) -> Adapter:
    """An adapter of these pairs by target; its alpha is what gives each its scale."""
    targets = tuple(name for name in TARGETS if name in pieces)
    ranks = {name: pieces[name][0].shape[1] for name in targets}
    alphas = {name: pieces[name][2] * ranks[name] for name in targets}
    rank, alpha = max(ranks.values()), alphas[max(ranks, key=lambda name: ranks[name])]
    config = LoraConfig(
        rank,
        alpha,
        dropout,
        targets,
        ranks={name: own for name, own in ranks.items() if own != rank},
        alphas={name: own for name, own in alphas.items() if own != alpha},
    )
    return {"layers": {name: dict(zip("AB", pieces[name][:2], strict=True)) for name in targets}}, config
