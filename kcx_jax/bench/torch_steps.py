"""LoRA steps in PyTorch: transformers and peft as they come. Imports no JAX, so that a process's memory is theirs.

A part is what `forward` takes (ids and labels, -100 where there is no target); a step is parts one after another, its
loss the mean over the targets of all of them.
"""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from kcx_jax.bench.apart import peak_rss_bytes

Part = Mapping[str, Any]
Sample = tuple[Sequence[int], int]
"""Ids, and how many of them, the last, are the answer."""
Rows = Literal["padded", "packed"]
"""One sample a row, sorted by length; or samples one after another in one row, told apart by their positions."""
SAMPLES_FILE = "samples.json"
ADAPTER_FOLDER = "adapter"
NO_TARGET = -100


class Timed(NamedTuple):
    """Seconds of the steps after the first `warm` ones, of the clock and of all threads, and the loss of each step."""

    seconds: float
    cpu_seconds: float
    losses: list[float]


def timed_steps(tuned: Any, steps: Sequence[Sequence[Part]], warm: int, autocast: Any = None) -> Timed:
    """Tune a peft model by AdamW, under `autocast` to that dtype if it is given."""
    import torch

    trained = [weight for weight in tuned.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-4, weight_decay=1e-4, fused=device() == "cuda")
    losses = []
    for number, parts in enumerate(steps):
        if number == warm:
            wait()
            start, cpu = time.perf_counter(), time.process_time()
        count = sum((part["labels"] != NO_TARGET).sum() for part in parts)
        total = torch.zeros((), device=device())
        for part in parts:
            with nullcontext() if autocast is None else torch.autocast(device(), autocast):
                loss = tuned(**part, num_items_in_batch=count, use_cache=False).loss
            loss.backward()
            total += loss.detach()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        losses.append(total)
    wait()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return Timed(seconds, cpu, [float(loss) for loss in losses])


def tune_folder(folder: Path, rows: Rows, samples_at_once: int, steps: int, warm: int) -> dict[str, float]:
    """Figures of tuning the model, adapter and samples of `folder` in float32; every step is all samples."""
    import torch
    from peft import PeftModel
    from transformers import LlamaForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    base = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
    tuned = PeftModel.from_pretrained(base, folder / ADAPTER_FOLDER, is_trainable=True).to(device()).train()
    samples = json.loads((folder / SAMPLES_FILE).read_text())
    ordered = sorted(samples, key=lambda sample: len(sample[0]))
    arranged = padded if rows == "padded" else packed
    cut = range(0, len(ordered), samples_at_once)
    parts = [arranged(ordered[at : at + samples_at_once]) for at in cut]
    reset_peak()
    seconds, cpu_seconds, losses = timed_steps(tuned, [parts] * (warm + steps), warm)
    tokens = sum(len(ids) - 1 for ids, _ in samples)
    read = sum(part["input_ids"].numel() for part in parts)
    return {
        "seconds_per_step": seconds / steps,
        "samples_per_second": len(samples) * steps / seconds,
        "tokens_per_second": tokens * steps / seconds,
        "padding": 1 - tokens / read,
        "cpu_seconds_per_step": cpu_seconds / steps,
        "peak_bytes": peak(),
        "first_loss": losses[0],
        "last_loss": losses[-1],
    }


def padded(samples: Sequence[Sample]) -> Part:
    """One sample a row, padded on the right. No mask is needed: causal attention never looks right, and a mask would
    keep attention from its fused kernel.
    """
    width = max(len(ids) for ids, _ in samples)
    shape = len(samples), width
    ids_RT, labels_RT = np.zeros(shape, np.int64), np.full(shape, NO_TARGET)
    for row, (ids, answer) in enumerate(samples):
        ids_RT[row, : len(ids)] = ids
        labels_RT[row, : len(ids)] = _labels(ids, answer)
    return _placed(input_ids=ids_RT, labels=labels_RT)


def packed(samples: Sequence[Sample]) -> Part:
    """All samples in one row; transformers tells them apart where positions begin again."""
    ids_T = np.concatenate([ids for ids, _ in samples])
    labels_T = np.concatenate([_labels(*sample) for sample in samples])
    positions_T = np.concatenate([np.arange(len(ids)) for ids, _ in samples])
    return _placed(input_ids=ids_T[None], labels=labels_T[None], position_ids=positions_T[None])


def _labels(ids: Sequence[int], answer: int) -> np.ndarray:
    return np.where(np.arange(len(ids)) < len(ids) - answer, NO_TARGET, ids)


def _placed(**arrays: np.ndarray) -> Part:
    import torch

    return {name: torch.from_numpy(array).to(device()) for name, array in arrays.items()}


def device() -> str:
    """What PyTorch computes on."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def wait() -> None:
    """Until the device is done; the CPU always is."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def reset_peak() -> None:
    """Count `peak` from here."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak() -> int:
    """The most bytes of the GPU in use since `reset_peak`; without a GPU, of this process's memory ever."""
    import torch

    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else peak_rss_bytes()
