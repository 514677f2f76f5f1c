"""``kcx parallel build --ray N``: N parts of the input as tasks on a Ray cluster that is there, and one file of pairs.

Each part is what ``--shard I/N`` is, a run in a folder of its own. Budget and limits of the account are divided among
the parts beforehand. Options travel to the workers in Ray's task arguments, which it logs; the key does not.
"""

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

from kcx_jax.cli.parallel.options import nano_of
from kcx_jax.cli.ray_cluster import join_cluster
from kcx_jax.errors import BudgetExceeded, KcxError, UsageError

# Whole numbers of an account that its parts divide among them.
DIVIDED = ("requests_per_minute", "requests_per_day", "tokens_per_minute", "enqueued_tokens")
PATHS = ("input_", "prices", "glossary")


def build_on_ray(parts: int, options: dict[str, Any]) -> None:
    """Build in `parts` parts with `options`, the parameters of ``kcx parallel build``, and merge them.

    Raises `UsageError` for options that cannot be divided; `KcxError` without a cluster, and when parts failed
    (`BudgetExceeded` when all that failed were stopped by the budget). Ctrl-C stops the parts as it stops a build.
    """
    from kcx_jax.parallel import PARALLEL
    from kcx_jax.parallel.dataset.merging import merge
    from kcx_jax.parallel.runs.run import files_of

    each = list(_divided(parts, options))
    folders = [part["run"] for part in each]
    ray = join_cluster("build the parts without Ray: --shard I/N and kcx parallel merge.")
    try:
        failed = _run(each)
    finally:
        ray.shutdown()
    for part, (_, message) in failed.items():
        print(f"part {part} ({folders[part]}) failed: {message}", file=sys.stderr)
    if failed:
        stopped = all(code == BudgetExceeded.exit_code for code, _ in failed.values())
        raise (BudgetExceeded if stopped else KcxError)(
            f"{len(failed)} of {parts} parts are not done. The same command goes on with them."
        )
    targets = options["target"].split(",")
    for target, path in files_of(options["run"], PARALLEL, list(dict.fromkeys(targets))).items():
        merged = merge(folders, path, target, overwrite=True)
        print(f"{merged.pairs} pairs in {path}; not in it: {merged.people} for people", file=sys.stderr)
    print(f"cost {merged.spent}", file=sys.stderr)


def _divided(parts: int, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The options of each part. Raises `UsageError`."""
    from kcx_jax.parallel import LEDGER

    folder = options["run"] = options["run"].absolute()
    if options["shard"] is not None:
        raise UsageError("--ray makes the parts itself: leave --shard out")
    others = {path.name for path in folder.glob("part-*-of-*")} - {
        _name(part, parts) for part in range(parts)
    }
    if others:
        raise UsageError(
            f"{folder} was built with --ray {min(others).rpartition('-')[2]}: go on with that, or choose another folder"
        )
    if (folder / LEDGER).exists():
        raise UsageError(f"{folder} was built without --ray: go on without it, or choose another folder")
    common = dict(options)
    for name in DIVIDED:
        if options[name] is not None:
            common[name] = options[name] // parts
            if not common[name]:
                raise UsageError(
                    f"--{name.replace('_', '-')} is {options[name]}: {parts} parts cannot share it"
                )
    if (budget := nano_of(options["budget"])) is not None:
        common["budget"] = f"{budget // parts // 10**9}.{budget // parts % 10**9:09}"
    # Workers have another folder, and may have another environment.
    common |= {name: options[name] and options[name].absolute() for name in PATHS}
    common["base_url"] = options["base_url"] or os.environ.get("OPENAI_BASE_URL")
    for part in range(parts):
        yield {**common, "run": folder / _name(part, parts), "shard": f"{part}/{parts}"}


def _name(part: int, parts: int) -> str:
    return f"part-{part}-of-{parts}"


def _run(each: list[dict[str, Any]]) -> dict[int, tuple[int, str]]:
    """Build all parts; of those that failed the exit code and the message."""
    import ray

    # Not again by itself: on another node the ledger may not be there, and all would be paid for twice.
    build_part = ray.remote(max_retries=0)(_build_part)
    waiting = {build_part.remote(options): part for part, options in enumerate(each)}
    ended: dict[int, tuple[int, str]] = {}
    try:
        while len(ended) < len(each):
            (done,), _ = ray.wait([task for task, part in waiting.items() if part not in ended])
            ended[waiting[done]] = _end_of(done)
            print(f"{len(ended)} of {len(each)} parts ended", file=sys.stderr)
    except BaseException:
        left = [task for task, part in waiting.items() if part not in ended]
        for task in left:
            ray.cancel(task)
        if left:
            ray.wait(left, num_returns=len(left), timeout=60)  # requests under way come to their end
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        raise
    return {part: end for part, end in sorted(ended.items()) if end[0]}


def _end_of(task: Any) -> tuple[int, str]:
    import ray

    try:
        return ray.get(task)
    except ray.exceptions.RayError as error:  # a bug there, or a worker or a node that is gone
        return KcxError.exit_code, str(error).strip().splitlines()[-1]


def _build_part(options: dict[str, Any]) -> tuple[int, str]:
    """In a worker: build one part; its exit code, and what was wrong."""
    from kcx_jax.cli.parallel.build import command

    # Ray tells a task that is cancelled by a flag, which a wait for a lock does not see; a signal lets it look.
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # its table is of a part alone
            command(**options)
    except KcxError as error:
        return error.exit_code, str(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return 0, ""
