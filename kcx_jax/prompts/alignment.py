"""Stage 1, alignment: instruction = source input + source answer + target input, completion = target answer.

    source_sentence = "Ada Lovelace was born in London."
    source_results = [Person("Ada Lovelace"), City("London")]
    sentence = "埃达·洛夫莱斯生于伦敦。"
    results = [Person("埃达·洛夫莱斯"), City("伦敦")]

The prefix is that of extraction: the target's lines ask for the same thing in the same words, with a solved
translation in front of them.
"""

from collections.abc import Sequence

from kcx_jax.corpora import ParallelRecord
from kcx_jax.prompts.extraction import answer_text, extraction_prefix, sentence_context
from kcx_jax.prompts.tree import Branch, PromptTree
from kcx_jax.schema import Schema, Task, quote


def alignment_branch(pair: ParallelRecord, schema: Schema, task: Task = "ner") -> Branch:
    """The branch of one pair. Raises `KcxError` when a side is not annotated for the task."""
    context = (
        f"source_sentence = {quote(pair.source.text)}\n"
        f"source_results ={answer_text(pair.source, schema, task)}\n"
        f"{sentence_context(pair.target.text)}"
    )
    return Branch(context, answer_text(pair.target, schema, task), pair.id)


def alignment_tree(schema: Schema, pairs: Sequence[ParallelRecord], task: Task = "ner") -> PromptTree:
    """One prefix and a branch a pair, in the order given.

    From source to target only: swap a pair for the reverse.
    """
    branches = tuple(alignment_branch(pair, schema, task) for pair in pairs)
    return PromptTree(task, extraction_prefix(schema, task), branches, schema.for_task(task))
