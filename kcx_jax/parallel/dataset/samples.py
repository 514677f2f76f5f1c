"""Tuning samples of stage 1: what a model that is tuned on pairs reads and is to answer, as text.

`kcx train` reads the pairs themselves and makes the same prompts; these are for other programs.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kcx_jax.corpora import ParallelRecord
from kcx_jax.prompts import alignment_tree
from kcx_jax.schema import Schema, Task


def samples(
    pairs: Iterable[ParallelRecord], schema: Schema, tasks: Sequence[Task]
) -> Iterator[dict[str, Any]]:
    """A row for each pair and task: ``{"id", "task", "source_language", "target_language", "prompt", "completion"}``.

    Raises `KcxError` when a side of a pair is not annotated for a task.
    """
    for pair in pairs:
        for task in tasks:
            tree = alignment_tree(schema, [pair], task)
            (branch,) = tree.branches
            yield {
                "id": pair.id,
                "task": task,
                "source_language": pair.source.language,
                "target_language": pair.target.language,
                "prompt": tree.prefix + branch.context,
                "completion": branch.answer,
            }
