"""``kcx bench``: measurements beside a peer, in one run."""

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Measure this project beside a peer, in one run.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass  # keeps `load` a command of its own while it is the only one


@app.command()
def load(
    model: Annotated[str, typer.Option(help="Model folder, or ORG/NAME on the Hugging Face Hub.")],
    dtype: Annotated[str | None, typer.Option(help="Dtype on the device (default: as stored).")] = None,
    rounds: Annotated[int, typer.Option(min=3, help="Times each side is measured; the median counts.")] = 3,
    cold: Annotated[
        bool, typer.Option("--cold", help="Drop the files from the page cache before each measurement.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the figures there.")
    ] = None,
) -> None:
    """Time loading a checkpoint beside a plain read of the same files (through one small buffer, and kept in
    memory), and its peak of memory.

    Example: kcx bench load --model base --json load.json
    """
    from kcx_jax.bench.load import bench_load
    from kcx_jax.files import refuse_existing

    if json_file is not None:
        refuse_existing(json_file, overwrite=False)  # before minutes of measuring
    report = bench_load(model, dtype, rounds, cold, lambda line: print(line, file=sys.stderr))
    if json_file is not None:
        report.write(json_file)
    for name, side in {"load": report.kcx, **report.peers}.items():
        seconds, speed = side["seconds"], side["megabytes_per_second"]
        print(f"{name.replace('_', ' '):14} {seconds:8.2f} s {speed:10,.0f} MB/s")
    peak = report.kcx["peak_anonymous_bytes"] / 1e9
    print(f"peak {peak:.2f} GB of anonymous memory; {report.ratio:.2f} times the speed of the plain read")
