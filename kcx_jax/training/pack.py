"""`kcx data pack`: what a config's stages learn from, rendered and encoded once."""

import json
import platform
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kcx_jax.checkpoints.hub import local_folder
from kcx_jax.checkpoints.weights import read_json
from kcx_jax.data import write_trees
from kcx_jax.files import atomic_write, digest, new_folder
from kcx_jax.models import config_from_hf
from kcx_jax.tokenizer import fingerprint, load_tokenizer
from kcx_jax.training.config import TrainConfig
from kcx_jax.training.packed import FORMAT, MANIFEST, manifest_digest, rendering
from kcx_jax.training.stages import CorpusReader, Say


def pack(config: TrainConfig, out: Path, overwrite: bool, say: Say) -> None:
    """Write every corpus that `config` names, held-out ones included, as token trees into a new folder.

    Corpora are read in passes and written as they come: what is in memory does not grow with them, but for what
    exemplars are drawn from. The folder gets its name when it is complete. Raises as `read_stages` does for
    bad data, and `KcxError` where `out` exists, unless `overwrite`, which keeps it beside as NAME.replaced.
    """
    with new_folder(out, overwrite) as work:
        base = local_folder(config.model)
        model = config_from_hf(read_json(base / "config.json"), where=str(base / "config.json"))
        tokenizer = load_tokenizer(base)
        reader = CorpusReader(config, tokenizer, model.max_positions, say)
        corpora: list[dict[str, Any]] = []
        for stage in config.stages:
            for data in (*stage.data, *stage.validation):
                rendered = rendering(data, stage.kind, config, model.max_positions)
                if any(rendered == corpus["rendering"] for corpus in corpora):
                    continue
                sources = {path: digest(Path(path)) for path in (data.path, data.schema_path)}
                folder = work / str(len(corpora) + 1)
                taken = partial(write_trees, folder, vocab_size=tokenizer.vocab_size)
                written, dropped = reader.read(data, stage.kind, taken)
                corpora.append({"rendering": rendered, "sources": sources, "dropped": dropped, **written})
        manifest = {
            "format": FORMAT,
            "versions": {
                "python": platform.python_version(),
                **{name: version(name) for name in ("kcx-jax", "numpy")},
            },
            "model": config.model,
            "tokenizer": fingerprint(tokenizer),
            "vocab_size": tokenizer.vocab_size,
            "corpora": corpora,
        }
        with atomic_write(work / MANIFEST) as handle:
            json.dump(manifest | {"digest": manifest_digest(manifest)}, handle, ensure_ascii=False, indent=1)
            handle.write("\n")
    samples = sum(corpus["samples"] for corpus in corpora)
    say(f"wrote {out}: {samples} samples of {len(corpora)} corpora; train from it with --set packed={out}")
