"""Which optional packages belong to which extra, and what to type to get them."""

EXTRAS: dict[str, tuple[str, ...]] = {
    "model": (
        "jax",
        "flax",
        "optax",
        "orbax-checkpoint",
        "grain",
        "transformers",
        "safetensors",
        "sentencepiece",
        "matplotlib",
    ),
    "serve": ("fastapi", "uvicorn", "prometheus-client"),
    "leakage": ("datasketch",),
    "hub": ("pyarrow",),
    "spacy": ("spacy",),
    "align": ("eflomal",),
    "supervised": ("python-crfsuite",),
    "ray": ("ray",),
    "tensorboard": ("tensorboard",),
    "interop": ("torch", "peft", "accelerate"),
}
"""Extra -> the distributions a user would notice missing (pyproject.toml has them with their versions)."""

_ALSO_IMPORTED_AS = {
    "jaxlib": "jax",
    "orbax": "orbax-checkpoint",
    "pycrfsuite": "python-crfsuite",
    "prometheus_client": "prometheus-client",
    "starlette": "fastapi",
}


def extra_of(module: str) -> str | None:
    """The extra that brings the top-level package of `module` ("orbax.checkpoint" -> "model"), or None."""
    package = module.partition(".")[0]
    distribution = _ALSO_IMPORTED_AS.get(package, package)
    return next((extra for extra, names in EXTRAS.items() if distribution in names), None)


def how_to_install(extra: str) -> str:
    """One sentence with the command that installs `extra`."""
    sentence = f"Install it with: pip install 'kcx-jax[{extra}]'"
    if extra == "model":
        return f"{sentence} (on NVIDIA GPUs cuda12 or cuda13 instead of model)"
    return sentence
