"""AdamW with a learning rate that warms up and then falls, for some groups of what trains times a factor."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import optax

from kcx_jax.errors import UsageError

if TYPE_CHECKING:
    from kcx_jax.training.config import OptimiserSettings


def learning_rate(settings: "OptimiserSettings", steps: int, peak: float | None = None) -> optax.Schedule:
    """Step (from 0) -> learning rate over `steps` steps: linear warm-up, then to zero by a cosine or a line, or
    constant.
    """
    peak = settings.learning_rate if peak is None else peak
    warmup = round(settings.warmup * steps)
    if settings.schedule == "cosine":
        after = optax.cosine_decay_schedule(peak, max(1, steps - warmup))
    elif settings.schedule == "linear":
        after = optax.linear_schedule(peak, 0.0, max(1, steps - warmup))
    else:
        after = optax.constant_schedule(peak)
    if not warmup:
        return after
    # From peak / warmup rather than zero: a step that changes nothing would be wasted.
    return optax.join_schedules(
        [optax.linear_schedule(peak / warmup, peak, max(1, warmup - 1)), after], [warmup]
    )


def make_optimiser(settings: "OptimiserSettings", rate: optax.Schedule) -> optax.GradientTransformation:
    """Clipping by the global norm, then AdamW as in PyTorch: decay decoupled, times the learning rate of its group."""
    adamw = optax.adamw(
        rate,
        b1=settings.beta1,
        b2=settings.beta2,
        eps=settings.epsilon,
        weight_decay=settings.weight_decay,
        mask=_decays,
    )
    parts = [] if settings.clip is None else [optax.clip_by_global_norm(settings.clip)]
    parts.append(adamw)
    if settings.rate_factors:
        parts.append(optax.stateless(lambda updates, _: _scaled(updates, settings.rate_factors)))
    return optax.chain(*parts)


def _scaled(updates: Any, factors: Mapping[str, float]) -> Any:
    """Each leaf times the factors of all groups it is in. `UsageError` for a group that holds nothing."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(updates)
    names = [tuple(jax.tree_util.keystr((key,), simple=True) for key in path) for path, _ in leaves]
    for group in factors:
        if not any(_within(group, name) for name in names):
            known = sorted({part for name in names for part in name} - {"layers"})
            raise UsageError(
                f"optimiser.rate_factors: nothing that trains is named {group!r}; names are {', '.join(known)}, or "
                "two joined by a dot."
            )
    scaled = [
        update * math.prod(factor for group, factor in factors.items() if _within(group, name))
        for name, (_, update) in zip(names, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, scaled)


def _within(group: str, name: tuple[str, ...]) -> bool:
    """Whether the dotted `group` is a run of the parts of a leaf's name."""
    wanted = tuple(group.split("."))
    return any(name[at : at + len(wanted)] == wanted for at in range(len(name)))


def _decays(params: Any) -> Any:
    """True for matrices, false for the scales of norms."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: "norm" not in jax.tree_util.keystr(path).lower(), params
    )
