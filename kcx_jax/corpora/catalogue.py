"""The catalogue of benchmarks: what they are, where they come from, under which licence, read by what."""

import functools
from dataclasses import dataclass, field
from importlib import resources

from kcx_jax.schema.data_files import read_yaml

_FILE = "catalogue.yaml"


@dataclass(frozen=True)
class Benchmark:
    """One benchmark. `splits` maps a split to its path in the repository `url` at `commit`.

    A path may hold "{language}", which stands for each of `languages`. `sha256` maps paths to checksums of
    the whole files, where they are known. `licence` is the annotation's; the texts may have stricter terms.
    """

    name: str
    title: str
    task: str
    languages: tuple[str, ...]
    licence: str
    reader: str
    url: str
    commit: str
    splits: dict[str, str]
    sha256: dict[str, str] = field(default_factory=dict)
    note: str = ""


@functools.cache
def catalogue() -> tuple[Benchmark, ...]:
    """Every benchmark whose reader exists, in the order of the file."""
    text = resources.files("kcx_jax.corpora").joinpath(_FILE).read_text(encoding="utf-8")
    return tuple(Benchmark(**row | {"languages": tuple(row["languages"])}) for row in read_yaml(text, _FILE))
