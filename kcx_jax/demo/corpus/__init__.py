"""The demo's corpus: a generator over hand-written frames and lexicons in English, Chinese and Spanish.

Lives here: text written for this project, and how records are made from it, the same ones in every language.
Not here: what the demo does with them.
"""

from kcx_jax.demo.corpus.constructed import (
    CONSTRUCTED,
    UNSPACED,
    construct,
    in_language,
    phrase,
    source_of,
)
from kcx_jax.demo.corpus.generate import everyday_frames, everyday_lexicon, generate, schema
from kcx_jax.demo.corpus.tables import LANGUAGES

__all__ = [
    "CONSTRUCTED",
    "LANGUAGES",
    "UNSPACED",
    "construct",
    "everyday_frames",
    "everyday_lexicon",
    "generate",
    "in_language",
    "phrase",
    "schema",
    "source_of",
]
