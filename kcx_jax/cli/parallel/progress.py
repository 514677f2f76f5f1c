"""How far a build is, on stderr: a bar, lines now and then, or JSON for programs."""

import json
import sys
import time
from typing import TYPE_CHECKING

from kcx_jax.errors import UsageError

if TYPE_CHECKING:
    from kcx_jax.llm import Budget
    from kcx_jax.parallel import Statistics

FORMS = ("auto", "lines", "json")
# Seconds between two lines.
EVERY = 10.0


class BuildProgress:
    """``with BuildProgress("auto") as report: build(..., progress=report)``."""

    def __init__(self, form: str):
        if form not in FORMS:
            raise UsageError(f"--progress is {form!r}: one of {', '.join(FORMS)}")
        self._form = "bar" if form == "auto" and sys.stderr.isatty() else form
        self._begun = time.monotonic()
        self._first: int | None = None
        self._said = 0.0

    def __enter__(self) -> "BuildProgress":
        if self._form == "bar":
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            columns = (
                TextColumn("records"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.description}"),
            )
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task("", total=None)
            self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._form == "bar":
            self._bar.stop()

    def __call__(self, statistics: "Statistics", budget: "Budget") -> None:
        """A record came to its end."""
        now = time.monotonic()
        if self._first is None:
            self._first = statistics.finished - 1
        last = statistics.finished == statistics.total
        if now - self._said < (0.2 if self._form == "bar" else EVERY) and not last:
            return
        self._said = now
        facts = self._facts(statistics, budget, now)
        if self._form == "json":
            print(json.dumps(facts), file=sys.stderr, flush=True)
            return
        told = _in_words(facts)
        if self._form == "bar":
            self._bar.update(
                self._task, completed=statistics.finished, total=statistics.total, description=told
            )
        else:
            print(f"{statistics.finished}/{statistics.total} records, {told}", file=sys.stderr, flush=True)

    def _facts(self, statistics: "Statistics", budget: "Budget", now: float) -> dict:
        seconds = max(now - self._begun, 1e-6)
        rate = (statistics.finished - (self._first or 0)) / seconds
        left = statistics.total - statistics.finished
        return {
            "finished": statistics.finished,
            "total": statistics.total,
            "duplicates": statistics.duplicates,
            "repaired": statistics.repaired,
            "fallback": statistics.by_fallback,
            "people": statistics.unresolved,
            "replies": statistics.calls,
            "records_per_second": round(rate, 2),
            "seconds_left": round(left / rate) if rate else None,
            "usd": budget.known / 1e9,
            "usd_possible": budget.possible / 1e9,
            "unpriced_calls": budget.unpriced,
        }


def _in_words(facts: dict) -> str:
    left = facts["seconds_left"]
    words = [
        f"{facts['repaired']} repaired",
        f"{facts['fallback']} by the fallback",
        f"{facts['people']} for people",
        f"{facts['records_per_second']:.1f}/s",
        f"${facts['usd']:.4f}"
        + (f" + {facts['unpriced_calls']} unpriced calls" if facts["unpriced_calls"] else ""),
    ]
    if facts["duplicates"]:
        words.append(f"of which {facts['duplicates']} duplicates, not paid for")
    if left is not None:
        words.append(f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02} left")
    return ", ".join(words)
