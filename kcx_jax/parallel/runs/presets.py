"""Pairs of models by name: the one that translates, and the one for what it fails at."""

from kcx_jax.errors import UsageError

PRESETS = {
    # What the paper used. Both are announced to be shut down on 14 January 2027.
    "paper": ("gpt-4o-mini", "gpt-4o"),
    "current": ("gpt-5.4-mini", "gpt-5.4"),
}


def preset_named(name: str) -> tuple[str, str]:
    """The two models; `UsageError` naming the presets there are."""
    if name not in PRESETS:
        raise UsageError(f"unknown preset {name!r}: one of {', '.join(PRESETS)}")
    return PRESETS[name]
