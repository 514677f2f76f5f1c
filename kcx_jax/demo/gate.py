"""The gate of bases in 8 bits on the shipped base and the demo's own sentences."""

from collections.abc import Sequence

from kcx_jax.bench.gates import GateRun, quantisation_gate
from kcx_jax.checkpoints import load_pretrained
from kcx_jax.data import encode_tree
from kcx_jax.demo.base import SHIPPED
from kcx_jax.demo.corpus import generate
from kcx_jax.demo.tuning import extraction_trees
from kcx_jax.ops import Quantisation

_LANGUAGES = ("en", "zh")


def demo_gate(kinds: Sequence[Quantisation], run: GateRun, items: int = 400) -> dict[str, dict[str, float]]:
    """`quantisation_gate` of the shipped base, tuned on `items` sentences in each of two languages."""
    model = load_pretrained(SHIPPED, dtype=run.dtype)
    records = generate(1, items, "train")
    trees = [
        encode_tree(model.tokenizer, tree)
        for language in _LANGUAGES
        for tree in extraction_trees([item[language] for item in records])
    ]
    return quantisation_gate(model.config, model.params, trees, kinds, run)
