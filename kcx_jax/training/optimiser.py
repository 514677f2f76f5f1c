"""AdamW with a learning rate that warms up and then falls."""

from typing import TYPE_CHECKING, Any

import jax
import optax

if TYPE_CHECKING:
    from kcx_jax.training.config import OptimiserSettings


def learning_rate(settings: "OptimiserSettings", steps: int, peak: float | None = None) -> optax.Schedule:
    """Step (from 0) -> learning rate over `steps` steps: linear warm-up, then cosine to zero or constant."""
    peak = settings.learning_rate if peak is None else peak
    warmup = round(settings.warmup * steps)
    if settings.schedule == "cosine":
        after = optax.cosine_decay_schedule(peak, max(1, steps - warmup))
    else:
        after = optax.constant_schedule(peak)
    if not warmup:
        return after
    # From peak / warmup rather than zero: a step that changes nothing would be wasted.
    return optax.join_schedules(
        [optax.linear_schedule(peak / warmup, peak, max(1, warmup - 1)), after], [warmup]
    )


def make_optimiser(settings: "OptimiserSettings", rate: optax.Schedule) -> optax.GradientTransformation:
    """Clipping by the global norm, then AdamW as in PyTorch: decay decoupled, times the learning rate."""
    adamw = optax.adamw(
        rate,
        b1=settings.beta1,
        b2=settings.beta2,
        eps=settings.epsilon,
        weight_decay=settings.weight_decay,
        mask=_decays,
    )
    return adamw if settings.clip is None else optax.chain(optax.clip_by_global_norm(settings.clip), adamw)


def _decays(params: Any) -> Any:
    """True for matrices, false for the scales of norms."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: "norm" not in jax.tree_util.keystr(path).lower(), params
    )
