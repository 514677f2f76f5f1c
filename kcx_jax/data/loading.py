"""The plan served step by step through Grain, each process packing its own rows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kcx_jax.data.batch import TreeBatch, pack_step
from kcx_jax.data.encode import TokenTree
from kcx_jax.data.plan import RowPlan
from kcx_jax.errors import UsageError

if TYPE_CHECKING:
    import grain


class _PlannedSteps:
    """A random-access source: step index -> this process's rows of that step."""

    def __init__(self, trees: Sequence[TokenTree], plan: RowPlan, rows: slice):
        self.trees, self.plan, self.rows = trees, plan, rows

    def __len__(self) -> int:
        return len(self.plan.steps)

    def __getitem__(self, index: int) -> TreeBatch:
        return pack_step(self.trees, self.plan.steps[index], self.rows)


def batch_iterator(
    trees: Sequence[TokenTree], plan: RowPlan, process_index: int = 0, process_count: int = 1
) -> "grain.DatasetIterator":
    """A Grain iterator of `TreeBatch`, with `get_state` and `set_state` for resuming.

    Processes take contiguous blocks of each step's rows in the order of their index. Raises `UsageError` when
    the rows do not divide among them.
    """
    import grain

    rows = len(plan.steps[0].rows)
    if rows % process_count:
        raise UsageError(
            f"{rows} rows a step do not divide among {process_count} processes. Change rows_per_step."
        )
    own = rows // process_count
    source = _PlannedSteps(trees, plan, slice(own * process_index, own * (process_index + 1)))
    options = grain.ReadOptions(
        num_threads=1, prefetch_buffer_size=4
    )  # packing is a fraction of a step's time
    return iter(grain.MapDataset.source(source).to_iter_dataset(options))
