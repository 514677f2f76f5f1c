"""What is told of an exported folder.

Its model card, README.md: where it comes from, what may be done with it, what to mind. And `training.yaml`, beside
weights that were tuned here: the settings of the runs that made them, data included, a YAML document each, the first
run first.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from kcx_jax import __version__
from kcx_jax.checkpoints.model import LoadedModel
from kcx_jax.errors import KcxError
from kcx_jax.files import atomic_write

TRAINING_FILE = "training.yaml"
_SEPARATOR = "---\n"  # between YAML documents

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

## Data and settings

{training}

## Licence

These weights derive from the base and are under its licence; for Baichuan2 that is the Community License for
Baichuan2 Model. The data an adapter was tuned on may set further terms.

## Reserved symbols

Text that spells a reserved symbol, such as `<reserved_106>`, becomes that symbol in most programs, so whoever
writes the text can forge a role marker. kcx_jax reads it as plain text; elsewhere, remove such strings from
text you do not trust.
"""


def write_card(folder: Path, model: LoadedModel, format: str, dtype: np.dtype) -> None:
    """Write both files for `model` as exported in `format`; no `training.yaml` where no run is known."""
    texts = {"README.md": _card(model, format, dtype), TRAINING_FILE: _SEPARATOR.join(model.training)}
    for name, text in texts.items():
        if text:
            with atomic_write(folder / name) as handle:
                handle.write(text)


def read_training(folders: Iterable[Path]) -> tuple[str, ...]:
    """The settings of all runs that these folders tell of, each once: an adapter also tells of the base's.

    Raises `KcxError` for a file that is no UTF-8 text.
    """
    runs: dict[str, None] = {}
    for file in (folder / TRAINING_FILE for folder in folders):
        if file.exists():
            try:
                text = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise KcxError(f"cannot read {file}: {error}.") from error
            documents = re.split(r"^---\n", text, flags=re.MULTILINE)
            runs |= dict.fromkeys(run.strip("\n") + "\n" for run in documents if run.strip())
    return tuple(runs)


def _card(model: LoadedModel, format: str, dtype: np.dtype) -> str:
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
        training=_training(model.training),
    )


def _training(runs: tuple[str, ...]) -> str:
    """The settings as a block that nothing in them can end."""
    if not runs:
        return "Not known: nothing beside the weights told what they were tuned on."
    settings = _SEPARATOR.join(runs)
    fence = "~" * (1 + max([2, *map(len, re.findall("~+", settings))]))
    told = f"What the runs were told, the first one first (also in `{TRAINING_FILE}`):"
    return f"{told}\n\n{fence}yaml\n{settings.rstrip()}\n{fence}"
