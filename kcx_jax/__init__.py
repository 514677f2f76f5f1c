"""kcx_jax: KnowCoder-X in JAX, multilingual information extraction written as Python code.

Import what you need from the rooms of the house (``kcx_jax.schema``, ``kcx_jax.extraction``, ...): this
module imports none of them, so that ``import kcx_jax`` is instant and JAX is loaded only by who computes.
"""

__version__ = "0.1.0"
