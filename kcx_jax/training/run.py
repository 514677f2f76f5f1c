"""`kcx train`: a config -> a run folder with the resolved config, metrics, checkpoints and the result."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import jax

from kcx_jax.checkpoints import LoadedModel, export_pretrained, load_pretrained
from kcx_jax.data import Forest
from kcx_jax.errors import UsageError
from kcx_jax.files import atomic_write, held_alone
from kcx_jax.models import Transformer, make_mesh, quantisation_of
from kcx_jax.training.config import StageSettings, TrainConfig, dump_config, load_config
from kcx_jax.training.loop import Stage, TrainResult, train_trees
from kcx_jax.training.metrics import Report
from kcx_jax.training.not_finite import NotFinite
from kcx_jax.training.processes import speaks, wait_for_all, whole
from kcx_jax.training.stages import Say, read_stages, say_to_stderr
from kcx_jax.training.summary import kept_summary, refuse_other_data
from kcx_jax.training.tensorboard import writer_modules

Score = Callable[[LoadedModel, StageSettings], float | None]

CONFIG_FILE = "config.yaml"
ADAPTER = "adapter"  # what mode lora makes, in PEFT's layout
NOT_FINITE = "not_finite.json"  # the samples of a step whose loss is not finite
CHAIN = "chain"  # where stages began new adapters: each one, in PEFT's layout; the sum of all is ADAPTER
_LOCK = ".lock"  # held by the run that is under way
MODEL = "model"  # what mode full makes, in Baichuan2's layout

# What may differ when a run is resumed: it changes neither the data nor the arithmetic.
_FREE_ON_RESUME = {
    "save_every",
    "keep",
    "mesh",
    "evaluate_every",
    "score_records",
    "profile",
    "tensorboard",
    "packed",
}


def train(
    config: TrainConfig,
    *,
    resume: bool = False,
    report: Report | None = None,
    say: Say = say_to_stderr,
    score: Score | None = None,
) -> LoadedModel:
    """Run a config and return the tuned model, in float32 where it trained.

    Leaves in `config.run_dir`: summary.json, config.yaml (resolved), metrics.jsonl, checkpoints/, and adapter/
    (mode lora; where stages began new ones, the sum of those in chain/) or model/ (mode full). `resume` goes on
    from the newest
    whole checkpoint, or starts where there is none. `score` is asked at every evaluation for the figure of a model in
    a stage; higher is better, None is none. Raises `UsageError` when the folder holds a run and `resume`
    is false, or a run of another config or of data that changed.
    """
    if score and jax.process_count() > 1:
        raise UsageError("score_records: decoding while training needs a run of one process. Leave it out.")
    if config.tensorboard:
        writer_modules()
    run_dir = Path(config.run_dir)
    _check_run(run_dir, config, resume)
    if resume:
        refuse_other_data(run_dir, config)
    wait_for_all("the run folder was looked at")  # before one of them writes into it
    mesh = make_mesh(**config.mesh.model_dump())
    model = load_pretrained(config.model, dtype=config.dtype, mesh=mesh, base_dtype=config.base_dtype)
    if kind := quantisation_of(model.params):
        say(f"the base is held in {kind}; kcx bench gate measures what that changes for this config")
    stages = _stages(config, model, say)
    with contextlib.ExitStack() as stack:
        if speaks():
            refusal = f"another process trains into {run_dir} now. Wait for it, or choose another run_dir."
            stack.enter_context(held_alone(run_dir / _LOCK, refusal))
            _check_run(run_dir, config, resume)  # another run may have begun since, and even ended
            with atomic_write(run_dir / CONFIG_FILE, overwrite=True) as handle:
                handle.write(dump_config(config))
            stack.enter_context(kept_summary(run_dir, config, model.fingerprint))
        wait_for_all("the run has its config")  # what is in a folder without one is somebody else's
        try:
            result = _result(model, stages, config, resume, report, say, score)
        except KeyboardInterrupt:
            say(f"stopped; the run is saved in {run_dir}. Go on with --resume.")
            raise
        except NotFinite as error:
            if speaks():
                error.save(run_dir / NOT_FINITE, model.tokenizer.decode)
            raise error.explained(run_dir / NOT_FINITE) from error
        tuned = tuned_model(model, result, dump_config(config))
        _export_all(tuned, result, run_dir, say)
    wait_for_all("the run folder is whole")  # whichever process returns, all of it is there
    return tuned


def _result(
    model: LoadedModel,
    stages: list[Stage],
    config: TrainConfig,
    resume: bool,
    report: Report | None,
    say: Say,
    score: Score | None,
) -> TrainResult:
    """Train; `score` is asked about whole models."""

    def scored(number: int, so_far: TrainResult) -> float | None:
        assert score is not None
        return score(tuned_model(model, so_far, dump_config(config)), config.stages[number])

    return train_trees(
        model,
        stages,
        config,
        Path(config.run_dir),
        resume=resume,
        report=report,
        say=say,
        score=scored if score else None,
        base=model.fingerprint,
    )


def _export_all(tuned: LoadedModel, result: TrainResult, run_dir: Path, say: Say) -> None:
    """The result and, where there is a chain, each of its adapters."""
    if result.collection == "params":
        return _export(replace(tuned, params=whole(tuned.params)), run_dir / MODEL, "baichuan", say)
    for number, (lora, lora_config) in enumerate(result.chain if len(result.chain) > 1 else (), 1):
        link = replace(tuned, lora=whole(lora), lora_config=lora_config)
        _export(link, run_dir / CHAIN / str(number), "peft", say)
    _export(replace(tuned, lora=whole(tuned.lora)), run_dir / ADAPTER, "peft", say)


def _stages(config: TrainConfig, model: LoadedModel, say: Say) -> list[Stage]:
    """The stages with what they learn from and what is held out."""

    def read(stages: list[StageSettings]) -> list[Stage]:
        part = config.model_copy(update={"stages": tuple(stages)})
        return read_stages(part, model.tokenizer, model.config.max_positions, say)

    stages = []
    for stage, settings in zip(read(list(config.stages)), config.stages, strict=True):
        held_out = (
            [settings.model_copy(update={"data": settings.validation, "replay": 0.0})]
            if settings.validation
            else []
        )
        validation = Forest(*(other.trees for other in read(held_out)))
        stages.append(replace(stage, adapter=settings.adapter, validation=validation))
    return stages


def _export(model: LoadedModel, out: Path, format: Literal["peft", "baichuan"], say: Say) -> None:
    if speaks() and not out.exists():  # else this very run had ended before it was resumed
        export_pretrained(model, out, format)
        say(f"wrote {out}")


def tuned_model(model: LoadedModel, result: TrainResult, settings: str) -> LoadedModel:
    """The loaded model with what a run trained in the place of what it had; `settings` (YAML) tell of the run."""
    module = Transformer(model.config, result.lora_config, model.module.dtype)
    model = replace(model, training=(*model.training, settings))
    if result.collection == "params":
        return replace(model, params=result.trained, module=module)
    return replace(model, lora=result.trained, lora_config=result.lora_config, module=module)


def _check_run(run_dir: Path, config: TrainConfig, resume: bool) -> None:
    """Raise `UsageError` unless the folder is empty, or holds this very run and is to be resumed."""
    path = run_dir / CONFIG_FILE
    if path.exists() and resume:
        before = load_config(path).model_dump()
        after = config.model_dump()
        differing = [key for key in after if after[key] != before[key] and key not in _FREE_ON_RESUME]
        if differing:
            raise UsageError(
                f"{run_dir} holds a run with another {', '.join(differing)} (see {path}). Resume it with the "
                "config it was started with, or choose another run_dir."
            )
    elif run_dir.exists() and (not run_dir.is_dir() or {each.name for each in run_dir.iterdir()} - {_LOCK}):
        raise UsageError(f"{run_dir} is not empty. Choose another run_dir, or --resume the run in it.")
