"""The folder that `kcx data pack` makes of a config's corpora: what each was rendered with, and its token trees."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from kcx_jax.checkpoints.weights import read_json
from kcx_jax.data import PackedTrees
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.files import digest
from kcx_jax.settings import Settings
from kcx_jax.tokenizer import Tokenizer, fingerprint
from kcx_jax.training.config import DataSettings, TrainConfig

MANIFEST = "packed.json"
FORMAT = 1


class PackedCorpus(Settings):
    """One corpus; its arrays lie in the folder of its number, from 1."""

    rendering: dict[str, Any]  # all that its token ids depend on besides the tokenizer, see `rendering`
    sources: dict[str, str]  # path -> SHA-256, of corpus and schema
    dropped: int  # samples left out as too long
    trees: int
    samples: int
    kinds: tuple[tuple[str, str], ...]
    files: dict[str, str]  # array -> SHA-256


class Manifest(Settings):
    """What `packed.json` says."""

    format: Literal[1]
    versions: dict[str, str]
    model: str  # whose tokenizer it was packed with
    tokenizer: str  # its fingerprint
    vocab_size: int
    corpora: tuple[PackedCorpus, ...]
    digest: str  # of all the rest


def rendering(data: DataSettings, kind: str, config: TrainConfig, max_positions: int) -> dict[str, Any]:
    """What the token ids of a corpus depend on besides the tokenizer: no weight, no packing of rows."""
    told = {
        "kind": kind,
        **data.model_dump(mode="json", by_alias=True, exclude={"weight"}),
        "max_positions": max_positions,
        "allow_overlong": config.allow_overlong,
    }
    if data.prompts.config(config.seed).varies:
        told |= {"seed": config.seed, "branches": config.branches}
    return told


def read_manifest(folder: Path) -> Manifest:
    """What a packed folder holds. Raises `KcxError` where it is missing, damaged or of another version."""
    path = folder / MANIFEST
    values = read_json(path)
    if values.get("digest") != manifest_digest(values):
        raise KcxError(f"{path} is damaged, or not what kcx data pack wrote. Pack again.")
    if values.get("format") != FORMAT:
        raise KcxError(
            f"{path} is of format {values.get('format')!r}; this version reads {FORMAT}. Pack again."
        )
    try:
        return Manifest.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(map(str, fault["loc"]))
        raise KcxError(
            f"{path} was not written by kcx data pack: {key}: {fault['msg']}. Pack again."
        ) from error


def manifest_digest(values: dict[str, Any]) -> str:
    """SHA-256 of all values but the digest itself."""
    rest = {name: value for name, value in values.items() if name != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


class PackedFolder:
    """A packed folder, opened for a tokenizer. Raises `UsageError` where it was packed with another one."""

    def __init__(self, folder: str, tokenizer: Tokenizer, model: str):
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        own = fingerprint(tokenizer)
        if own != self.manifest.tokenizer:
            raise UsageError(
                f"{folder} was packed with the tokenizer of {self.manifest.model} (fingerprint "
                f"{self.manifest.tokenizer[:12]}), but that of {model} is another ({own[:12]}). Pack again with "
                "this model."
            )

    def trees(self, wanted: dict[str, Any]) -> tuple[PackedTrees, int]:
        """The trees of the corpus that was rendered as `wanted`, and how many samples were left out as too long.

        Raises `UsageError` where it is not there, naming what was packed otherwise, and `KcxError` where an array is
        damaged, or the corpus or its schema is another one by now.
        """
        corpora = self.manifest.corpora
        found = [number for number, corpus in enumerate(corpora, 1) if corpus.rendering == wanted]
        if not found:
            raise self._missing(wanted)
        corpus = corpora[found[0] - 1]
        for path, sha256 in corpus.sources.items():
            if Path(path).exists() and digest(Path(path)) != sha256:
                raise KcxError(f"{path} has changed since it was packed into {self.folder}. Pack again.")
        folder = self.folder / str(found[0])
        return PackedTrees(folder, corpus.kinds, corpus.files, self.manifest.vocab_size), corpus.dropped

    def _missing(self, wanted: dict[str, Any]) -> UsageError:
        path = wanted["path"]
        near = [corpus.rendering for corpus in self.manifest.corpora if corpus.rendering.get("path") == path]
        if not near:
            held = ", ".join(sorted({str(corpus.rendering.get("path")) for corpus in self.manifest.corpora}))
            return UsageError(f"{self.folder} does not have {path}; it has {held}. Pack with this config.")
        other = min(
            ([key for key in {**wanted, **had} if wanted.get(key) != had.get(key)] for had in near), key=len
        )
        return UsageError(
            f"{self.folder} has {path} packed with another {', '.join(other)}. Pack again with this config."
        )


def source_digests(config: TrainConfig) -> dict[str, str]:
    """The SHA-256 of every corpus and schema that a config names, as packed where it trains from a packed folder."""
    corpora = [each for stage in config.stages for each in (*stage.data, *stage.validation)]
    paths = dict.fromkeys([*(each.path for each in corpora), *(each.schema_path for each in corpora)])
    packed: dict[str, str] = {}
    if config.packed:
        for corpus in read_manifest(Path(config.packed)).corpora:
            packed |= corpus.sources
    return {path: packed.get(path) or digest(Path(path)) for path in paths}
