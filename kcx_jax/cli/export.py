"""``kcx export``: a model, or its adapter, for other programs."""

import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """The layouts that can be written."""

    baichuan = "baichuan"
    llama = "llama"
    peft = "peft"


class Qkv(StrEnum):
    """How an adapter's base holds queries, keys and values."""

    FUSED = "fused"
    SPLIT = "split"


class Dtype(StrEnum):
    """The dtypes that can be written."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


def command(
    model: Annotated[str, typer.Option(help="Model folder, or ORG/NAME on the Hugging Face Hub.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    format: Annotated[
        Format,
        typer.Option(help="baichuan: as released; llama: plain LlamaForCausalLM; peft: the adapter alone."),
    ],
    adapter: Annotated[
        list[str] | None,
        typer.Option(
            help="PEFT LoRA adapter on top of the model; merged, except by peft. Several make a chain."
        ),
    ] = None,
    dtype: Annotated[
        Dtype | None, typer.Option(help="Stored dtype (default: that of the model, of the adapter for peft).")
    ] = None,
    shard_size: Annotated[
        str | None, typer.Option(help="Largest file, like 5GB (default: one file).")
    ] = None,
    qkv: Annotated[
        Qkv | None,
        typer.Option(
            help="For peft: adapt W_pack (fused) or q_proj, k_proj and v_proj (split); default: as the base has them. "
            "Fusing three pairs gives one of the sum of their ranks."
        ),
    ] = None,
    check_logits: Annotated[
        bool,
        typer.Option(
            "--check-logits", help="Load the result again and print the largest difference of logits."
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT; the old folder is kept beside it.")
    ] = False,
) -> None:
    """Write a model in the Baichuan2 or the Llama layout, adapters merged in, or the adapter alone.

    Example: kcx export --model base --adapter runs/zh/adapter --format llama --out merged-llama
    """
    from kcx_jax.checkpoints import export_pretrained, load_pretrained
    from kcx_jax.checkpoints.folder import parse_size
    from kcx_jax.checkpoints.probe import probe_logits
    from kcx_jax.cli.bars import byte_bar
    from kcx_jax.files import refuse_existing

    refuse_existing(out, overwrite)  # before minutes of loading
    parse_size(shard_size)
    started = time.monotonic()
    # Merging sums in float32 whatever is loaded; only logits that are to be compared in float32 need all of it.
    wide = "float32" if check_logits and dtype == Dtype.float32 else None
    with byte_bar(f"loading {model}{' with ' + ', '.join(adapter) if adapter else ''}") as progress:
        loaded = load_pretrained(model, adapter, dtype=wide, progress=progress)
    told = probe_logits(loaded) if check_logits else None
    with byte_bar(f"writing {out}") as progress:
        export_pretrained(
            loaded,
            out,
            *(format.value, dtype, shard_size, overwrite, None if qkv is None else qkv.value, progress),
        )
    if told is not None:
        computed = loaded.module.dtype.name
        del loaded  # so that one model at a time is in memory
        base, own = (model, out) if format == Format.peft else (out, None)
        with byte_bar(f"loading {out}") as progress:
            again = load_pretrained(base, own, dtype=computed, progress=progress)
        difference = abs(probe_logits(again) - told).max()
        print(f"loaded again: largest logit difference {difference:.1e}", file=sys.stderr)
    size = sum(file.stat().st_size for file in out.iterdir())
    print(f"wrote {size / 1e6:,.1f} MB in {time.monotonic() - started:.0f} s", file=sys.stderr)
    print(out)
