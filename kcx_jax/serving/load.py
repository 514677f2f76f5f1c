"""From a checkpoint folder to what answers requests."""

from collections.abc import Sequence

from kcx_jax.checkpoints import load_pretrained
from kcx_jax.decoding import Generator
from kcx_jax.decoding.live import Live
from kcx_jax.ops.compiled import keep_compiled
from kcx_jax.serving.asking import AT_ONCE
from kcx_jax.serving.service import Service
from kcx_jax.serving.settings import Settings


def load_service(
    settings: Settings, adapter: Sequence[str] | None = None, dtype: str | None = None, slots: int = 64
) -> Service:
    """`settings.model` with LoRA adapters, behind an engine of so many slots.

    `dtype`: "float32", "bfloat16", or None for the checkpoint's. Raises `KcxError` as
    `kcx_jax.checkpoints.load_pretrained` does.
    """
    model = load_pretrained(settings.model, adapter=adapter or None, dtype=dtype)
    keep_compiled()
    # As many asks as the requests that are taken can have in the engine: it never refuses one of theirs.
    return Service(Live(Generator(model, slots), queue_limit=settings.queue * AT_ONCE), settings)
