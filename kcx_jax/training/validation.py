"""The loss on held-out trees, as training would count it: same packing, nothing dropped, no update."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import jax
from jax.sharding import Mesh

from kcx_jax.data import PlanOptions, TokenTree, batch_iterator, make_plan
from kcx_jax.models import Transformer
from kcx_jax.ops.layouts import Backend
from kcx_jax.ops.program import Program
from kcx_jax.training.step import put_batch, summed_loss


class Validation:
    """Held-out trees in a plan of one epoch, made once: every evaluation computes the same rows in the same order."""

    def __init__(
        self,
        module: Transformer,
        trees: Sequence[TokenTree],
        options: PlanOptions,
        mesh: Mesh,
        attention: Backend = "auto",
    ):
        self.module, self.trees, self.mesh, self.attention = module, trees, mesh, attention
        self.plan = make_plan(trees, options, epochs=1)

    def loss(self, variables: Mapping[str, Any]) -> float:
        """The mean over all targets, in nats; to be called under `jax.set_mesh`."""
        batches = batch_iterator(self.trees, self.plan, jax.process_index(), jax.process_count())
        sums = [self._summed(variables, put_batch(batch, self.mesh)) for batch in batches]
        totals, counts = zip(*jax.device_get(sums), strict=True)
        return float(sum(map(float, totals)) / sum(map(float, counts)))

    @cached_property
    def _summed(self) -> Callable[..., Any]:
        return Program(
            lambda variables, batch: summed_loss(
                self.module, variables, batch, train_head=False, attention=self.attention
            )
        )
