"""The store of a training run: what a run needs to go on where it stopped, and never the frozen base.

Orbax writes in the background, into a folder renamed when complete, so a run killed at any moment finds its
last whole step. Beside the arrays lie, as JSON, the position in the data, whatever else the loop wants back,
and the fingerprint of the base: a run resumed on another base is refused. So do checksums of arrays and notes: a
step that a disk has damaged since is told from a whole one, and set aside.
"""

import contextlib
import gc
import hashlib
import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils
from orbax.checkpoint import v1 as ocp

from kcx_jax.checkpoints.checksum import checksums
from kcx_jax.errors import KcxError

PyTree = Any
_saving = ocp.training.save_decision_policies


def _not_raised_later(record: logging.LogRecord) -> bool:
    """False for the tracebacks that Orbax's threads log: the same error is raised here, with the folder's name."""
    return not (record.levelno >= logging.ERROR and "orbax/checkpoint" in record.pathname)


logging.getLogger("absl").addFilter(_not_raised_later)


def _pass_over_late_threads() -> None:
    """Have no thread of TensorStore print that its event loop is closed.

    Orbax closes the loop at the first array that cannot be written or read, and that error is raised here; the
    threads that are busy with the other arrays each print a traceback when they find nobody to report to, at any
    moment until the program's end.
    """
    before = sys.unraisablehook
    if getattr(before, "passes_over_late_threads", False):
        return

    def shown(unraisable: "sys.UnraisableHookArgs") -> None:
        error = unraisable.exc_value
        if not (isinstance(error, RuntimeError) and str(error) == "Event loop is closed"):
            before(unraisable)

    shown.passes_over_late_threads = True  # type: ignore[attr-defined]
    sys.unraisablehook = shown


class DamagedStep(KcxError):
    """A step that cannot be read, or holds other bits than were written."""


class Restored(NamedTuple):
    """What one step holds: the arrays, the position in the data, and the loop's own notes.

    `passed_over` says of each newer step that was damaged what is wrong with it and where it was put.
    """

    state: PyTree
    data_position: dict
    metadata: dict
    passed_over: tuple[str, ...] = ()


class _LatestAndBest:
    """Orbax's question which steps to preserve: the last few, and the best one."""

    def __init__(self, last: int):
        self.last = last
        self.best: int | None = None

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        steps = [checkpoint.step for checkpoint in checkpoints]
        kept = {*sorted(steps)[-self.last :], self.best}
        return [step in kept for step in steps]


class RunStore:
    """Steps of one run in one folder, the last `keep_last` of them kept, and the one saved as the best.

    `base` is the `fingerprint` of the frozen base (None where a run has none); raises `KcxError` when the
    folder holds steps of a run on another base. A context manager: leaving it waits for what is being
    written.
    """

    def __init__(self, folder: str | Path, base: dict[str, str] | None = None, keep_last: int = 3):
        self.folder = Path(folder).resolve()
        self._base = base
        self._kept = _LatestAndBest(keep_last)
        _pass_over_late_threads()
        with self._named("open"), _unlogged():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._orbax = ocp.training.Checkpointer(
                self.folder,
                save_decision_policy=_saving.FixedIntervalPolicy(1),
                preservation_policy=self._kept,
                cleanup_tmp_directories=True,
            )
        for step in reversed(self.steps()):
            with contextlib.suppress(DamagedStep):  # `restore_newest` tells
                notes = self._notes(step)
                self._refuse_other_base(notes["base"])
                self._kept.best = notes["best"]
                break

    def __enter__(self) -> "RunStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def best(self) -> int | None:
        """The step last saved as the best, if any."""
        return self._kept.best

    def save(
        self, step: int, state: PyTree, data_position: dict, metadata: dict | None = None, best: bool = False
    ) -> None:
        """Start writing `state` (a pytree of jax arrays) with its JSON notes as `step`, in the background.

        The `best` one is kept whatever comes after, until another is saved as that.

        The arrays are copied before this returns, so the loop may donate them. A failure of an earlier step's
        writing (a full disk) is raised here or in `wait`, as `KcxError`.
        """
        if best:
            self._kept.best = step
        notes: dict[str, Any] = {
            "best": self._kept.best,
            "data_position": data_position,
            "metadata": metadata or {},
            "base": self._base,
            "leaves": _describe(state),
            "checksums": checksums(state),
        }
        notes["digest"] = _digest(notes)
        with self._named(f"save step {step} in"):
            self._orbax.save_async(step, state, custom_metadata=notes)

    def steps(self) -> list[int]:
        """The steps that were written to their end, in ascending order."""
        return [checkpoint.step for checkpoint in self._orbax.checkpoints]

    def latest(self) -> int | None:
        """The newest of `steps`, or None in an empty store."""
        return max(self.steps(), default=None)

    def restore(self, step: int, abstract: PyTree) -> Restored:
        """Read `step` into the structure, dtypes and shardings of `abstract`.

        `abstract` has arrays or `jax.ShapeDtypeStruct`s (with a sharding each) as leaves; other devices than
        those it was written on are fine. Raises `DamagedStep` when the step is missing or damaged, `KcxError` when
        its leaves differ.
        """
        self.wait()
        notes = self._notes(step)
        _refuse_other_leaves(self.folder / str(step), notes["leaves"], _describe(abstract))
        abstract = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), abstract
        )
        with self._named(f"read step {step} of", DamagedStep), _unlogged():
            state = self._orbax.load(step, abstract)
        found = checksums(state)
        if changed := [path for path, sum_ in notes["checksums"].items() if found[path] != sum_]:
            raise DamagedStep(
                f"step {step} of {self.folder} holds other numbers at {changed[0]} than were written. "
                "Check the disk; an older step in the folder may still be whole."
            )
        return Restored(state, notes["data_position"], notes["metadata"])

    def restore_newest(self, abstract: Callable[[dict], PyTree]) -> Restored | None:
        """`restore` of the newest whole step, `abstract` telling what it holds by its data position; None in an
        empty store.

        Damaged steps newer than that are renamed, so that the run writes theirs anew. Raises `KcxError` when every
        step is damaged; then all stay as they are.
        """
        faults: dict[int, str] = {}
        for step in reversed(self.steps()):
            try:
                restored, fault = self.restore(step, abstract(self._notes(step)["data_position"])), None
            except DamagedStep as error:
                restored, fault = None, str(error)
            if _on_every_process(fault is None):
                assert restored is not None
                self._kept.best = self._notes(step)["best"]
                return restored._replace(passed_over=self._set_aside(faults))
            faults[step] = fault or f"another process cannot read step {step} of {self.folder}."
        if faults:
            raise KcxError(
                f"no step in {self.folder} is whole, so the run cannot go on: {' '.join(faults.values())} "
                "Start it anew in another folder."
            )
        return None

    def _set_aside(self, faults: dict[int, str]) -> tuple[str, ...]:
        """Rename damaged steps; what was wrong with each, and its new name."""
        told = []
        for step, fault in faults.items():
            names = (f"{step}.damaged{number or ''}" for number in count())
            aside = next(self.folder / name for name in names if not (self.folder / name).exists())
            multihost_utils.sync_global_devices("all have found a free name")
            if jax.process_index() == 0:
                with self._named(f"rename step {step} in"):
                    (self.folder / str(step)).rename(aside)
            told.append(f"{fault} It lies in {aside} now.")
        if faults:
            multihost_utils.sync_global_devices("damaged steps are renamed")
            self._orbax.reload()
        return tuple(told)

    def wait(self) -> None:
        """Return when nothing is being written any more; raises `KcxError` when that failed."""
        with self._named("finish writing"):
            self._orbax.wait()

    def close(self) -> None:
        """Wait, and let go of the folder."""
        with self._named("finish writing"):
            self._orbax.close()

    def _notes(self, step: int) -> dict:
        with self._named(f"read step {step} of", DamagedStep), _unlogged():
            notes = self._orbax.metadata(step).custom_metadata
        if not isinstance(notes, dict) or notes.get("digest") != _digest(notes):
            raise DamagedStep(f"the notes of step {step} of {self.folder} are damaged or not this program's.")
        return notes

    def _refuse_other_base(self, found: dict[str, str] | None) -> None:
        if found == self._base:
            return
        sides = [side or {} for side in (found, self._base)]
        parts = sorted(part for part in {*sides[0], *sides[1]} if sides[0].get(part) != sides[1].get(part))
        raise KcxError(
            f"the run in {self.folder} was trained on another base: it differs in its {', '.join(parts)}. "
            "Resume it with the base it was started on, or start a new run in another folder."
        )

    @contextlib.contextmanager
    def _named(self, action: str, kind: type[KcxError] = KcxError) -> Iterator[None]:
        """Orbax's errors name its own classes: say which folder and what to do instead."""
        try:
            yield
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            reason = next(iter(str(error.__cause__ or error).strip("'\"").splitlines()), type(error).__name__)
            raise kind(
                f"cannot {action} {self.folder}: {reason.split(' [tensorstore_spec')[0][:300]}. "
                "Check the disk; an older step in the folder may still be whole."
            ) from error


@contextlib.contextmanager
def _unlogged() -> Iterator[None]:
    """Orbax's tasks and TensorStore's threads print pages on a damaged step: the error raised says it in a line."""
    before = logging.root.manager.disable, sys.excepthook, sys.unraisablehook
    logging.disable(logging.ERROR)
    sys.excepthook = lambda *_: None
    sys.unraisablehook = lambda _: None
    with warnings.catch_warnings(action="ignore"):
        try:
            yield
        finally:
            gc.collect()  # tasks print when they are collected
            logging.disable(before[0])
            sys.excepthook, sys.unraisablehook = before[1:]


def _on_every_process(fine: bool) -> bool:
    return bool(np.all(multihost_utils.process_allgather(np.array(fine))))


def _digest(notes: dict) -> str:
    """SHA-256 of all notes but their digest."""
    rest = {name: value for name, value in notes.items() if name != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _describe(state: PyTree) -> dict[str, list]:
    """Leaf path -> [shape, dtype]."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): [list(leaf.shape), str(leaf.dtype)] for path, leaf in leaves}


def _refuse_other_leaves(where: Path, found: dict[str, list], expected: dict[str, list]) -> None:
    for path in sorted({*found, *expected}):
        if found.get(path) != expected.get(path):
            raise KcxError(
                f"{where} holds {found.get(path, 'nothing')} at {path}, this run expects "
                f"{expected.get(path, 'nothing')}: resume with the settings the run was started with."
            )
