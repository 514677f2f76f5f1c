"""``kcx train``: the two tuning stages, from one YAML file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kcx_jax.errors import UsageError

if TYPE_CHECKING:
    from kcx_jax.training.forecast import Forecast
    from kcx_jax.training.run import Score


def command(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="What to train, and on what.")],
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="A.B=C", help="Change one setting, such as optimiser.learning_rate=1e-4."
        ),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print steps, tokens and memory; train nothing.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest checkpoint of the run folder.")
    ] = False,
    distributed: Annotated[
        bool,
        typer.Option(
            "--distributed", help="This is one of several processes, as scripts/train.sbatch starts them."
        ),
    ] = False,
) -> None:
    """Tune a model with LoRA (or whole) on parallel data, then on records; the adapter is written as PEFT.

    Example: kcx train configs/two_stages.yaml --set model=base --set run_dir=runs/first
    """
    from kcx_jax.training import load_config, train
    from kcx_jax.training.processes import join_processes, speaks
    from kcx_jax.training.stages import say_to_stderr

    if plan and resume:
        raise UsageError("--plan trains nothing, so there is nothing to --resume")
    if plan and distributed:
        raise UsageError("--plan is made by one process: leave --distributed out")
    settings = load_config(config, sets or [])
    if distributed:
        join_processes()
    if plan:
        from kcx_jax.training.forecast import forecast

        told = forecast(settings, say_to_stderr)
        _print(told)
        told.require_room()
    else:
        say = say_to_stderr if speaks() else lambda line: None
        train(settings, resume=resume, say=say, score=_score(settings.score_records))


def _score(records: int) -> "Score | None":
    """What decodes and scores so many records while training; None for none."""
    if not records:
        return None
    from kcx_jax.evaluation.while_training import decoded_f1

    return lambda model, stage: decoded_f1(model, stage, records)


def _print(forecast: "Forecast") -> None:
    """The forecast as a table, and lines on parameters and memory, on stdout."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False, padding=(0, 1))
    table.add_column("stage", no_wrap=True)
    for name in ("samples", "steps", "rows", "tokens", "saved", "stream", "grid", "shapes"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, plan in forecast.stages.items():
        table.add_row(
            name.removeprefix("stage "),
            f"{plan.total('samples'):,}",
            f"{len(plan.steps):,}",
            f"{plan.rows:,}",
            f"{plan.total('tokens'):,}",
            f"{plan.saving:.0%}",
            f"{plan.padding:.0%}",
            f"{plan.grid_padding:.0%}",
            str(len(plan.shapes)),
        )
    console.print(table)
    console.print(
        "saved: of all tokens, by sharing the schema. Padding: of the stream, and of attention's grid."
    )
    memory = forecast.memory
    share = forecast.trained / forecast.parameters
    console.print(
        f"trains {forecast.trained:,} parameters, {share:.2%} of the base's {forecast.parameters:,}"
    )
    parts = {
        "frozen weights": memory.frozen,
        "trained weights and optimiser": memory.state,
        "the costliest step": memory.step,
    }
    listed = ", ".join(f"{name} {_human(size)}" for name, size in parts.items())
    console.print(f"memory a device, as compiled for {memory.platform}: {_human(memory.total)} ({listed})")
    console.print(f"needed operations: {forecast.flops_per_token / 1e9:,.3g} GFLOP a token")
    traffic = forecast.traffic
    sent = [f"{kind} {_human(traffic.sent[kind])} in {n:,}" for kind, n in traffic.count.items() if n]
    told = "" if traffic.exact else " (the program does not tell all)"
    console.print(f"sent a step and device: {', '.join(sent) or 'nothing'}{told}")


def _human(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
