"""`kcx bench train --peer peft`: LoRA tuning here and by transformers with peft: the same weights, samples and loss.

All samples of the measurement share one schema and make one step, which each side computes in parts as large as suits
it: ours as trees (a schema and the samples below it), as whole samples packed into rows, and one by one; the peer one
sample a row, sorted by length, and packed. Adapter and optimiser are the same too, so losses stay together.
"""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np

from kcx_jax.bench.apart import apart
from kcx_jax.bench.conditions import INTEROP, refuse_missing
from kcx_jax.bench.report import Report, in_turn, machine
from kcx_jax.bench.torch_steps import ADAPTER_FOLDER, SAMPLES_FILE, tune_folder
from kcx_jax.bench.train import TrainBench, bench_train
from kcx_jax.bench.workload import Lengths, random_params, random_samples
from kcx_jax.checkpoints import peft
from kcx_jax.checkpoints.folder import write_json, write_weights
from kcx_jax.checkpoints.layouts import adapter_tensors, llama_config, llama_tensors
from kcx_jax.checkpoints.tensor_file import write_tensors
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.lora import LoraConfig
from kcx_jax.models import ModelConfig, init_lora

ALL_LINEAR = LoraConfig(
    32, 64, targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
)
MOST_DIFFERENCE = 1e-5  # of the sides' losses before the first update, relative
_NEEDED = ("torch", "transformers", "peft")
Side = Callable[..., Mapping[str, float]]  # called with `steps` and `warm`


@dataclass(frozen=True)
class PeftBench:
    """`trees` times `branches` samples a step, timed `steps` times after one other; sides without trees compute
    `samples_at_once`.
    """

    config: ModelConfig
    lengths: Lengths  # of a corpus: the samples are spread over its middle half
    trees: int = 2
    branches: int = 16
    samples_at_once: int = 4
    steps: int = 2
    lora: LoraConfig = ALL_LINEAR


def shape(hidden: int, layers: int) -> ModelConfig:
    """A plain Llama of Baichuan2-7B's proportions with 8,000 tokens in its vocabulary. Raises `UsageError` where
    `hidden` is no multiple of 64.
    """
    if hidden % 64:
        raise UsageError(f"heads have 64 channels: the hidden size must be a multiple of 64, found {hidden}.")
    return ModelConfig(8000, hidden, hidden * 43 // 16, layers, hidden // 64, family="llama", norm_head=False)


def bench_peft(bench: PeftBench, rounds: int, say: Callable[[str], None]) -> Report:
    """Every side measured `rounds` times in turn, each time in a process of its own, in float32.

    Headline: samples a second of tree packing, over those of the peer's faster side. Raises `UsageError` where the peer
    is not installed or there are too few sentences, `KcxError` where the sides' losses differ at the start.
    """
    refuse_missing("peft", _NEEDED, INTEROP)
    samples = bench.trees * bench.branches
    if samples % bench.samples_at_once:
        raise UsageError(
            f"{samples} samples a step are no multiple of the {bench.samples_at_once} at once: "
            "choose other trees or branches."
        )
    bench = replace(bench, lengths=bench.lengths.middle(0.5).spread(samples))
    with tempfile.TemporaryDirectory(prefix="kcx-bench-") as name:
        apart(_write, Path(name), bench)
        sides = _sides(bench, Path(name))
        first = {what: apart(side, steps=1, warm=0)["first_loss"] for what, side in sides.items()}
        _refuse_other_losses(first)
        say(f"loss at the start: {', '.join(f'{what} {loss:.6f}' for what, loss in first.items())}")

        def measured(what: str) -> Mapping[str, float]:
            found = apart(sides[what], steps=bench.steps, warm=1)
            cpu = found["cpu_seconds_per_step"] / samples
            say(
                f"{what}: {found['samples_per_second']:.2f} samples/s, {found['tokens_per_second']:,.0f} tokens/s, "
                f"{cpu:.2f} s CPU each, peak {found['peak_bytes'] / 1e9:.2f} GB, loss {found['last_loss']:.6f}"
            )
            return found

        figures = dict(zip(sides, in_turn(rounds, *(partial(measured, what) for what in sides)), strict=True))
    ours = figures.pop("tree")
    faster = max(("peft", "peft_packed"), key=lambda what: figures[what]["samples_per_second"])
    peers = {faster: figures.pop(faster), **figures}
    ratio = ours["samples_per_second"] / peers[faster]["samples_per_second"]
    return Report(_settings(bench, rounds), ours, peers, ratio)


def _sides(bench: PeftBench, folder: Path) -> dict[str, Side]:
    samples, at_once = bench.trees * bench.branches, bench.samples_at_once
    tree = TrainBench(
        bench.config, bench.lengths, bench.branches, bench.trees, dtype="float32", lora=bench.lora
    )
    plain = replace(
        tree, packing="plain", branches=at_once, rows=samples // at_once, parts=samples // at_once
    )
    single = replace(tree, packing="none", branches=1, rows=samples, parts=samples // at_once)
    return {
        "tree": partial(_tune, folder, tree),
        "plain": partial(_tune, folder, plain),
        "one_by_one": partial(_tune, folder, single),
        "peft": partial(tune_folder, folder, "padded", at_once),
        "peft_packed": partial(tune_folder, folder, "packed", at_once),
    }


def _tune(folder: Path, bench: TrainBench, steps: int, warm: int) -> Mapping[str, float]:
    jax.config.update("jax_compilation_cache_dir", str(folder / "compiled"))  # each round is a new process
    return bench_train(replace(bench, steps=steps, warm=warm))


def _write(folder: Path, bench: PeftBench) -> None:
    """The weights, adapter and samples that `bench_train` makes, for transformers and peft."""
    config, dtype = bench.config, np.dtype("float32")
    params = random_params(config, dtype)
    adapter = init_lora(config, bench.lora, jax.random.key(1))
    write_json(folder / "config.json", llama_config(config, dtype))
    write_weights(folder, llama_tensors(config, params, None, None, dtype), None)
    (folder / ADAPTER_FOLDER).mkdir()
    write_json(folder / ADAPTER_FOLDER / peft.CONFIG_FILE, peft.adapter_settings(bench.lora, str(folder)))
    tensors = adapter_tensors(config, adapter, bench.lora, dtype)
    write_tensors(folder / ADAPTER_FOLDER / peft.WEIGHTS_FILE, tensors)
    samples = random_samples(bench.lengths, config.vocab_size)
    (folder / SAMPLES_FILE).write_text(json.dumps(samples))


def _refuse_other_losses(found: Mapping[str, float]) -> None:
    ours = found["tree"]
    for what, loss in found.items():
        if not abs(loss - ours) <= MOST_DIFFERENCE * abs(ours):
            raise KcxError(
                f"the sides do not compute the same: before any update the loss of tree is {ours:.8f} and that of "
                f"{what} {loss:.8f}, more than {MOST_DIFFERENCE} apart. Nothing was timed."
            )


def _settings(bench: PeftBench, rounds: int) -> dict[str, object]:
    config, lengths = bench.config, bench.lengths
    return {
        "model": {name: value for name, value in asdict(config).items() if "size" in name or "num" in name},
        "dtype": "float32",
        "lora_rank": bench.lora.rank,
        "schema_tokens": lengths.prefix,
        "mean_branch_tokens": sum(context + answer - 1 for context, answer in lengths.branches)
        / len(lengths.branches),
        "trees": bench.trees,
        "branches": bench.branches,
        "samples_at_once": bench.samples_at_once,
        "token_ratio": lengths.token_ratio(bench.branches),
        "steps": bench.steps,
        "rounds": rounds,
        "cores": os.cpu_count(),
        **machine(),
        **{name: version(name) for name in _NEEDED},
    }
