"""``kcx inspect``: what a folder of weights holds."""

import json
from dataclasses import asdict
from typing import Annotated

import typer


def command(
    folder: Annotated[
        str, typer.Argument(metavar="DIR", help="Model or adapter folder, or ORG/NAME on the Hub.")
    ],
    fsdp: Annotated[int, typer.Option(min=1, help="Devices along fsdp, to tell the memory of each.")] = 1,
    tensor: Annotated[int, typer.Option(min=1, help="Devices along tensor, likewise.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the description as JSON.")] = False,
) -> None:
    """Show the layout, size, dtypes, settings and memory of a model or an adapter, reading headers only.

    Example: kcx inspect base --fsdp 2 --tensor 4
    """
    from kcx_jax.checkpoints.describe import describe

    found = describe(folder, fsdp, tensor)
    if as_json:
        print(json.dumps(asdict(found), indent=2))
        return
    rows = {
        found.kind: f"{found.layout} layout",
        "parameters": f"{found.parameters:,}",
        "size": f"{found.bytes / 1e6:,.1f} MB in {', '.join(found.files)}",
        "dtypes": ", ".join(f"{name} ({count:,})" for name, count in found.parameters_by_dtype.items()),
        **{key: str(value) for key, value in found.settings.items()},
    }
    if found.bytes_per_device is not None:
        mesh = f"a mesh of fsdp {fsdp}, tensor {tensor}"
        rows["weights"] = f"{found.bytes_per_device / 1e9:,.2f} GB on each device of {mesh}"
    if found.digest:
        rows["digest"] = f"{found.digest[:16]} (of sampled bytes; a run remembers its base by it)"
    _print_rows(rows)


def _print_rows(rows: dict[str, str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in rows.items():
        table.add_row(Text(name, "bold"), Text(value))
    Console().print(table)
