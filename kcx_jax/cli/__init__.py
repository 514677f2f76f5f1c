"""The command line ``kcx``: one file a command, thin; heavy imports inside the command.

Lives here: arguments, progress and exit codes. Not here: anything another program would want to call.
A command's module exposes ``command`` (a function) or ``app`` (a typer group) and stands in `app`'s table.
"""

from kcx_jax.cli.app import main

__all__ = ["main"]
