"""Records + schema -> `PromptTree`: a schema is a prefix, sentences are branches.

Lives here: the wording of extraction (stage 2) and alignment (stage 1), and what a seed varies between prompts.
Not here: token ids (`data`).
"""

from kcx_jax.prompts.alignment import alignment_branch, alignment_tree
from kcx_jax.prompts.exemplars import ExemplarPool
from kcx_jax.prompts.extraction import (
    extraction_branch,
    extraction_prefix,
    extraction_tree,
    pair_instances,
    sentence_context,
)
from kcx_jax.prompts.instances import answer_instances
from kcx_jax.prompts.overlap import Overlap, exemplar_overlap, without_exemplars
from kcx_jax.prompts.sampling import sample_alignment_trees, sample_schema, sample_trees, shuffle_schema
from kcx_jax.prompts.settings import PromptConfig
from kcx_jax.prompts.splitting import split_schema
from kcx_jax.prompts.tree import Branch, PromptTree

__all__ = [
    "Branch",
    "ExemplarPool",
    "Overlap",
    "PromptConfig",
    "PromptTree",
    "alignment_branch",
    "alignment_tree",
    "answer_instances",
    "exemplar_overlap",
    "extraction_branch",
    "extraction_prefix",
    "extraction_tree",
    "pair_instances",
    "sample_alignment_trees",
    "sample_schema",
    "sample_trees",
    "sentence_context",
    "shuffle_schema",
    "split_schema",
    "without_exemplars",
]
