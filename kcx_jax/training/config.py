"""What a run is told: frozen settings from YAML, unknown keys refused with the nearest name."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, model_validator

from kcx_jax.data import Packing, PlanOptions
from kcx_jax.errors import UsageError
from kcx_jax.prompts import PromptConfig
from kcx_jax.settings import Settings, checked, read_values

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class LoraSettings(Settings):
    """The adapter. Rank is the paper's; alpha, dropout and targets are ours (the paper is silent on them)."""

    rank: Positive = 32
    alpha: Annotated[float, Field(gt=0)] = 64.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: tuple[str, ...] = ("W_pack", "o_proj", "gate_proj", "up_proj", "down_proj")
    rslora: bool = False  # scale alpha / sqrt(rank) in place of alpha / rank
    ranks: dict[str, Positive] = Field(default_factory=dict)  # of single targets, instead of `rank`
    alphas: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)  # of single ones, too


class OptimiserSettings(Settings):
    """AdamW with warm-up, then cosine to zero, anew in every stage. Ours: the paper states none of it.

    `rate_factors` multiply the learning rate of groups of what trains, by name: an adapter's target (`W_pack`), all
    of its matrices on one side (`B: 16` is LoRA+, Hayou et al. 2024), both (`W_pack.B`), or, in mode full, a
    parameter (`embed_tokens`). What is in several groups gets all of their factors.
    """

    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: Share = 0.1  # share of the stage's steps
    rate_factors: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    weight_decay: Annotated[float, Field(ge=0)] = 0.0  # decoupled; not on norms
    clip: Annotated[float, Field(gt=0)] | None = 1.0  # largest global gradient norm
    beta1: Share = 0.9
    beta2: Share = 0.999
    epsilon: Annotated[float, Field(gt=0)] = 1e-8


class MeshSettings(Settings):
    """Devices along each axis; -1 means all that are left."""

    data: int = -1
    fsdp: int = 1
    tensor: int = 1


class ProfileSettings(Settings):
    """Steps to trace with JAX's profiler, into the run folder."""

    start: Positive  # counted from 1 over all stages; a shape's first step compiles
    steps: Positive = 3


class LoopSettings(Settings):
    """How to tune, whatever the data."""

    mode: Literal["lora", "full"] = "lora"
    lora: LoraSettings = LoraSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    packing: Packing = "tree"  # what shares a row: a schema's samples, or (to compare with) plain, none
    branches: Positive = 8  # tree: samples that share one copy of their schema (docs/packing.md says why 8)
    row_tokens: Positive = 4096  # plain: what rows are filled to
    rows_per_step: Positive = 4  # rows a step over all devices
    accumulate: Positive = 1  # parts of a step's rows, computed one after another: less memory, the same step
    min_schemas_per_step: Positive = 16  # different prompts a step, as far as rows and data allow
    shapes: Positive = 4  # compiled shapes a stage, more of them pad less
    seed: Annotated[int, Field(ge=0)] = 0
    mesh: MeshSettings = MeshSettings()
    dtype: Literal["bfloat16", "float32"] = "bfloat16"  # of the computation; what trains is kept in float32
    base_dtype: Literal["bfloat16", "float32", "int8", "fp8"] | None = None  # of a frozen base; None: dtype
    attention: Literal["auto", "xla", "blockwise", "cudnn", "pallas"] = "auto"  # docs/kernels.md
    remat: bool = False  # recompute each layer in the backward pass: less memory, more time
    remat_except: tuple[
        Literal["qkv", "attention", "stream", "gate", "up"], ...
    ] = ()  # what a recomputed layer keeps all the same
    save_every: Positive = 500  # steps
    evaluate_every: Positive | None = None  # steps, on what each stage names as validation; None: at its end
    keep: Positive = 2  # checkpoints, the newest; besides them that of the best evaluation
    profile: ProfileSettings | None = None
    tensorboard: bool = False  # curves for it beside metrics.jsonl
    allow_overlong: bool = False  # train without the samples that do not fit the model's positions

    @property
    def kept_activations(self) -> tuple[Literal["qkv", "attention", "stream", "gate", "up"], ...] | None:
        """What each layer's backward pass finds computed; None: everything."""
        return self.remat_except if self.remat else None

    def plan_options(self, seed: int) -> PlanOptions:
        """What the row plan of a stage depends on."""
        return PlanOptions(
            rows=self.rows_per_step,
            branches=1 if self.packing == "none" else self.branches,
            shapes=self.shapes,
            seed=seed,
            row_tokens=self.row_tokens if self.packing == "plain" else None,
            min_schemas=self.min_schemas_per_step,
        )


class PromptSettings(Settings):
    """What varies between the prompts of a corpus (`PromptConfig`, which checks the values); nothing by default."""

    negatives: Any = None  # classes a prompt shows that its records have not; none given: all
    negative_ratio: Any = None  # the same, for each class that they have
    exemplars: Any = None  # of each class, drawn from the corpus; none given: those of the schema
    description_dropout: Any = 0.0
    shuffle: Any = False
    max_classes: Any = None  # one prompt asks for; more are split into several
    max_tokens: Any = None  # of one prompt's schema; a longer one is split into several
    pair: Any = False  # RE is given the pair of each record

    @model_validator(mode="after")
    def _check(self) -> "PromptSettings":
        try:
            self.config(0)
        except UsageError as error:
            raise ValueError(str(error)) from error
        return self

    def config(self, seed: int) -> PromptConfig:
        """The settings with the run's seed."""
        return PromptConfig(**self.model_dump(), seed=seed)


class DataSettings(Settings):
    """One corpus: where it lies, how to read it, what to learn from it. Paths are relative to the working
    folder.
    """

    path: str
    schema_path: str = Field(alias="schema")
    reader: str = "auto"
    language: str | None = None  # for formats that do not say
    tasks: tuple[Literal["ner", "re", "ed", "eae"], ...] = ("ner",)
    limit: Positive | None = None  # the first records only
    weight: Annotated[float, Field(gt=0, le=1e6)] = 1.0  # of its share in an epoch, beside its size
    prompts: PromptSettings = PromptSettings()


class StageSettings(Settings):
    """Stage 1 (`align`, parallel data) or stage 2 (`extract`, records)."""

    kind: Literal["align", "extract"]
    data: Annotated[tuple[DataSettings, ...], Field(min_length=1)]
    temperature: Annotated[float, Field(ge=1, le=1e6)] = 1.0  # shares by weight x size^(1 / temperature)
    replay: Annotated[float, Field(ge=0, lt=1)] = 0.0  # share of an epoch that is data of the stages before
    epochs: Positive = 1
    steps: Positive | None = None  # instead of whole epochs
    learning_rate: Annotated[float, Field(gt=0)] | None = None  # instead of the optimiser's
    validation: tuple[DataSettings, ...] = ()  # held out: its loss is computed, nothing is learnt from it
    adapter: Literal["continue", "new"] = "continue"  # new: a fresh one, those before it merged in

    @model_validator(mode="after")
    def _check(self) -> "StageSettings":
        if self.kind == "align" and any(each.prompts.pair for each in (*self.data, *self.validation)):
            raise ValueError("prompts.pair is for stages of kind extract; leave it out of kind align")
        return self


class TrainConfig(LoopSettings):
    """A whole run: `kcx train CONFIG.yaml`."""

    model: str  # a folder, or ORG/NAME on the Hub
    run_dir: str
    stages: Annotated[tuple[StageSettings, ...], Field(min_length=1)]
    packed: str | None = None  # the folder that kcx data pack made of the stages' corpora; None: read them
    score_records: Annotated[int, Field(ge=0)] = 0  # of each validation corpus, decoded for their F1

    @model_validator(mode="after")
    def _check(self) -> "TrainConfig":
        for key in ("evaluate_every", "score_records"):
            if getattr(self, key) and not any(stage.validation for stage in self.stages):
                raise ValueError(f"{key} needs held-out data: name it as validation in a stage")
        if self.stages[0].replay:
            raise ValueError(
                "stages.0.replay: no stage comes before the first, so there is nothing to replay"
            )
        return self


def load_config(path: str | Path, sets: list[str] | tuple[str, ...] = ()) -> TrainConfig:
    """The config in a YAML file, changed by `a.b=c` settings (list items by number: `stages.0.epochs=2`).

    Raises `UsageError` naming file and key for a missing file, bad YAML, an unknown key or a wrong value.
    """
    return parse_config(read_values(path, sets), where=str(path))


def parse_config(values: dict, where: str = "config") -> TrainConfig:
    """`TrainConfig` of plain values; `UsageError` naming every wrong key."""
    return checked(TrainConfig, values, where)


def dump_config(config: TrainConfig) -> str:
    """The resolved config as YAML; `load_config` of it gives the same config."""
    return yaml.safe_dump(config.model_dump(mode="json", by_alias=True), sort_keys=False)
