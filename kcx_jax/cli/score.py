"""``kcx score``: predicted records against gold ones."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from kcx_jax.cli.ground import Ground, GroundOption
from kcx_jax.cli.labels import AutoOption, print_names

if TYPE_CHECKING:
    from kcx_jax.cli.score_dataset import Found
    from kcx_jax.schema import Task
    from kcx_jax.scoring import Sheet


class Format(StrEnum):
    """How scores are printed."""

    TABLE = "table"
    MARKDOWN = "markdown"
    LATEX = "latex"


def command(
    gold: Annotated[
        list[Path], typer.Option(metavar="GOLD.jsonl", help="The gold records; once for each dataset.")
    ],
    predicted: Annotated[
        list[Path], typer.Option(metavar="PRED", help="The predictions, in the order of the datasets.")
    ],
    predicted_format: Annotated[
        str,
        typer.Option(help="What PRED holds: records, a system's raw answers (by its name), or auto."),
    ] = "auto",
    schema: Annotated[
        Path | None,
        typer.Option(
            metavar="SCHEMA", help="Classes of raw answers (default: gold's); parents for knowcoder."
        ),
    ] = None,
    auto: AutoOption = False,
    inventory: Annotated[
        str | None, typer.Option(help="What maps the labels of raw answers to classes. Default: by name.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="The task of raw answers. Default: gold's only one.")
    ] = None,
    ground: GroundOption = Ground.STRICT,
    mode: Annotated[str, typer.Option(help="How to count; an unknown name lists them all.")] = "strict",
    ancestors: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Mode knowcoder: class to the classes accepted for it (YAML, JSON)."
        ),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(metavar="PRED.jsonl", help="Another system's records to test against, as --predicted."),
    ] = None,
    samples: Annotated[
        int, typer.Option(min=0, help="Draws for 95 % intervals and the paired test; 0: neither.")
    ] = 0,
    format: Annotated[Format, typer.Option(help="How to print the scores.")] = Format.TABLE,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all figures and counts here.")
    ] = None,
    errors: Annotated[
        Path | None, typer.Option(metavar="OUT.jsonl", help="Write every item's kind of error here.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE and OUT.")] = False,
) -> None:
    """Score predictions, joined to gold by id: precision, recall and F1 for each task gold is annotated for.

    Several datasets, such as --gold A --predicted A2 --gold B --predicted B2, are scored one by one and
    averaged. Example: kcx score --gold test.jsonl --predicted answers.jsonl --json scores.json
    """
    from kcx_jax.cli.score_dataset import Options, refuse_nothing, score_dataset, warn
    from kcx_jax.errors import UsageError
    from kcx_jax.files import atomic_write, refuse_existing
    from kcx_jax.schema import load_schema
    from kcx_jax.scoring import ancestors_of

    for file in (json_file, errors):
        if file is not None:
            refuse_existing(file, overwrite)
    if against and not samples:
        raise UsageError("--against needs --samples, such as --samples 1000")
    for option, files in (("--predicted", predicted), ("--against", against)):
        if files and len(files) != len(gold):
            raise UsageError(f"--gold is given {len(gold)} times, and {option} {len(files)} times: pair them")
    if errors is not None and len(gold) > 1:
        raise UsageError("--errors writes the items of one dataset: give one --gold")
    names = _names(gold)
    classes = load_schema(schema, auto=auto) if schema is not None else None
    if auto and classes is not None:
        print_names(classes)
    accepted = None
    if ancestors is not None or (classes is not None and mode == "knowcoder"):
        accepted = ancestors_of(classes, ancestors)
    asked = cast("Task | None", task)
    options = Options(mode, predicted_format, classes, inventory, asked, ground, accepted, samples)
    rivals: Sequence[Path | None] = against or [None] * len(gold)
    with ExitStack() as stack:
        out = stack.enter_context(atomic_write(errors, "wb", overwrite)) if errors is not None else None
        found = {
            name: score_dataset(one, guess, rival, out, options)
            for name, one, guess, rival in zip(names, gold, predicted, rivals, strict=True)
        }
        refuse_nothing(found)
    for name, each in found.items():
        warn(each.scores, f"{name}: " if len(names) > 1 else "")
    tables, value = _one(found[names[0]]) if len(names) == 1 else _several(found)
    if json_file is not None:
        with atomic_write(json_file, overwrite=overwrite) as handle:
            json.dump(value, handle, indent=2)
            handle.write("\n")
    _print(tables, found, format)


def _names(gold: Sequence[Path]) -> list[str]:
    """The datasets' names: the files' names where these tell them apart, else their paths."""
    from kcx_jax.errors import UsageError

    names = [path.name.removesuffix(".gz").removesuffix(".jsonl") for path in gold]
    if len(set(names)) < len(names):
        names = list(map(str, gold))
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"--gold {twice} is given twice: each dataset counts once in the mean")
    return names


def _one(found: "Found") -> "tuple[list[Sheet], dict[str, Any]]":
    from kcx_jax.scoring import sheets

    return sheets(found.scores, found.text, found.resampling), found.to_json()


def _several(found: "dict[str, Found]") -> "tuple[list[Sheet], dict[str, Any]]":
    """The sheets and the JSON of several datasets, with their means."""
    from kcx_jax.scoring import dataset_sheets, mean_over_datasets

    means = mean_over_datasets({name: each.scores for name, each in found.items()})
    value: dict[str, Any] = {"mode": means.mode, "mean": means.to_json()}
    texts = {name: each.text for name, each in found.items() if each.text is not None}
    text = mean_over_datasets(texts) if texts else None
    if text is not None:
        value["text"] = {"mode": text.mode, "mean": text.to_json()}
    value["datasets"] = {name: each.to_json() for name, each in found.items()}
    return dataset_sheets(means, text, {name: each.resampling for name, each in found.items()}), value


def _print(tables: "Sequence[Sheet]", found: "dict[str, Found]", format: Format) -> None:
    from kcx_jax.cli.score_table import print_sheets
    from kcx_jax.scoring import definitions, latex, markdown

    notes = list(dict.fromkeys(line for each in found.values() for line in definitions(each.scores)))
    for name, each in found.items():
        if each.unseen is not None:
            notes.append(f"{name}: {each.unseen.in_words()}")
    if format is Format.TABLE:
        print_sheets(tables, notes)
    else:
        print((markdown if format is Format.MARKDOWN else latex)(tables, notes), end="")
