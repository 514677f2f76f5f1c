"""What ``kcx evaluate`` is told: benchmarks, systems, and how to count; frozen settings from YAML.

`resolved` writes every benchmark out: one file, one language, its reader and inventory named. A resolved config is a
config itself, and is what the results folder keeps.
"""

import os
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, field_validator, model_validator

from kcx_jax.errors import UsageError
from kcx_jax.llm import ChatClient, load_prices
from kcx_jax.llm.money import NANO
from kcx_jax.schema import Task
from kcx_jax.scoring.modes import mode_named
from kcx_jax.scoring.raw import SYSTEMS
from kcx_jax.settings import Settings, checked, read_values

Positive = Annotated[int, Field(ge=1)]
# A folder of the results is called so; what is between `{}` is filled in.
BenchmarkName = Annotated[str, Field(pattern=r"^[\w{][\w.{}-]*$")]
SystemName = Annotated[str, Field(pattern=r"^\w[\w .,+()-]*$")]


class PromptSettings(Settings):
    """What the classes of a prompt show, and whether a pair is given."""

    descriptions: bool = True
    exemplars: Annotated[int, Field(ge=0)] | None = (
        None  # of each class, from the training file; None: the schema's
    )
    pair: bool = False  # RE is given the pair that each record asks about


class BenchmarkSettings(Settings):
    """Records to be answered: files of a benchmark of the catalogue, or files of one's own.

    In `path`, `train` and `published` stand `{language}` and, in `path`, shell patterns: each language and each file
    is a benchmark of its own in the table.
    """

    name: BenchmarkName
    catalogue: str | None = None  # its name there: reader, inventory, tasks and, by `split`, the files
    split: str = "test"
    languages: tuple[str, ...] = ()  # of a benchmark with a file a language; none given: all
    path: str | None = None  # in the folder of the catalogue's benchmark, else in the working folder
    train: str | None = None  # its training file, for systems and prompts that need one
    reader: str | None = None
    inventory: str | None = "default"  # the reader's or the catalogue's; null keeps the corpus's labels
    language: str | None = None  # of a format that does not say
    schema_path: str | None = Field(None, alias="schema")  # none: the inventory's classes, or those of gold
    schema_language: str = "en"  # of the ontology's descriptions
    classes: tuple[str, ...] = ()  # ask for these alone, and leave others out of gold
    tasks: Annotated[tuple[Task, ...], Field(min_length=1)] | None = None  # none: what gold is annotated for
    limit: Positive | None = None  # so many records, drawn by the seed
    join: Positive = 1  # so many neighbours make one long document
    mode: str | None = None  # how to count, if not as the config says
    prompts: PromptSettings = PromptSettings()
    published: str | None = None  # TABLE/ROW of the published figures that stand beside

    @field_validator("mode")
    @classmethod
    def _known_mode(cls, mode: str | None) -> str | None:
        return mode if mode is None else _mode(mode)

    @field_validator("tasks")
    @classmethod
    def _distinct_tasks(cls, tasks: tuple[Task, ...] | None) -> tuple[Task, ...] | None:
        refuse_repeats("tasks", tasks or ())
        return tasks


class ModelSystem(Settings):
    """A model of ours: a checkpoint and the adapters on top of it."""

    kind: Literal["model"]
    name: SystemName
    model: str  # a folder, or ORG/NAME on the Hub
    adapters: tuple[str, ...] = ()  # a chain, the first one below
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    constraint: Literal["off", "syntax", "schema", "schema+span"] = "schema+span"
    max_new_tokens: Positive = 256


class Endpoint(Settings):
    """A chat model behind an OpenAI-compatible endpoint, and what it may cost."""

    name: SystemName
    model: str
    base_url: str | None = None  # none: OPENAI_BASE_URL, or OpenAI
    api_key_env: str | None = None  # the variable with the key; none: OPENAI_API_KEY
    concurrency: Positive = 8
    timeout: Annotated[float, Field(gt=0)] = 120.0
    budget: Annotated[Decimal, Field(gt=0, lt=10**9, decimal_places=9)] | None = None  # dollars, of the run
    prices: str | None = None  # a price file of one's own

    def clients(self, *models: str, temperature: float | None = 0.0) -> list[ChatClient]:
        """A client for each of the models. Raises `UsageError` when a needed key is absent."""
        key = None if self.api_key_env is None else os.environ.get(self.api_key_env)
        if self.api_key_env is not None and not key:
            raise UsageError(
                f"{self.name}: api_key_env names the variable {self.api_key_env}, which is not set"
            )
        prices = load_prices(self.prices)
        return [
            ChatClient(
                model,
                self.base_url,
                key,
                concurrency=self.concurrency,
                timeout=self.timeout,
                temperature=temperature,
                price=prices[model],
            )
            for model in models
        ]

    @property
    def nano_budget(self) -> int | None:
        """The budget in billionths of a dollar."""
        return None if self.budget is None else int(self.budget * NANO)


class ChatSystem(Endpoint):
    """A chat model that is asked for answers."""

    kind: Literal["chat"]
    style: Literal["code", "json"] = "code"  # how the classes are shown and answers written
    max_tokens: Positive = 1024  # of a reply
    temperature: Annotated[float, Field(ge=0)] | None = 0.0


class OutputsSystem(Settings):
    """Another system, by the files it wrote: `{benchmark}` and `{task}` stand in the path."""

    kind: Literal["outputs"]
    name: SystemName
    path: str
    format: str = "auto"
    inventory: str | None = None  # what maps its labels to classes; none: that of each benchmark, and by name

    @field_validator("format")
    @classmethod
    def _known_format(cls, format: str) -> str:
        if format not in ("records", *SYSTEMS):
            raise ValueError(f"unknown format of outputs {format!r}; known: records, {', '.join(SYSTEMS)}")
        return format


class TaggerSystem(Settings):
    """A tagger (a conditional random field) trained on each benchmark's own training file; entities only."""

    kind: Literal["tagger"]
    name: SystemName
    share: Annotated[float, Field(gt=0, le=1)] = 1.0  # of the training file, drawn by the seed
    iterations: Positive = 100


SystemSettings = Annotated[
    ModelSystem | ChatSystem | OutputsSystem | TaggerSystem, Field(discriminator="kind")
]


class MeanSettings(Settings):
    """A row of the table: the mean over benchmarks, which are named by shell patterns."""

    name: str
    of: Annotated[tuple[str, ...], Field(min_length=1)]
    published: str | None = None


class EvaluateConfig(Settings):
    """A whole evaluation: `kcx evaluate CONFIG.yaml`."""

    title: str = "Evaluation"
    results: str  # the folder to write
    data: str | None = None  # the catalogue's benchmarks, as DATA/NAME/...; none: KCX_DATA
    seed: Annotated[int, Field(ge=0)] = 0
    mode: str = "strict"
    samples: Positive = 1000  # draws of each interval
    benchmarks: Annotated[tuple[BenchmarkSettings, ...], Field(min_length=1)]
    systems: Annotated[tuple[SystemSettings, ...], Field(min_length=1)]
    means: tuple[MeanSettings, ...] = ()
    notes: tuple[str, ...] = ()  # below the table

    @field_validator("mode")
    @classmethod
    def _known_mode(cls, mode: str) -> str:
        return _mode(mode)

    @model_validator(mode="after")
    def _check(self) -> "EvaluateConfig":
        refuse_repeats("benchmarks", [each.name for each in self.benchmarks])
        refuse_repeats("systems", [each.name for each in self.systems])
        return self


def refuse_repeats(what: str, names: Sequence[str]) -> None:
    """Raise `ValueError` for a name that stands twice."""
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{what} with the same name: {', '.join(twice)}")


def load_config(path: str | Path, sets: list[str] | tuple[str, ...] = ()) -> EvaluateConfig:
    """The config in a YAML file, changed by `a.b=c` settings (list items by number: `benchmarks.0.limit=20`).

    Raises `UsageError` naming file and key for a missing file, bad YAML, an unknown key or a wrong value.
    """
    return checked(EvaluateConfig, read_values(path, sets), str(path))


def dump_config(config: EvaluateConfig) -> str:
    """The config as YAML; `load_config` of it gives the same config."""
    return yaml.safe_dump(
        config.model_dump(mode="json", by_alias=True), sort_keys=False, allow_unicode=True, width=110
    )


def _mode(name: str) -> str:
    try:
        return mode_named(name).name
    except UsageError as error:
        raise ValueError(str(error)) from error
