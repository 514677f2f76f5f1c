"""The table of commands, and how an error becomes one message and an exit code.

Exit codes: 0 done, 1 failed, 2 usage, 3 stopped by a budget, 4 regression found, 130 interrupted. A bug keeps its
traceback.
"""

import _thread
import io
import os
import sys
import threading
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

from kcx_jax import __version__
from kcx_jax.cli import (
    bench,
    data,
    demo,
    doctor,
    evaluate,
    export,
    extract,
    inspect,
    parallel,
    schema,
    score,
    serve,
    train,
)
from kcx_jax.cli.extras import extra_of, how_to_install
from kcx_jax.errors import KcxError

COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo.command,
    "doctor": doctor.command,
    "evaluate": evaluate.command,
    "export": export.command,
    "extract": extract.command,
    "inspect": inspect.command,
    "score": score.command,
    "serve": serve.command,
    "train": train.command,
}
GROUPS = {
    "bench": bench.app,
    "data": data.app,
    "schema": schema.app,
    "parallel": parallel.app,
}

app = typer.Typer(
    name="kcx",
    help="Multilingual information extraction written as Python code.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a bug's traceback stays plain, without the values of locals
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"kcx_jax {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
for _name, _group in GROUPS.items():
    app.add_typer(_group, name=_name)


def interrupt_again(lost: "sys.UnraisableHookArgs") -> None:
    """Python drops a Ctrl-C that falls into a callback of the garbage collector (JAX has one): it comes again."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        threading.Timer(0.05, _thread.interrupt_main).start()  # at once, it would fall into this hook
    else:
        sys.__unraisablehook__(lost)


def main() -> NoReturn:
    """Run ``kcx`` on ``sys.argv`` and leave with its exit code."""
    sys.unraisablehook = interrupt_again
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # one that is no UTF-8 shows what it cannot write as \\u....
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # a reader that left is found here, not in the interpreter's shutdown
        code = 0
    except KcxError as error:
        print(f"kcx: {error}", file=sys.stderr)
        code = error.exit_code
    except ModuleNotFoundError as error:
        extra = extra_of(error.name or "")
        if extra is None:
            raise
        print(
            f"kcx: this needs the package {error.name}, which is not installed. {how_to_install(extra)}",
            file=sys.stderr,
        )
        code = 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        # A full disk or a folder without permission, met where no room of the house says more about it.
        if error.strerror is None:
            raise
        print(f"kcx: cannot use {error.filename or 'a file'}: {error.strerror}.", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
