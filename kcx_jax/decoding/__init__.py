"""From prompts to answers: prefix cache, answer automaton, drafts and sampler, jitted with static shapes.

Lives here: generating tokens. Not here: turning them into grounded instances (`extraction`).
"""

from kcx_jax.decoding.generator import ContextTooLongError, Generator
from kcx_jax.decoding.live import (
    Live,
    LiveClosedError,
    LiveFailedError,
    LiveFigures,
    QueueFullError,
    Ticket,
    Wanted,
)
from kcx_jax.decoding.requests import Generated, Stops
from kcx_jax.decoding.rules import Constraint, Level

__all__ = [
    "Constraint",
    "ContextTooLongError",
    "Generated",
    "Generator",
    "Level",
    "Live",
    "LiveClosedError",
    "LiveFailedError",
    "LiveFigures",
    "QueueFullError",
    "Stops",
    "Ticket",
    "Wanted",
]
