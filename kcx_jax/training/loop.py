"""The loop: stages of token trees through the step, with metrics, checkpoints and a clean end on Ctrl-C."""

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding

from kcx_jax.checkpoints.run_store import RunStore
from kcx_jax.data import RowPlan, Shape, TokenTree, arrange, batch_iterator, make_plan
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.lora import LoraConfig
from kcx_jax.models import ModelConfig, Transformer, init_lora, lora_shardings, make_mesh, param_shardings
from kcx_jax.training.config import LoopSettings
from kcx_jax.training.interrupt import Interrupt, deferred_interrupt
from kcx_jax.training.metrics import Report, StepMetrics, open_reports
from kcx_jax.training.optimiser import learning_rate, make_optimiser
from kcx_jax.training.step import StepResult, TrainState, initial_state, make_step, put_batch

PyTree = Any
CHECKPOINTS = "checkpoints"


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


@dataclass(frozen=True)
class TrainResult:
    """What came out: the collection that trained ("lora" or "params", float32) and its values."""

    collection: str
    trained: PyTree
    lora_config: LoraConfig | None
    history: list[StepMetrics] = field(repr=False)


@dataclass(frozen=True)
class Position:
    """How far a run is: `step` steps of stage `stage` are done, `total` over all stages."""

    stage: int = 0
    step: int = 0
    total: int = 0
    iterator: dict | None = None  # Grain's own


def plan_stages(stages: Sequence[Stage], settings: LoopSettings) -> list[RowPlan]:
    """The row plan of every stage of a run."""
    plans = []
    for number, stage in enumerate(stages):
        seed = settings.seed + 1_000_003 * number  # stages shuffle the same data differently
        trees, options = arrange(stage.trees, settings.packing), settings.plan_options(seed)
        plans.append(make_plan(trees, options, None if stage.steps else stage.epochs, stage.steps))
    return plans


def train_trees(
    model: Model,
    stages: Sequence[Stage],
    settings: LoopSettings,
    run_dir: Path | None = None,
    *,
    resume: bool = False,
    report: Report | None = None,
    base: dict[str, str] | None = None,
) -> TrainResult:
    """Train `model` through `stages`, the later ones going on with what the earlier ones trained.

    With a `run_dir`, metrics and checkpoints go there, and `resume` goes on from its newest checkpoint;
    `base` is the fingerprint that a resumed run must match. `report` gets the metrics of every step (default:
    the console). On Ctrl-C or SIGTERM the run is saved and KeyboardInterrupt raised. Raises `KcxError` naming
    the step when the loss is not finite.
    """
    with contextlib.ExitStack() as stack:
        run = _Run(model, stages, settings)
        stack.enter_context(jax.set_mesh(run.mesh))
        store = stack.enter_context(RunStore(run_dir / CHECKPOINTS, base, settings.keep)) if run_dir else None
        state, position = initial_state(run.placed, run.optimiser(0), run.mesh), Position()
        if resume and store and (newest := store.latest()) is not None:
            restored = store.restore(newest, state)
            state, position = restored.state, Position(**restored.data_position)
        history: list[StepMetrics] = []
        reports: list[Report] = [history.append]
        if jax.process_index() == 0:
            reports += stack.enter_context(open_reports(run_dir, position.total, report))
        interrupt = stack.enter_context(deferred_interrupt())
        for number in range(position.stage, len(stages)):
            if number > position.stage:
                total = position.total - position.step + len(run.plans[position.stage].steps)
                position = Position(number, total=total)
                state = initial_state(state.trained, run.optimiser(number), run.mesh)
            state = run.train_stage(state, position, store, reports, interrupt)
    return TrainResult(run.collection, state.trained, run.module.lora, history)


class _Run:
    """A run's fixed parts: the plans, the mesh, and the model on it."""

    def __init__(self, model: Model, stages: Sequence[Stage], settings: LoopSettings):
        self.stages, self.settings = stages, settings
        self.mesh = make_mesh(**settings.mesh.model_dump())
        shards = math.prod(self.mesh.shape[axis] for axis in ("data", "fsdp"))
        if settings.rows_per_step % shards:
            raise UsageError(
                f"rows_per_step {settings.rows_per_step} does not divide among the {shards} devices that "
                "share the rows. Choose a multiple of them."
            )
        self.plans = plan_stages(stages, settings)
        self.collection = "lora" if settings.mode == "lora" else "params"
        lora, self.placed, self.frozen = _place(model, settings, self.mesh)
        self.module = Transformer(model.config, lora, jnp.dtype(settings.dtype), settings.kept_activations)

    def rate(self, number: int) -> Callable[[int], Any]:
        """Learning rate of stage `number` by its step."""
        peak = self.stages[number].learning_rate
        return learning_rate(self.settings.optimiser, len(self.plans[number].steps), peak)

    def optimiser(self, number: int) -> Any:
        return make_optimiser(self.settings.optimiser, self.rate(number))

    def train_stage(
        self,
        state: TrainState,
        position: Position,
        store: RunStore | None,
        reports: list[Report],
        interrupt: Interrupt,
    ) -> TrainState:
        """The rest of one stage from `position` on; returns the state after its last step."""
        stage, plan = self.stages[position.stage], self.plans[position.stage]
        trees = arrange(stage.trees, self.settings.packing)
        iterator = batch_iterator(trees, plan, jax.process_index(), jax.process_count())
        if position.iterator is not None:
            iterator.set_state(position.iterator)
        step = make_step(
            self.module,
            self.optimiser(position.stage),
            self.collection,
            state,
            self.settings.seed,
            self.settings.attention,
        )
        log = _Log(self, position, reports)
        end = position.total - position.step + len(plan.steps)
        while position.total < end:
            log.before(plan.steps[position.step].shape)
            state, result = step(state, self.frozen, put_batch(next(iterator), self.mesh))
            position = replace(position, step=position.step + 1, total=position.total + 1)
            log.dispatched(position.step, position.total, result)
            stop = interrupt.requested
            if store and (stop or position.total == end or position.total % self.settings.save_every == 0):
                log.finish()
                position = replace(position, iterator=iterator.get_state())
                store.save(position.total, state, asdict(position))
                log.restart_clock()
            if stop:
                raise KeyboardInterrupt
        log.finish()
        return state


class _Log:
    """Fetches the metrics of a step after the next one is dispatched, so that the device never waits for
    them.
    """

    def __init__(self, run: _Run, position: Position, reports: list[Report]):
        self.plan, self.stage = run.plans[position.stage], run.stages[position.stage].name
        self.rate = run.rate(position.stage)
        self.steps = sum(len(plan.steps) for plan in run.plans)
        self.reports = reports
        self.compiled: set[Shape] = set()
        self.compiling = False
        self.pending: tuple[int, int, StepResult, float] | None = None
        self.restart_clock()

    def restart_clock(self) -> None:
        self.clock = time.perf_counter()

    def before(self, shape: Shape) -> None:
        """The next call compiles when `shape` is new: no other step may be charged for that time."""
        self.compiling = shape not in self.compiled
        self.compiled.add(shape)
        if self.compiling:
            self.finish()
            self.restart_clock()

    def dispatched(self, step: int, total: int, result: StepResult) -> None:
        self.finish()
        compile_seconds = time.perf_counter() - self.clock if self.compiling else 0.0
        if self.compiling:
            self.restart_clock()
        self.pending = step, total, result, compile_seconds

    def finish(self) -> None:
        """Report the step in flight, if any. Raises `KcxError` when its loss or gradient is not finite."""
        if self.pending is None:
            return
        step, total, result, compile_seconds = self.pending
        self.pending = None
        loss, norm = (float(x) for x in jax.device_get((result.loss, result.gradient_norm)))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise KcxError(
                f"the loss of step {total} (step {step} of {self.stage}) is {loss}, its gradient's norm "
                f"{norm}. Lower the learning rate or lengthen the warm-up; earlier checkpoints are whole."
            )
        planned = self.plan.steps[step - 1]
        now = time.perf_counter()
        metrics = StepMetrics(
            stage=self.stage,
            step=total,
            steps=self.steps,
            loss=loss,
            gradient_norm=norm,
            learning_rate=float(self.rate(step - 1)),
            targets=planned.targets,
            samples=planned.samples,
            tokens=planned.tokens,
            seconds=now - self.clock,
            compile_seconds=compile_seconds,
        )
        self.clock = now
        for report in self.reports:
            report(metrics)


def _place(
    model: Model, settings: LoopSettings, mesh: Mesh
) -> tuple[LoraConfig | None, PyTree, dict[str, PyTree]]:
    """The adapter's config, what trains (float32) and the frozen collections, laid out over the mesh."""
    places = param_shardings(model.config, mesh)
    if settings.mode == "full":
        if model.lora is not None:
            raise UsageError("mode full trains the base itself: merge the adapter first, or use mode lora.")
        return None, _owned(model.params, places), {}
    asked = LoraConfig(**settings.lora.model_dump())
    if model.lora is not None and model.lora_config != asked:
        raise UsageError(f"the adapter to go on with has {model.lora_config}, the settings ask for {asked}.")
    lora = init_lora(model.config, asked, jax.random.key(settings.seed)) if model.lora is None else model.lora
    dtype = jnp.dtype(settings.dtype)
    frozen = jax.tree.map(lambda x, place: jax.device_put(x.astype(dtype), place), model.params, places)
    return asked, _owned(lora, lora_shardings(model.config, asked, mesh)), {"params": frozen}


def _owned(values: PyTree, places: PyTree) -> PyTree:
    """A float32 copy on the devices: the step reuses the buffers of what trains, the caller's stay whole."""

    def copy(x: jax.Array, place: NamedSharding) -> jax.Array:
        return jax.device_put(jnp.array(x, jnp.float32, copy=True), place)

    return jax.tree.map(copy, values, places)
