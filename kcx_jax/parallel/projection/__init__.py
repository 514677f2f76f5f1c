"""Label projection as others do it, under the figures of the builder: baselines to stand beside its three stages.

Lives here: the methods, their requests, and what is counted. Not here: the builder's own stages (`parallel`).
"""

from kcx_jax.parallel.projection.figures import figures
from kcx_jax.parallel.projection.methods import METHODS
from kcx_jax.parallel.projection.run import Projected, Projection, project

__all__ = ["METHODS", "Projected", "Projection", "figures", "project"]
