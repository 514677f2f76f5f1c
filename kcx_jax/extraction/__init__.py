"""`Extractor`: text + schema -> grounded instances, from our models or from a chat endpoint.

Lives here: the door for people who only want entities out of text. Runs without JAX against a chat endpoint.
Not here: what a prompt looks like (`prompts`), how tokens are chosen (`decoding`).
"""

from kcx_jax.extraction.answers import Answer, AnswerSource, Ask, Figures, Question, Room
from kcx_jax.extraction.extractor import Extractor
from kcx_jax.extraction.reading import Reader, Reading
from kcx_jax.extraction.results import (
    AnswerProblem,
    FoundArgument,
    FoundEntity,
    FoundEvent,
    FoundRelation,
    Repair,
    Result,
)
from kcx_jax.extraction.windows import Window

__all__ = [
    "Answer",
    "AnswerProblem",
    "AnswerSource",
    "Ask",
    "Extractor",
    "Figures",
    "FoundArgument",
    "FoundEntity",
    "FoundEvent",
    "FoundRelation",
    "Question",
    "Reader",
    "Reading",
    "Repair",
    "Result",
    "Room",
    "Window",
]
