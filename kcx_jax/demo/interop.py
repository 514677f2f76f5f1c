"""Whether an export computes the same in another library: a check that runs where torch is installed."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from kcx_jax.checkpoints import LoadedModel


def largest_difference(model: LoadedModel, llama: Path, text: str) -> float | None:
    """The largest difference between our logits for `text` and transformers' on the exported folder, in float32.

    None where torch is not installed. The tokenizer of the export has to give our ids, or this raises `ValueError`.
    """
    if find_spec("torch") is None:
        return None
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ids = model.tokenizer.encode(text)
    theirs = AutoTokenizer.from_pretrained(llama)(text, add_special_tokens=False)["input_ids"]
    if theirs != ids:
        raise ValueError(f"the exported tokenizer gives other ids for {text!r}: {theirs}, not {ids}")
    exported = AutoModelForCausalLM.from_pretrained(llama, dtype=torch.float32)
    with torch.no_grad():
        expected = exported(torch.tensor([ids])).logits[0].numpy()
    return float(np.abs(np.asarray(model.logits([ids]))[0] - expected).max())
