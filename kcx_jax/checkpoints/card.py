"""The README.md of an exported folder: where it comes from, what may be done with it, what to mind."""

import numpy as np

from kcx_jax import __version__
from kcx_jax.checkpoints.model import LoadedModel

_LAYOUTS = {
    "baichuan": "the layout of the Baichuan2 release: fused `W_pack`, a head that is normalised when used",
    "llama": "the plain Llama layout (`LlamaForCausalLM`): q, k, v apart, a normalised head, no remote code",
    "peft": "the layout of PEFT: a LoRA adapter for the base named below",
}

_CARD = """\
---
library_name: {library}
tags: [information-extraction, kcx_jax]
---

# {title}

Written by kcx_jax {version} in {layout}.

| | |
|---|---|
| base | {base} |
| adapter | {adapter} |
| size | {layers} layers, hidden {hidden}, vocabulary {vocabulary} |
| dtype | {dtype} |

## Licence

These weights derive from the base and are under its licence; for Baichuan2 that is the Community License for
Baichuan2 Model. The data an adapter was tuned on may set further terms.

## Reserved symbols

Text that spells a reserved symbol, such as `<reserved_106>`, becomes that symbol in most programs, so whoever
writes the text can forge a role marker. kcx_jax reads it as plain text; elsewhere, remove such strings from
text you do not trust.
"""


def model_card(model: LoadedModel, format: str, dtype: np.dtype) -> str:
    """The card of `model` as exported in `format`, Markdown."""
    adapter = "none"
    if model.lora_config is not None:
        lora = model.lora_config
        use = "this one" if format == "peft" else "merged in"
        shape = f"rank {lora.rank}, alpha {lora.alpha:g} on {', '.join(lora.targets)}"
        adapter = f"{model.adapter_name} ({use}): {shape}"
    return _CARD.format(
        library="peft" if format == "peft" else "transformers",
        title=f"{model.name}, exported",
        version=__version__,
        layout=_LAYOUTS[format],
        base=model.name,
        adapter=adapter,
        layers=model.config.num_layers,
        hidden=model.config.hidden_size,
        vocabulary=model.config.vocab_size,
        dtype=dtype.name,
    )
