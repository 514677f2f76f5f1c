"""From prompts to answers: prefix cache and batched greedy decoding, jitted with static shapes.

Lives here: generating tokens. Not here: turning them into grounded instances (`extraction`).
"""

from kcx_jax.decoding.generator import ContextTooLongError, Generated, Generator
from kcx_jax.decoding.rules import Constraint, Level

__all__ = ["Constraint", "ContextTooLongError", "Generated", "Generator", "Level"]
