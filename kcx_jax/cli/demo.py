"""`kcx demo`: the whole path on a corpus of this project's own."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer


def command(
    out: Annotated[Path, typer.Option(help="Folder of the run; the same call resumes it.")] = Path(
        "demo-run"
    ),
    seed: Annotated[int, typer.Option(help="Seed of corpus, tuning and faults.", min=0)] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Two minutes: everything, smaller.")] = False,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Train the base anew (hours) in place of the shipped one.")
    ] = False,
) -> None:
    """Text -> parallel data -> two tuning stages -> answers -> scores -> Hugging Face, in at most ten minutes.

    Example: kcx demo --out demo-run --seed 0
    """
    from kcx_jax.demo.environment import compiled_once, use_cores
    from kcx_jax.demo.run import run_steps
    from kcx_jax.demo.settings import Settings
    from kcx_jax.demo.steps import STEPS

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    started = time.monotonic()
    settings = Settings.of(seed, quick, from_scratch)
    use_cores(settings.rows)
    try:
        with compiled_once():
            results = run_steps(STEPS, out, settings, say)
    except KeyboardInterrupt:
        say(f"Stopped. What is done lies in {out}; the same call goes on from there.")
        raise
    say(
        f"Done in {time.monotonic() - started:.0f} s. Everything lies in {out}; open {results['report']['page']}"
    )
