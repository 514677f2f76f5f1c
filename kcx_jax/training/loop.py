"""The loop: stages of token trees through the step, with metrics, checkpoints and a clean end on Ctrl-C."""

import contextlib
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding

from kcx_jax.checkpoints.run_store import RunStore
from kcx_jax.data import RowPlan, Step, TokenTree, arrange, batch_iterator, make_plan
from kcx_jax.errors import UsageError
from kcx_jax.lora import LoraConfig, joined, merge
from kcx_jax.lora.rewrite import Adapter
from kcx_jax.models import (
    ModelConfig,
    Transformer,
    base_formats,
    frozen_base,
    init_lora,
    lora_shardings,
    make_mesh,
    param_shardings,
    quantisation_of,
)
from kcx_jax.training.config import LoopSettings
from kcx_jax.training.flops import needed_flops, peak_flops
from kcx_jax.training.interrupt import Interrupt, deferred_interrupt
from kcx_jax.training.metrics import Report, StepMetrics, open_reports
from kcx_jax.training.optimiser import learning_rate, make_optimiser
from kcx_jax.training.processes import speaks
from kcx_jax.training.profiling import ProfileWindow
from kcx_jax.training.step import TrainState, abstract_state, initial_state, make_step, put_batch
from kcx_jax.training.step_log import StepLog
from kcx_jax.training.tensorboard import TensorBoardReport
from kcx_jax.training.validation import Validation

PyTree = Any
Score = Callable[[int, "TrainResult"], float | None]
CHECKPOINTS = "checkpoints"
PROFILE = "profile"
TENSORBOARD = "tensorboard"


class Model(Protocol):
    """What the loop needs, such as a `LoadedModel`; `lora` is an adapter to go on with, or None."""

    @property
    def config(self) -> ModelConfig: ...
    @property
    def params(self) -> PyTree: ...
    @property
    def lora(self) -> PyTree | None: ...
    @property
    def lora_config(self) -> LoraConfig | None: ...


@dataclass(frozen=True)
class Stage:
    """What one stage learns from, for whole epochs or for so many `steps`."""

    name: str
    trees: Sequence[TokenTree]
    epochs: int = 1
    steps: int | None = None
    learning_rate: float | None = None  # instead of the optimiser's
    validation: Sequence[TokenTree] = ()  # held out
    adapter: Literal["continue", "new"] = "continue"  # new: a fresh one, those before it merged in


@dataclass(frozen=True)
class TrainResult:
    """What came out: the collection that trained ("lora" or "params", float32) and its values.

    Where stages trained several adapters, `chain` has them in their order and `trained` is the one that adds what all
    of them add.
    """

    collection: str
    trained: PyTree
    lora_config: LoraConfig | None
    chain: tuple[Adapter, ...]
    history: list[StepMetrics] = field(repr=False)


@dataclass(frozen=True)
class Position:
    """How far a run is: `step` steps of stage `stage` are done, `total` over all stages."""

    stage: int = 0
    step: int = 0
    total: int = 0
    iterator: dict | None = None  # Grain's own
    best: float | None = (
        None  # of the stage's evaluations: the highest score, or negative loss where none is scored
    )


def arranged(stages: Sequence[Stage], settings: LoopSettings) -> list[Stage]:
    """The stages with the trees that rows are cut from, by the settings' packing."""
    return [
        replace(
            stage,
            trees=arrange(stage.trees, settings.packing),
            validation=arrange(stage.validation, settings.packing),
        )
        for stage in stages
    ]


def plan_stages(stages: Sequence[Stage], settings: LoopSettings) -> list[RowPlan]:
    """The row plan of every stage of a run; its rows are of the trees of `arranged`."""
    return plan_arranged(arranged(stages, settings), settings)


def plan_arranged(stages: Sequence[Stage], settings: LoopSettings) -> list[RowPlan]:
    """`plan_stages` of stages that `arranged` gave."""
    plans = []
    for number, stage in enumerate(stages):
        options = settings.plan_options(_stage_seed(settings, number))
        plans.append(make_plan(stage.trees, options, None if stage.steps else stage.epochs, stage.steps))
    return plans


def train_trees(
    model: Model,
    stages: Sequence[Stage],
    settings: LoopSettings,
    run_dir: Path | None = None,
    *,
    resume: bool = False,
    report: Report | None = None,
    say: Callable[[str], None] = warnings.warn,
    score: Score | None = None,
    base: dict[str, str] | None = None,
) -> TrainResult:
    """Train `model` through `stages`, the later ones going on with what the earlier ones trained.

    With a `run_dir`, metrics and checkpoints go there, and `resume` goes on from its newest whole checkpoint, `say`
    getting a line on each damaged one; `base` is the fingerprint that a resumed run must match. `report` gets the
    metrics of every step (default: the console). Stages with validation data are evaluated, also by `score` if there is
    one: it gets the stage's number (from 0) and what a run that ended here would give, and returns a figure of which
    higher is better, or None. The best step is kept. On Ctrl-C or SIGTERM the run is saved and KeyboardInterrupt
    raised. Raises `NotFinite` naming step and records when the loss is not finite.
    """
    with contextlib.ExitStack() as stack:
        run = _Run(model, stages, settings)
        stack.enter_context(jax.set_mesh(run.mesh))
        store = stack.enter_context(RunStore(run_dir / CHECKPOINTS, base, settings.keep)) if run_dir else None
        position, (chain, trained) = Position(), run.adapters(0, [], run.given)
        state = initial_state(trained, run.optimiser(0), run.mesh)
        if resume and store and (restored := store.restore_newest(run.abstract)):
            position = Position(**restored.data_position)
            chain, state = restored.state["chain"], restored.state["state"]
            for fault in restored.passed_over:
                say(f"{fault} Going on from step {position.total}.")
        history: list[StepMetrics] = []
        reports: list[Report] = [history.append]
        if speaks():
            reports += stack.enter_context(open_reports(run_dir, position.total, report))
            if run_dir and settings.tensorboard:
                reports.append(
                    stack.enter_context(
                        contextlib.closing(TensorBoardReport(run_dir / TENSORBOARD, position.total))
                    )
                )
        profile = ProfileWindow(settings.profile, run_dir and run_dir / PROFILE)
        stack.callback(profile.close)
        interrupt = stack.enter_context(deferred_interrupt(run.mesh))
        around = _Surroundings(store, reports, interrupt, profile, score)
        for number in range(position.stage, len(stages)):
            if number > position.stage:
                total = position.total - position.step + len(run.plans[position.stage].steps)
                position = Position(number, total=total)
                chain, trained = run.adapters(number, chain, state.trained)
                state = initial_state(trained, run.optimiser(number), run.mesh)
            state = run.train_stage(state, chain, position, around)
        return run.result(chain, state.trained, history)


@dataclass(frozen=True)
class _Surroundings:
    """What a run tells, and what it listens to."""

    store: RunStore | None
    reports: list[Report]
    interrupt: Interrupt
    profile: ProfileWindow
    score: Score | None


class _Run:
    """A run's fixed parts: the plans, the mesh, and the model on it."""

    def __init__(self, model: Model, stages: Sequence[Stage], settings: LoopSettings):
        self.stages, self.settings = arranged(stages, settings), settings
        self.mesh = make_mesh(**settings.mesh.model_dump())
        shards = math.prod(self.mesh.shape[axis] for axis in ("data", "fsdp"))
        if settings.rows_per_step % (shards * settings.accumulate):
            raise UsageError(
                f"rows_per_step {settings.rows_per_step} does not divide among the {shards} devices that share the "
                f"rows, each computing its own in {settings.accumulate} parts. Choose a multiple of "
                f"{shards * settings.accumulate} (mesh, accumulate)."
            )
        self.plans = plan_arranged(self.stages, settings)
        self.model = model
        self.collection = "lora" if settings.mode == "lora" else "params"
        self.configs = _lora_configs(model, stages, settings)
        self.given, self.frozen = _place(model, settings, self.mesh)
        lora = self.configs[-1] if self.configs else None
        self.module = Transformer(model.config, lora, jnp.dtype(settings.dtype), settings.kept_activations)

    def adapters(self, number: int, chain: list[PyTree], last: PyTree | None) -> tuple[list[PyTree], PyTree]:
        """What is frozen and what trains in stage `number`, after `chain` and `last` of the stage before."""
        if last is not None and (self.collection == "params" or self.stages[number].adapter == "continue"):
            return chain, last
        lora = self.configs[-1]
        key = jax.random.key(_stage_seed(self.settings, number))
        places = lora_shardings(self.model.config, lora, self.mesh)
        fresh = _owned(init_lora(self.model.config, lora, key), places)
        return (chain if last is None else [*chain, last]), fresh

    def base(self, chain: list[PyTree]) -> dict[str, PyTree]:
        """The frozen collections, with a chain of adapters merged in: float32 sum of all, one rounding."""
        if not chain:
            return self.frozen
        adapters = list(zip(chain, self.configs[: len(chain)], strict=True))
        rows = self.model.config.qkv_rows
        base = self.frozen["params"]
        merged = merge(base, *joined(adapters, rows), rows)
        return {"params": jax.tree.map(lambda new, old: jax.device_put(new, old.sharding), merged, base)}

    def abstract(self, position: dict) -> PyTree:
        """What the store holds for a run at `position`, in the loop's own layout."""
        if position["stage"] >= len(self.stages):
            raise UsageError(
                f"the run to go on with is in its stage {position['stage'] + 1}, but {len(self.stages)} are given. "
                "Resume it with the stages it was started with."
            )
        chain: list[PyTree] = []
        last = self.given
        for number in range(position["stage"] + 1):
            chain, last = self.adapters(number, chain, last)
        return _saved(chain, abstract_state(last, self.optimiser(position["stage"]), self.mesh))

    def result(self, chain: list[PyTree], trained: PyTree, history: list[StepMetrics]) -> TrainResult:
        if self.collection == "params":
            return TrainResult(self.collection, trained, None, (), history)
        adapters = tuple(zip([*chain, trained], self.configs[: len(chain) + 1], strict=True))
        lora, config = joined(adapters, self.model.config.qkv_rows)
        return TrainResult(self.collection, lora, config, adapters, history)

    def rate(self, number: int) -> Callable[[int], Any]:
        """Learning rate of stage `number` by its step."""
        peak = self.stages[number].learning_rate
        return learning_rate(self.settings.optimiser, len(self.plans[number].steps), peak)

    def optimiser(self, number: int) -> Any:
        return make_optimiser(self.settings.optimiser, self.rate(number))

    def train_stage(
        self, state: TrainState, chain: list[PyTree], position: Position, around: _Surroundings
    ) -> TrainState:
        """The rest of one stage from `position` on; returns the state after its last step."""
        number, settings = position.stage, self.settings
        stage, plan = self.stages[number], self.plans[number]
        iterator = batch_iterator(stage.trees, plan, jax.process_index(), jax.process_count())
        if position.iterator is not None:
            iterator.set_state(position.iterator)
        optimiser, frozen = self.optimiser(number), self.base(chain)
        step = make_step(
            self.module,
            optimiser,
            self.collection,
            state,
            settings.seed,
            settings.attention,
            settings.accumulate,
        )
        evaluate = self.evaluation(number, chain, frozen, around.score)
        steps = sum(len(plan.steps) for plan in self.plans)
        share = partial(self.share, stage.trees)
        log = StepLog(stage.name, stage.trees, plan, self.rate(number), steps, share, around.reports)
        end = position.total - position.step + len(plan.steps)
        while position.total < end:
            log.before(plan.steps[position.step].shape)
            around.profile.before(position.total + 1)
            state, result = step(state, frozen, put_batch(next(iterator), self.mesh))
            position = replace(position, step=position.step + 1, total=position.total + 1)
            around.profile.after(position.total, result)
            log.dispatched(position.step, position.total, result)
            last, best = position.total == end, False
            stop = around.interrupt.vote(at_once=last)
            if evaluate and (last or _due(position.total, settings.evaluate_every)):
                value = log.evaluate(partial(evaluate, state))
                if best := math.isfinite(value) and (position.best is None or value > position.best):
                    position = replace(position, best=value)
            if around.store and (stop or best or last or _due(position.total, settings.save_every)):
                log.finish()
                position = replace(position, iterator=iterator.get_state())
                around.store.save(position.total, _saved(chain, state), asdict(position), best=best)
                log.restart_clock()
            if stop:
                raise KeyboardInterrupt
        log.finish()
        return state

    def share(self, trees: Sequence[TokenTree], step: Step, seconds: float) -> float | None:
        """Of the devices' peak: the needed operations of a step that took so long; None where no peak is known."""
        peak = peak_flops(self.settings.dtype)
        return peak and needed_flops(self.model.config, trees, step, self.settings.mode) / seconds / peak

    def evaluation(
        self, number: int, chain: list[PyTree], frozen: dict[str, PyTree], score: Score | None
    ) -> Callable[[TrainState], dict[str, float | None]] | None:
        """A function from a state in stage `number` to the figures of held-out data, if there is any."""
        stage, settings = self.stages[number], self.settings
        if not stage.validation:
            return None
        options = settings.plan_options(_stage_seed(settings, number))
        held_out = Validation(self.module, stage.validation, options, self.mesh, settings.attention)

        def evaluate(state: TrainState) -> dict[str, float | None]:
            return {
                "validation_loss": held_out.loss({**frozen, self.collection: state.trained}),
                "score": score(number, self.result(chain, state.trained, [])) if score else None,
            }

        return evaluate


def _due(step: int, every: int | None) -> bool:
    return every is not None and step % every == 0


def _lora_configs(model: Model, stages: Sequence[Stage], settings: LoopSettings) -> list[LoraConfig]:
    """The configs of all adapters of a run in their order, the one that the model came with included."""
    news = [number for number, stage in enumerate(stages) if stage.adapter == "new"]
    held = quantisation_of(model.params) or base_formats(settings.dtype, settings.base_dtype)[1]
    if settings.mode == "full":
        if held is not None:
            raise UsageError(f"mode full trains the base itself, which cannot be in {held}: use mode lora.")
        if model.lora is not None:
            raise UsageError("mode full trains the base itself: merge the adapter first, or use mode lora.")
        if news:
            raise UsageError("mode full trains the base itself: adapter: new is for mode lora.")
        return []
    asked = LoraConfig(**settings.lora.model_dump())
    own = [asked] * len(set(news) | {0})
    if held is not None and len(own) + (model.lora is not None and 0 in news) > 1:
        raise UsageError(
            f"adapter: new merges what was trained before into the base, which cannot be done in {held}: use "
            "adapter: continue, or another base_dtype."
        )
    if model.lora is None:
        return own
    assert model.lora_config is not None
    if 0 in news:
        return [model.lora_config, *own]
    if model.lora_config != asked:
        raise UsageError(f"the adapter to go on with has {model.lora_config}, the settings ask for {asked}.")
    return own


def _place(model: Model, settings: LoopSettings, mesh: Mesh) -> tuple[PyTree | None, dict[str, PyTree]]:
    """What the run starts from of what trains (float32; None: nothing yet), and the frozen collections, laid out
    over the mesh.
    """
    if settings.mode == "full":
        return _owned(model.params, param_shardings(model.config, mesh)), {}
    frozen = frozen_base(model.params, model.config, settings.dtype, settings.base_dtype, mesh)
    lora = None
    if model.lora is not None:
        assert model.lora_config is not None
        lora = _owned(model.lora, lora_shardings(model.config, model.lora_config, mesh))
    return lora, {"params": frozen}


def _saved(chain: list[PyTree], state: PyTree) -> PyTree:
    """What a checkpoint holds: the adapters that are frozen by now, in their order, and the state of what trains."""
    return {"chain": chain, "state": state}


def _stage_seed(settings: LoopSettings, number: int) -> int:
    return settings.seed + 1_000_003 * number  # stages shuffle the same data differently


def _owned(values: PyTree, places: PyTree) -> PyTree:
    """A float32 copy on the devices: the step reuses the buffers of what trains, the caller's stay whole."""

    def copy(x: jax.Array, place: NamedSharding) -> jax.Array:
        return jax.device_put(jnp.array(x, jnp.float32, copy=True), place)

    return jax.tree.map(copy, values, places)
