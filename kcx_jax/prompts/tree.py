"""The shape of every prompt: one prefix (the schema) and its branches (the sentences)."""

from dataclasses import dataclass

from kcx_jax.schema import Schema


@dataclass(frozen=True)
class Branch:
    """One sentence and its answer, as they follow the prefix.

    `context` ends in ``results =``; `answer` starts with a space and is empty when it is to be found. The end
    token behind the answer is added with the token ids. `record_id` says whose sentence it is.
    """

    context: str
    answer: str
    record_id: str


@dataclass(frozen=True)
class PromptTree:
    """A prefix (ending in a newline) and the branches that continue it, all of one task.

    `schema` holds just what the prefix shows.
    """

    task: str
    prefix: str
    branches: tuple[Branch, ...]
    schema: Schema
