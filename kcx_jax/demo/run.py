"""The demo as seven steps in one folder. A step that is done is not done again; one cut short goes on."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kcx_jax.demo.settings import Settings
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.files import atomic_write

SETTINGS_FILE = "settings.json"
RESULT_FILE = "result.json"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """One step: `work(folder of the run, its own folder, settings, say)` returns what the report needs of it."""

    name: str
    title: str
    work: Callable[[Path, Path, Settings, Say], dict[str, Any]]


def run_steps(steps: list[Step], out: Path, settings: Settings, say: Say) -> dict[str, dict[str, Any]]:
    """Run or resume all `steps` in `out`; returns their results by name.

    Raises `UsageError` when `out` holds something else, or a run with other settings.
    """
    _open_folder(out, settings)
    results = {}
    for number, step in enumerate(steps, 1):
        folder = out / f"{number}-{step.name}"
        head = f"[{number}/{len(steps)}] {step.title}"
        done = folder / RESULT_FILE
        if done.exists():
            results[step.name] = read_json(done)
            say(f"{head}: done before, in {results[step.name]['seconds']:.0f} s")
            continue
        say(head)
        started = time.monotonic()
        folder.mkdir(exist_ok=True)
        result = step.work(out, folder, settings, say)
        result["seconds"] = time.monotonic() - started
        write_json(result, done)
        results[step.name] = result
    return results


def read_json(path: Path) -> Any:
    """A JSON file of a run. Raises `KcxError` naming it when it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise KcxError(
            f"cannot read {path}: {error}. Delete its folder to have that step done again."
        ) from error


def write_json(value: Any, path: Path) -> None:
    """Write `value` so that the file is there whole or not at all."""
    with atomic_write(path, overwrite=True) as handle:
        json.dump(value, handle, ensure_ascii=False, indent=1)


def _open_folder(out: Path, settings: Settings) -> None:
    known = out / SETTINGS_FILE
    if known.exists():
        before = read_json(known)
        differing = [key for key, value in settings.to_json().items() if before.get(key) != value]
        if differing:
            raise UsageError(
                f"{out} holds a run with other settings ({', '.join(differing)}). Choose another --out, or repeat "
                f"the call that made it: seed {before.get('seed')}, quick {before.get('quick')}."
            )
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is no run of the demo. Choose another --out.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KcxError(f"cannot make {out}: {error.strerror}. Choose another --out.") from error
    write_json(settings.to_json(), known)
