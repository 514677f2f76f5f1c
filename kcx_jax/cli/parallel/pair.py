"""``kcx parallel pair``: parallel records out of two annotated corpora of the same sentences."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kcx_jax.corpora import ParallelRecord

Against = Annotated[
    list[Path] | None,
    typer.Option(metavar="TEST", help="A test set whose sentences must not be in the pairs; again for more."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace OUTPUT.")]


def command(
    source_file: Annotated[Path, typer.Argument(metavar="SOURCE", help="The corpus in one language.")],
    target_file: Annotated[Path, typer.Argument(metavar="TARGET", help="The same sentences in the other.")],
    source: Annotated[str, typer.Option(help="Language of SOURCE (BCP 47), such as en.")],
    target: Annotated[str, typer.Option(help="Language of TARGET, such as zh.")],
    output: Annotated[Path, typer.Option(help="Where to write the pairs (JSON Lines; .gz packs them).")],
    reader: Annotated[str, typer.Option(help="Format of both files.")] = "auto",
    against: Against = None,
    overwrite: Overwrite = False,
) -> None:
    """Join two annotated corpora of the same sentences into parallel records; no LLM has a part in it.

    TARGET has to say what its annotation was projected from, as Multi-CrossRE does. A pair in which something was
    lost or differs is left out and counted.

    Example: kcx parallel pair crossre/ai-train.json multi-crossre/chinese/ai-train.json --source en --target zh
    --output ai-en-zh.jsonl
    """
    from kcx_jax.corpora import read_records, write_parallel
    from kcx_jax.parallel.dataset.joining import SetAside, join_corpora

    aside = SetAside()
    sources = read_records(source_file, reader=reader, language=source)
    targets = read_records(target_file, reader=reader, language=target)
    pairs = join_corpora(sources, targets, aside)
    refuse_tests(lambda: pairs, against)
    write_parallel(pairs, output, overwrite=overwrite)
    print(f"{len(pairs)} pairs in {output}", file=sys.stderr)
    for line in aside.lines():
        print(line, file=sys.stderr)


def refuse_tests(pairs: "Callable[[], Iterable[ParallelRecord]]", against: list[Path] | None) -> None:
    """Raise `KcxError` when sentences of one of the files `against` stand in the pairs that `pairs` gives."""
    from kcx_jax.corpora import read_records
    from kcx_jax.parallel.dataset.leaks import refuse_leaks

    for path in against or ():
        refuse_leaks(pairs(), read_records(path), str(path))
