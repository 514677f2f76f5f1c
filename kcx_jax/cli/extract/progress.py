"""Progress while texts are read, and what came of it, on stderr."""

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kcx_jax.errors import KcxError
    from kcx_jax.extraction import Extractor, Figures, Result

_PROBLEMS_SHOWN = 5  # the others are counted; all of them stand in the records
_EVERY = 30.0  # seconds between two lines where stderr is no terminal


class Report:
    """Counts results as they pass by. `to_screen`: these pass by on stdout."""

    def __init__(self, to_screen: bool):
        self._to_screen = to_screen
        self.skipped: list[KcxError] = []
        self._told = 0  # of those skipped
        self._counts = {"texts": 0, "entities": 0, "relations": 0, "events": 0, "problems": 0}
        self._begun = time.monotonic()

    def counted(self, results: "Iterable[Result]", extractor: "Extractor") -> "Iterator[Result]":
        """The results, and a line about them that is kept up to date."""
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        console = Console(stderr=True, highlight=False)
        columns = (
            SpinnerColumn(),
            TextColumn("{task.completed} texts"),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
        )
        # No progress line between results that pass by on the same terminal.
        live = console.is_terminal and not (self._to_screen and sys.stdout.isatty())
        self._begun = said = time.monotonic()
        with Progress(*columns, console=console, transient=True, disable=not live) as progress:
            line = progress.add_task("", total=None)
            for result in results:
                self._count(result)
                yield result
                progress.update(line, advance=1, description=self._pace(extractor))
                if not console.is_terminal and time.monotonic() - said > _EVERY:
                    said = time.monotonic()
                    print(f"{self._counts['texts']} texts, {self._pace(extractor)}", file=sys.stderr)

    def _count(self, result: "Result") -> None:
        from kcx_jax.page import visible

        self._tell_skipped()
        self._counts["texts"] += 1
        for kind in ("entities", "relations", "events"):
            self._counts[kind] += len(getattr(result, kind))
        for problem in result.problems:
            self._counts["problems"] += 1
            if self._counts["problems"] <= _PROBLEMS_SHOWN:
                where = "" if problem.window is None else " at {}-{}".format(*problem.window)
                line = f"text {result.record.id}{where}, {problem.task}: {problem.kind}: {problem.detail}"
                print(visible(line), file=sys.stderr)

    def _tell_skipped(self) -> None:
        from kcx_jax.page import visible

        for error in self.skipped[self._told :]:
            print(visible(f"skipped: {error}"), file=sys.stderr)
        self._told = len(self.skipped)

    def _pace(self, extractor: "Extractor") -> str:
        return _in_words(extractor.figures, self._counts["texts"], time.monotonic() - self._begun)

    def print(self, output: Path | None, earlier: int, extractor: "Extractor") -> None:
        """What was found, and at what pace; `earlier` texts were done by a run before."""
        self._tell_skipped()
        counts = ", ".join(f"{number} {kind}" for kind, number in self._counts.items())
        before = f" ({earlier} texts were done before)" if earlier else ""
        skipped = f", {len(self.skipped)} bad lines skipped" if self.skipped else ""
        place = f" in {output}" if output else ""
        print(f"{counts}{skipped}{place}{before}", file=sys.stderr)
        if self._counts["texts"]:
            print(self._pace(extractor), file=sys.stderr)


def _in_words(figures: "Figures", texts: int, seconds: float) -> str:
    """What a source has done for so many texts."""
    words = [f"{texts / max(seconds, 1e-3):.1f} texts/s"]
    if figures.forwards is not None:
        words.append(f"{figures.forwards / texts:.1f} forwards a text")
        words.append(f"schemas: {figures.tokens_read:,} tokens read, {figures.tokens_reused:,} reused")
    elif figures.tokens_read:
        words.append(f"{figures.answers} requests")
        words.append(f"{figures.tokens_read:,} prompt tokens, {figures.tokens_reused:,} of them cached")
    return ", ".join(words)
