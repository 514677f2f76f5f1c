"""How far long work is, on stderr."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import ProgressColumn


def byte_bar(what: str) -> AbstractContextManager[Callable[[int, int], None]]:
    """A bar for work that is measured in bytes; gives a function of the bytes done and those to do.

    A plain line that says what is done stands above it, which is all there is where stderr is no terminal.
    """
    from rich.progress import DownloadColumn, TransferSpeedColumn

    return _bar(what, DownloadColumn(), TransferSpeedColumn())


def count_bar(what: str) -> AbstractContextManager[Callable[[int, int], None]]:
    """The same for work that is counted."""
    from rich.progress import MofNCompleteColumn

    return _bar(what, MofNCompleteColumn())


@contextlib.contextmanager
def _bar(what: str, *figures: "ProgressColumn") -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TimeRemainingColumn

    print(what, file=sys.stderr)
    console = Console(stderr=True)
    columns = BarColumn(), *figures, TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
