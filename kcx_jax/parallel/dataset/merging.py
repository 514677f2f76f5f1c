"""The runs of a corpus's parts (`in_shard`) put together: the pairs that models and people made, and the bills."""

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from kcx_jax.corpora import write_parallel
from kcx_jax.errors import KcxError
from kcx_jax.llm import Spent
from kcx_jax.parallel.review.finished import finished_pairs, left_over
from kcx_jax.parallel.runs.run import SHARD, Run


@dataclass(frozen=True)
class Merged:
    """What was put together: pairs written, cases for people, records unfinished, and the sum of the bills; parts of
    the corpus that none of the runs is, such as ``2/8``."""

    pairs: int
    people: int
    pending: int
    spent: Spent
    absent: tuple[str, ...]


def merge(
    folders: Sequence[str | Path], output: str | Path, target: str | None = None, overwrite: bool = False
) -> Merged:
    """Write the pairs of several runs, with what people decided, to one file, in the order of `folders`: those of the
    language `target`.

    Raises `KcxError` when two of the runs hold the same record, or were made with other settings, and `UsageError`
    where they have several target languages and `target` names none.
    """
    with ExitStack() as stack:
        runs = [stack.enter_context(Run.open(folder)) for folder in folders]
        _check_alike(runs)
        _check_apart(runs)
        language = runs[0].one_target(target)
        left = [left_over(run, language) for run in runs]
        pairs = (pair for run in runs for pair in finished_pairs(run) if pair.target.language == language)
        written = write_parallel(pairs, output, overwrite=overwrite)
        spent = sum((run.ledger.spent() for run in runs), Spent())
        absent = _absent(runs)
    return Merged(
        written, sum(people for people, _ in left), sum(pending for _, pending in left), spent, absent
    )


def _absent(runs: Sequence[Run]) -> tuple[str, ...]:
    parts = {tuple(shard) for run in runs if (shard := run.config.get(SHARD))}
    return tuple(
        f"{part}/{of}"
        for of in sorted({of for _, of in parts})
        for part in range(of)
        if (part, of) not in parts
    )


def _check_alike(runs: Sequence[Run]) -> None:
    for run in runs[1:]:
        for key, value in runs[0].config.items():
            if key != SHARD and run.config.get(key) != value:
                raise KcxError(
                    f"{runs[0].folder} and {run.folder} differ in {key}: {value!r} and {run.config.get(key)!r}. "
                    "Only the parts of one corpus, built with the same settings, make one file."
                )


def _check_apart(runs: Sequence[Run]) -> None:
    where: dict[bytes, Path] = {}  # 16 bytes an id: ten million fit in memory
    for run in runs:
        for id, target in run.ids():
            digest = hashlib.blake2b(f"{target}\n{id}".encode(), digest_size=16).digest()
            if digest in where:
                raise KcxError(
                    f"record {id!r} is in {where[digest]} and in {run.folder}; no part may hold it twice"
                )
            where[digest] = run.folder
