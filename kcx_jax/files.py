"""Writing files and folders so that nothing is lost (beside the target first, then renamed; one at a time); digests."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from kcx_jax.errors import KcxError


def refuse_existing(
    path: Path, overwrite: bool, way_out: str = "Choose another path, or pass --overwrite to replace it."
) -> None:
    """Raise `KcxError` when `path` exists (a non-empty one, if a folder) and `overwrite` is false, with what to do."""
    if overwrite or not path.exists():
        return
    if path.is_dir() and not any(path.iterdir()):
        return
    raise KcxError(f"{path} exists already. {way_out}")


@contextlib.contextmanager
def atomic_write(path: str | Path, mode: str = "w", overwrite: bool = False) -> Iterator[IO]:
    """Open a temporary file beside `path` and rename it to `path` when the block ends without an error.

    Text is UTF-8 with "\\n" line ends. A failure of the disk (full, read-only) becomes a `KcxError` naming the
    path; the old file stays as it was.
    """
    path = Path(path)
    refuse_existing(path, overwrite)
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "\n")
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes files private; ours are ordinary results
        with open(descriptor, mode, encoding=encoding, newline=newline) as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise KcxError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


@contextlib.contextmanager
def new_folder(out: Path, overwrite: bool) -> Iterator[Path]:
    """A temporary folder beside `out`, renamed to `out` when the block ends without an error.

    Nothing is deleted: a folder that `overwrite` replaces is kept beside it as NAME.replaced,
    NAME.replaced-2, ...
    """
    refuse_existing(out, overwrite)
    work = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
        work.chmod(0o755)
        yield work
        if out.exists() and any(out.iterdir()):
            out.rename(_free_name(out))
        os.replace(work, out)
    except OSError as error:
        raise KcxError(f"cannot write {out}: {error.strerror or error}.") from error
    finally:
        if work is not None and work.exists():
            shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def alone_with(lock: Path) -> Iterator[None]:
    """Wait until no other process or thread is in a block of this file, which is made and stays.

    On a system or file system without locks, as if nobody else were there. Raises `KcxError` where the file cannot be
    written.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = lock.open("a")
    except OSError as error:
        raise KcxError(f"cannot write {lock}: {error.strerror or error}") from error
    with handle:
        with contextlib.suppress(ImportError, OSError):
            import fcntl  # Unix alone has it, and texts can be read elsewhere too

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def held_alone(lock: Path, refusal: str) -> Iterator[None]:
    """As `alone_with`, but where somebody is in a block of this file, raise `KcxError` with `refusal` at once."""
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = lock.open("a")
    except OSError as error:
        raise KcxError(f"cannot write {lock}: {error.strerror or error}") from error
    with handle:
        lock_alone(handle, refusal)
        yield


def lock_alone(handle: IO, refusal: str) -> None:
    """Lock an open file until it is closed; `KcxError` with `refusal` where somebody has locked it."""
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise KcxError(refusal) from error
    except (ImportError, OSError):
        pass  # no locks here


def _free_name(out: Path) -> Path:
    aside, number = out.with_name(f"{out.name}.replaced"), 1
    while aside.exists():
        number += 1
        aside = out.with_name(f"{out.name}.replaced-{number}")
    return aside


def digest(path: Path) -> str:
    """SHA-256 of a file, or of names and digests of all files below a folder. `KcxError` where one is unreadable."""
    try:
        if not path.is_dir():
            with path.open("rb") as handle:
                return hashlib.file_digest(handle, "sha256").hexdigest()
        names = sorted(each.relative_to(path) for each in path.rglob("*") if each.is_file())
        listed = "\n".join(f"{name.as_posix()}:{digest(path / name)}" for name in names)
        return hashlib.sha256(listed.encode()).hexdigest()
    except OSError as error:
        raise KcxError(f"cannot read {path}: {error.strerror or error}") from error
