"""``kcx extract --ray N``: N shards of the input as tasks on a Ray cluster that is there, and one file of results.

Each shard is what ``--shard I/N`` is, with an output of its own in a folder beside OUT.jsonl, which goes when all are
joined. Where the cluster has GPUs each task of a model of ours takes one. The key of an endpoint does not travel.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from typing import Any

from kcx_jax.cli.extract.options import Source
from kcx_jax.cli.ray_cluster import join_cluster
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.files import atomic_write, digest, refuse_existing

_PATHS = ("input_", "schema")


def extract_on_ray(parts: int, options: dict[str, Any]) -> None:
    """Extract in `parts` shards with `options`, the parameters of ``kcx extract``, and join them in order.

    Raises `UsageError` for options that cannot be divided; `KcxError` without a cluster, when shards failed (the same
    command goes on with those), and when the input has changed since some were read.
    """
    for name in ("input_", "output"):
        if options[name] is None or str(options[name]) == "-":
            raise UsageError(f"--ray needs --{name.rstrip('_')}: a file that all machines of the cluster see")
    if options["shard"] is not None or options["show"]:
        raise UsageError("--ray makes the shards itself, and shows nothing: leave --shard and --show out")
    output = options["output"] = options["output"].absolute()
    refuse_existing(output, options["overwrite"])
    options |= {name: options[name] and options[name].absolute() for name in _PATHS}
    folder = output.with_name(f"{output.name}.parts-{_digest(parts, options)}")
    shards = [
        {**options, "shard": f"{part}/{parts}", "output": folder / f"{part}-of-{parts}.jsonl"}
        for part in range(parts)
    ]
    failed = _run([shard for shard in shards if not shard["output"].exists()])
    for shard, message in failed:
        print(f"shard {shard} failed: {message}", file=sys.stderr)
    if failed:
        raise KcxError(f"{len(failed)} of {parts} shards are not done. The same command goes on with them.")
    texts = _interleave([shard["output"] for shard in shards], options)
    shutil.rmtree(folder)  # this command made it, for these files
    print(f"{texts} texts in {output}", file=sys.stderr)


def _digest(parts: int, options: dict[str, Any]) -> str:
    """A name for this piece of work: shards of another are not taken for its own."""
    schema = options["schema"] and digest(options["schema"])  # a file of the same name may be another one
    told = json.dumps([parts, schema, {name: str(value) for name, value in sorted(options.items())}])
    return hashlib.blake2b(told.encode(), digest_size=4).hexdigest()


def _run(shards: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Read all shards; of those that failed the name and the message."""
    ray = join_cluster("read the shards without Ray: --shard I/N.")
    try:
        gpus = 1 if ray.cluster_resources().get("GPU") and shards and shards[0]["model"] else 0
        task = ray.remote(num_gpus=gpus, max_retries=0)(_extract_shard)
        waiting = {task.remote(options): options["shard"] for options in shards}
        failed = []
        while waiting:
            (done,), _ = ray.wait(list(waiting))
            shard, message = waiting.pop(done), _end_of(done)
            if message:
                failed.append((shard, message))
            print(f"shard {shard} ended, {len(waiting)} are under way", file=sys.stderr)
        return sorted(failed)
    finally:
        ray.shutdown()  # tasks of this command that still run end with it


def _end_of(task: Any) -> str:
    import ray

    try:
        return ray.get(task)
    except ray.exceptions.RayError as error:  # a bug there, or a worker or a node that is gone
        return str(error).strip().splitlines()[-1]


def _extract_shard(options: dict[str, Any]) -> str:
    """In a worker: read one shard; what was wrong, if anything."""
    from kcx_jax.cli.extract.command import command

    try:
        command(**options, ray=None)
    except KcxError as error:
        return str(error)
    return ""


def _interleave(paths: Sequence[Path], options: dict[str, Any]) -> int:
    """Write the lines of shards in the order of the input, and return how many there are.

    Raises `KcxError` where they are not those of the input's texts, one by one.
    """
    records = Source(input_=options["input_"], skip_bad=options["skip_bad"]).records([])
    count = 0
    with ExitStack() as stack, atomic_write(options["output"], "wb", options["overwrite"]) as handle:
        rounds = zip_longest(*(stack.enter_context(path.open("rb")) for path in paths))
        lines = (line for each in rounds for line in each if line is not None)
        for record, line in zip_longest(records, lines):
            if record is None or line is None or (record.id, record.text) != _named(line):
                raise KcxError(
                    f"{paths[0].parent} has results of other texts than {options['input_']}: the input has changed. "
                    "Give the same input, or remove that folder to start anew."
                )
            handle.write(line)
            count += 1
    return count


def _named(line: bytes) -> tuple[str, str]:
    row = json.loads(line)
    return row["id"], row["text"]
