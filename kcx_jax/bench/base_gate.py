"""`kcx bench gate`: whether a run's base may be held in 8 bits, tried on the run's own samples."""

from dataclasses import asdict
from typing import cast, get_args

from kcx_jax.bench.gates import LEAST_COSINE, MOST_LOSS_CHANGE, GateRun, quantisation_gate
from kcx_jax.bench.report import Report, machine
from kcx_jax.checkpoints import load_pretrained
from kcx_jax.errors import UsageError
from kcx_jax.lora import LoraConfig
from kcx_jax.ops import Quantisation
from kcx_jax.training.config import TrainConfig
from kcx_jax.training.loop import arranged
from kcx_jax.training.stages import Say, read_stages


def bench_gate(config: TrainConfig, steps: int, say: Say) -> Report:
    """The gate of `config.base_dtype` beside the exact base, over `steps` steps of the first stage.

    `ratio` is the exact base's last loss over ours. Raises `UsageError` where the config has no base in 8 bits, and as
    `kcx_jax.training.stages.read_stages`.
    """
    if config.base_dtype not in get_args(Quantisation) or config.mode == "full":
        raise UsageError(
            "base_dtype: a gate is for a frozen base in 8 bits. Set base_dtype=int8 or fp8, with mode=lora."
        )
    kind = cast(Quantisation, config.base_dtype)
    model = load_pretrained(config.model, dtype=config.dtype)
    stage = arranged(read_stages(config, model.tokenizer, model.config.max_positions, say), config)[0]
    rate = stage.learning_rate or config.optimiser.learning_rate
    lora = LoraConfig(**config.lora.model_dump())
    run = GateRun(config.plan_options(config.seed), steps, config.dtype, lora, rate)
    say(f"{stage.name}: {steps} steps on the exact base and on one in {kind}")
    figures = quantisation_gate(model.config, model.params, stage.trees, [kind], run)[kind]
    exact = {name: figures.pop(f"exact_{name}") for name in ("first_loss", "last_loss")}
    limits = {"least_gradient_cosine": LEAST_COSINE, "most_loss_change": MOST_LOSS_CHANGE}
    settings = {"model": config.model, "base_dtype": kind, "stage": stage.name, **limits}
    run_settings = {"steps": steps, "dtype": config.dtype, "learning_rate": rate, "plan": asdict(run.plan)}
    return Report(
        settings | run_settings | machine(),
        figures,
        {"exact": exact},
        exact["last_loss"] / figures["last_loss"],
    )
