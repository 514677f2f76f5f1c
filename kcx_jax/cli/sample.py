"""``kcx data sample``: a part of a corpus drawn by a seed, for few-shot and low-resource tuning."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def command(
    input_: Annotated[Path, typer.Argument(metavar="INPUT", help="A corpus file.")],
    output: Annotated[Path, typer.Option(metavar="OUT.jsonl", help="The records to write.")],
    count: Annotated[int | None, typer.Option(min=1, help="So many records.")] = None,
    share: Annotated[float | None, typer.Option(help="This share of the records, such as 0.05.")] = None,
    shots: Annotated[int | None, typer.Option(min=1, help="Records until each class has so many.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws another sample.")] = 0,
    reader: Annotated[str, typer.Option(help="A reader's name, or auto: by the content.")] = "auto",
    language: Annotated[str | None, typer.Option(help="BCP 47 tag of files that do not say theirs.")] = None,
    inventory: Annotated[
        str, typer.Option(help="What maps labels to classes; none keeps them. Default: the reader's.")
    ] = "default",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
) -> None:
    """Draw records by a seed, in the order of the file; of one seed a larger count or share holds a smaller one.

    Example: kcx data sample train.jsonl --output train-5.jsonl --share 0.05 --seed 1
    """
    from kcx_jax.corpora import read_records, write_records
    from kcx_jax.corpora.sampling import sample_records
    from kcx_jax.files import refuse_existing

    refuse_existing(output, overwrite)
    chosen = None if inventory == "none" else inventory
    records = read_records(input_, reader, language, inventory=chosen)
    drawn = sample_records(records, seed, count=count, share=share, shots=shots)
    write_records(drawn, output, overwrite)
    print(f"wrote {len(drawn)} records to {output}", file=sys.stderr)
