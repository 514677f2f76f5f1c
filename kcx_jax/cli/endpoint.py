"""Options that commands with a chat endpoint share."""

import os
from typing import Annotated

import typer

from kcx_jax.errors import UsageError

BaseUrl = Annotated[
    str | None, typer.Option(metavar="URL", help="Endpoint; default: OPENAI_BASE_URL, else OpenAI.")
]
ApiKeyEnv = Annotated[
    str | None, typer.Option(metavar="NAME", help="Variable with the API key; default: OPENAI_API_KEY.")
]
Concurrency = Annotated[int, typer.Option(min=1, help="Requests under way at once.")]


def key_from(name: str | None) -> str | None:
    """The key in the variable `name`; None leaves the choice to the client. `UsageError` when it is not set."""
    if name is None:
        return None
    if not os.environ.get(name):
        raise UsageError(f"--api-key-env names the variable {name}, which is not set")
    return os.environ[name]
