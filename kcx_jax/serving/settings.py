"""What a server is told when it starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from kcx_jax.decoding import Level
from kcx_jax.errors import UsageError
from kcx_jax.schema import Schema


@dataclass(frozen=True)
class Settings:
    """How a server behaves; sizes in bytes, times in seconds.

    `model` is what it is called in answers. At most `queue` requests wait or are answered at once; each has `timeout`
    seconds, and after SIGTERM `drain`. Bodies have `max_body` bytes at most, answers `max_new_tokens` tokens. Answers
    of extraction are held to the level `constraint`, or to nothing at "off". `schemas` may be asked for by name. With
    an `api_key` whoever asks has to show it. Pages of `cors_origins` may ask from a browser. Raises `UsageError` for
    what cannot be.
    """

    model: str
    queue: int = 256
    timeout: float = 120.0
    drain: float = 30.0
    max_body: int = 4 << 20
    max_new_tokens: int = 256
    constraint: Level | Literal["off"] = "schema+span"
    schemas: Mapping[str, Schema] = field(default_factory=dict)
    api_key: str | None = field(default=None, repr=False)
    cors_origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("queue", "timeout", "max_body", "max_new_tokens"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name} must be above zero, found {getattr(self, name)}")
        if self.drain < 0:
            raise UsageError(f"drain must be zero or more seconds, found {self.drain}")
        if "*" in self.cors_origins and self.api_key is None:
            raise UsageError(
                "any page may ask only where an API key is needed: name the origins, or set a key"
            )
