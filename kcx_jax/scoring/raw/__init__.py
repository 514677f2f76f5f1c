"""Other systems' answers as they wrote them, made into records by our grounding.

Lives here: one file a kind of answer, what they share, and the files they come in. Nothing is ever evaluated,
and time is linear in the text.
"""

from kcx_jax.scoring.raw.lines import holds_answers
from kcx_jax.scoring.raw.reading import grounded_answer, read_answers
from kcx_jax.scoring.raw.systems import SYSTEMS, parse_raw

__all__ = ["SYSTEMS", "grounded_answer", "holds_answers", "parse_raw", "read_answers"]
