"""The chat clients of a command that sends."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kcx_jax.cli.endpoint import key_from

if TYPE_CHECKING:
    from kcx_jax.llm import ChatClient, Prices


def clients_of(
    models: Sequence[str], prices: "Prices", base_url: str | None, api_key_env: str | None, **settings: Any
) -> "tuple[ChatClient, ChatClient | None]":
    """A client for the first model and one for its fallback, if there is one; `settings` are `ChatClient`'s."""
    from kcx_jax.llm import ChatClient

    api_key = key_from(api_key_env)
    client, *others = [ChatClient(name, base_url, api_key, price=prices[name], **settings) for name in models]
    return client, next(iter(others), None)
