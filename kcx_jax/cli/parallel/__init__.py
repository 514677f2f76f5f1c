"""``kcx parallel``: build parallel annotated data with a chat model. One file a command."""

from collections.abc import Callable

import typer

from kcx_jax.cli.parallel import (
    build,
    export,
    merge,
    pair,
    plan,
    preview,
    projection,
    recipe,
    report,
    revalidate,
    review,
    status,
)

app = typer.Typer(help="Build parallel annotated data with a chat model.", no_args_is_help=True)

COMMANDS: dict[str, Callable[..., None]] = {
    "plan": plan.command,
    "preview": preview.command,
    "build": build.command,
    "recipe": recipe.command,
    "status": status.command,
    "report": report.command,
    "export": export.command,
    "pair": pair.command,
    "projection": projection.command,
    "merge": merge.command,
    "revalidate": revalidate.command,
}
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
app.add_typer(review.app, name="review")
