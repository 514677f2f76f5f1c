"""Faithfulness of label projection into several languages: the builder of parallel data beside other methods.

A record is faithful when every span that the method gave stands in the target sentence as it is (the paper's
definition); one without a target sentence is not. Languages are rows, methods columns.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, field_validator, model_validator

from kcx_jax.corpora import Record
from kcx_jax.errors import BudgetExceeded, KcxError
from kcx_jax.evaluation.runs.benchmark import load_benchmark
from kcx_jax.evaluation.runs.chat import LEDGER, within_budget
from kcx_jax.evaluation.runs.config import BenchmarkSettings, Endpoint, refuse_repeats
from kcx_jax.evaluation.runs.folder import ON_THE_WAY, Results
from kcx_jax.evaluation.runs.published import find_cells, table_of
from kcx_jax.evaluation.runs.resolving import resolve_one
from kcx_jax.evaluation.runs.table import NOT_RUN
from kcx_jax.files import digest
from kcx_jax.llm import Ledger
from kcx_jax.parallel import build
from kcx_jax.parallel.projection import METHODS, figures, project
from kcx_jax.parallel.report.counts import Tally
from kcx_jax.scoring import Sheet, latex, markdown
from kcx_jax.settings import Settings, checked, read_values

Shares = dict[str, Any]  # count, of, share, low and high, as `kcx_jax.parallel.report.shares.Share` has them


class BuilderSystem(Endpoint):
    """The three stages of ``kcx parallel build``."""

    kind: Literal["builder"]
    fallback: str | None = None  # the model for what the first one fails at


class ProjectionSystem(Endpoint):
    """A method of ``kcx parallel projection``."""

    kind: Literal["projection"]
    method: str

    @field_validator("method")
    @classmethod
    def _known(cls, method: str) -> str:
        if method not in METHODS:
            raise ValueError(f"unknown method {method!r}; known: {', '.join(METHODS)}")
        return method


class FaithfulnessConfig(Settings):
    """A whole comparison: `kcx evaluate CONFIG.yaml` with `kind: faithfulness`."""

    kind: Literal["faithfulness"]
    title: str = "Faithfulness"
    results: str
    data: str | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    source: BenchmarkSettings  # the records, of one language
    targets: Annotated[tuple[str, ...], Field(min_length=1)]
    systems: Annotated[
        tuple[Annotated[BuilderSystem | ProjectionSystem, Field(discriminator="kind")], ...],
        Field(min_length=1),
    ]
    published: str | None = None  # TABLE/ROW of the published figures for the mean
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> "FaithfulnessConfig":
        refuse_repeats("systems", [each.name for each in self.systems])
        return self


def is_faithfulness(path: str | Path) -> bool:
    """Whether a YAML file is a config of this kind. Raises `UsageError` as `read_values`."""
    return read_values(path).get("kind") == "faithfulness"


def load_faithfulness(path: str | Path, sets: Sequence[str] = ()) -> FaithfulnessConfig:
    """The config in a YAML file, changed by settings as `load_config` takes them, and raising as it."""
    return checked(FaithfulnessConfig, read_values(path, sets), str(path))


def measure_faithfulness(config: FaithfulnessConfig, data: str | None = None) -> tuple[Path, dict[str, str]]:
    """Run `config`, or go on with it, and write its table; gives the folder, and why cells are missing.

    Calls are in the ledgers of the folder, so nothing that was answered is asked again. Raises as `evaluate`.
    """
    source, root = resolve_one(config.source, config.data or data)
    config = config.model_copy(update={"source": source, "data": root})
    results = Results(config.results)
    deciding = config.model_dump(
        mode="json", by_alias=True, exclude={"systems": {"__all__": set(ON_THE_WAY)}}
    )
    results.claim_as_is(yaml.safe_dump(deciding, sort_keys=False, allow_unicode=True))
    cells: dict[tuple[str, str], Shares] = {}
    missing: dict[str, str] = {}
    try:
        benchmark = load_benchmark(source, root, config.seed)
    except KcxError as error:
        missing = {system.name: str(error) for system in config.systems}
    else:
        results.note(
            "benchmarks", source.name, {"sha256": digest(benchmark.path), "records": len(benchmark.gold)}
        )
        for system in config.systems:
            try:
                cells |= _shares(results, config, system, benchmark.gold)
            except BudgetExceeded:
                raise
            except KcxError as error:
                missing[system.name] = str(error)
    _write(config, results, cells, missing)
    return results.root, missing


def _shares(
    results: Results,
    config: FaithfulnessConfig,
    system: BuilderSystem | ProjectionSystem,
    gold: Sequence[Record],
) -> dict[tuple[str, str], Shares]:
    """The shares of one system by (system, target); they are kept, since they never change."""
    path = results.system(system.name) / "faithfulness.json"
    if not path.exists():
        if isinstance(system, BuilderSystem):
            shares = _built(results, config, system, gold)
        else:
            shares = _projected(results, config, system, gold)
        results.write_json(path, shares)
    kept = json.loads(path.read_text(encoding="utf-8"))
    return {(system.name, target): shares for target, shares in kept.items()}


def _built(
    results: Results, config: FaithfulnessConfig, system: BuilderSystem, gold: Sequence[Record]
) -> dict[str, Shares]:
    client, *others = system.clients(*filter(None, (system.model, system.fallback)))
    tallies = {target: Tally() for target in config.targets}
    language = config.source.language or gold[0].language
    folder = results.system(system.name) / "run"
    with build(
        gold, language, config.targets, client, folder, next(iter(others), None), budget=system.nano_budget
    ) as run:
        for _, target, outcome in run.all():
            tallies[target].add(outcome)
    return {target: tally.to_json()["verbatim"] for target, tally in tallies.items()}


def _projected(
    results: Results, config: FaithfulnessConfig, system: ProjectionSystem, gold: Sequence[Record]
) -> dict[str, Shares]:
    (client,) = system.clients(system.model)
    folder = results.system(system.name)
    shares: dict[str, Shares] = {}
    for target in config.targets:
        with Ledger(folder / target / LEDGER) as ledger:
            within = within_budget(client, system, ledger, folder, folder / target)
            found = figures(project(gold, target, within, system.method))["faithful_verbatim"]
        low, high = found.pop("interval_95")
        shares[target] = found | {"low": low, "high": high}
    return shares


def _write(
    config: FaithfulnessConfig,
    results: Results,
    cells: dict[tuple[str, str], Shares],
    missing: dict[str, str],
) -> None:
    names = [system.name for system in config.systems]
    published = find_cells(config.published) if config.published else {}
    head = ("target", *names, *(f"{name} (published)" for name in published))
    rows = [
        (target, *(_cell(cells.get((name, target))) for name in names), *("" for _ in published))
        for target in config.targets
    ]
    means = {
        name: _mean([cells[name, t]["share"] for t in config.targets if (name, t) in cells], config)
        for name in names
    }
    shown = (NOT_RUN if mean is None else f"{100 * mean:.2f}" for mean in means.values())
    rows.append(("mean", *shown, *(f"{cell.figure:.2f}" for cell in published.values())))
    notes = list(_notes(config, missing))
    sheet = Sheet(head, 1, rows)
    results.write_text("table.md", markdown([sheet], notes, config.title))
    results.write_text("table.tex", latex([sheet], (config.title, *notes)))
    by_system = {name: {t: cells[name, t] for t in config.targets if (name, t) in cells} for name in names}
    value = {
        "title": config.title,
        "measured": by_system,
        "means": means,
        "not_run": missing,
        "published_percent": {
            name: {"figure": cell.figure, "note": cell.note} for name, cell in published.items()
        },
        "notes": notes,
    }
    results.write_json(results.root / "table.json", value)


def _cell(shares: Shares | None) -> str:
    if shares is None:
        return NOT_RUN
    return f"{100 * shares['share']:.2f} ({100 * shares['low']:.2f} to {100 * shares['high']:.2f})"


def _mean(shares: list[float], config: FaithfulnessConfig) -> float | None:
    return sum(shares) / len(shares) if len(shares) == len(config.targets) else None


def _notes(config: FaithfulnessConfig, missing: dict[str, str]) -> Iterator[str]:
    yield "Records whose every span stands verbatim in the target sentence, in percent, with 95 % intervals (Wilson)."
    if config.source.limit is not None:
        yield f"At most {config.source.limit} records of {config.source.name}, drawn with seed {config.seed}."
    if config.published:
        yield "Cells marked (published) stand in papers; this project measured none of them."
        yield f"published: {table_of(config.published).source}"
        yield from table_of(config.published).notes
    yield from config.notes
    for name, reason in missing.items():
        yield f"not run: {name}: {reason}"
