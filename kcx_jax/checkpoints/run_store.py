"""The store of a training run: what a run needs to go on where it stopped, and never the frozen base.

Orbax writes in the background, into a folder renamed when complete, so a run killed at any moment finds its
last whole step. Beside the arrays lie, as JSON, the position in the data, whatever else the loop wants back,
and the fingerprint of the base: a run resumed on another base is refused.
"""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
from orbax.checkpoint import v1 as ocp

from kcx_jax.errors import KcxError

PyTree = Any
_saving = ocp.training.save_decision_policies
_keeping = ocp.training.preservation_policies


def _not_raised_later(record: logging.LogRecord) -> bool:
    """False for the tracebacks that Orbax's threads log: the same error is raised here, with the folder's name."""
    return not (record.levelno >= logging.ERROR and "orbax/checkpoint" in record.pathname)


logging.getLogger("absl").addFilter(_not_raised_later)


class Restored(NamedTuple):
    """What one step holds: the arrays, the position in the data, and the loop's own notes."""

    state: PyTree
    data_position: dict
    metadata: dict


class RunStore:
    """Steps of one run in one folder, the last `keep_last` of them kept.

    `base` is the `fingerprint` of the frozen base (None where a run has none); raises `KcxError` when the
    folder holds steps of a run on another base. A context manager: leaving it waits for what is being
    written.
    """

    def __init__(self, folder: str | Path, base: dict[str, str] | None = None, keep_last: int = 3):
        self.folder = Path(folder).resolve()
        self._base = base
        with self._named("open"):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._orbax = ocp.training.Checkpointer(
                self.folder,
                save_decision_policy=_saving.FixedIntervalPolicy(1),
                preservation_policy=_keeping.LatestN(keep_last),
                cleanup_tmp_directories=True,
            )
        if (newest := self.latest()) is not None:
            self._refuse_other_base(self._notes(newest)["base"])

    def __enter__(self) -> "RunStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def save(self, step: int, state: PyTree, data_position: dict, metadata: dict | None = None) -> None:
        """Start writing `state` (a pytree of jax arrays) with its JSON notes as `step`, in the background.

        The arrays are copied before this returns, so the loop may donate them. A failure of an earlier step's
        writing (a full disk) is raised here or in `wait`, as `KcxError`.
        """
        notes = {
            "data_position": data_position,
            "metadata": metadata or {},
            "base": self._base,
            "leaves": _describe(state),
        }
        with self._named(f"save step {step} in"):
            self._orbax.save_async(step, state, custom_metadata=notes)

    def latest(self) -> int | None:
        """The newest whole step, or None in an empty store."""
        newest = self._orbax.latest
        return None if newest is None else newest.step

    def restore(self, step: int, abstract: PyTree) -> Restored:
        """Read `step` into the structure, dtypes and shardings of `abstract`.

        `abstract` has arrays or `jax.ShapeDtypeStruct`s (with a sharding each) as leaves; other devices than
        those it was written on are fine. Raises `KcxError` when the step is missing or damaged, or its leaves
        differ.
        """
        self.wait()
        notes = self._notes(step)
        _refuse_other_leaves(self.folder / str(step), notes["leaves"], _describe(abstract))
        abstract = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), abstract
        )
        with self._named(f"read step {step} of"):
            state = self._orbax.load(step, abstract)
        return Restored(state, notes["data_position"], notes["metadata"])

    def wait(self) -> None:
        """Return when nothing is being written any more; raises `KcxError` when that failed."""
        with self._named("finish writing"):
            self._orbax.wait()

    def close(self) -> None:
        """Wait, and let go of the folder."""
        with self._named("finish writing"):
            self._orbax.close()

    def _notes(self, step: int) -> dict:
        with self._named(f"read step {step} of"):
            notes = self._orbax.metadata(step).custom_metadata
        if not isinstance(notes, dict) or "leaves" not in notes:
            raise KcxError(
                f"{self.folder / str(step)} was not written by this program: its notes are missing."
            )
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
    def _named(self, action: str) -> Iterator[None]:
        """Orbax's errors name its own classes: say which folder and what to do instead."""
        try:
            yield
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            reason = next(iter(str(error.__cause__ or error).strip("'\"").splitlines()), type(error).__name__)
            raise KcxError(
                f"cannot {action} {self.folder}: {reason[:300]}. "
                "Check the disk; an older step in the folder may still be whole."
            ) from error


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
