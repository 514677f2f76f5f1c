"""``kcx bench``: measurements beside a peer, in one run."""

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kcx_jax.errors import RegressionFound, UsageError

if TYPE_CHECKING:
    from kcx_jax.bench.report import Report

app = typer.Typer(help="Measure this project beside a peer, in one run.", no_args_is_help=True)

Rounds = Annotated[int, typer.Option(min=3, help="Times each side is measured; the median counts.")]
JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures there.")]


class Peer(StrEnum):
    """What tuning is measured beside: transformers with peft, in PyTorch."""

    PEFT = "peft"


@app.command()
def train(
    peer: Annotated[Peer, typer.Option(help="What to measure beside.")] = Peer.PEFT,
    case: Annotated[
        str, typer.Option(help="Whose prompts' token counts: wikineural-en or crossner-science.")
    ] = "wikineural-en",
    schema_tokens: Annotated[
        int | None, typer.Option(min=1, help="Length of the schema instead of the corpus's own.")
    ] = None,
    branches: Annotated[int, typer.Option(min=1, help="Samples that share a schema.")] = 16,
    trees: Annotated[int, typer.Option(min=1, help="Rows a step, each the schema and so many samples.")] = 2,
    hidden: Annotated[int, typer.Option(min=64, help="Hidden size, in heads of 64 channels.")] = 512,
    layers: Annotated[int, typer.Option(min=1, help="Layers of the model.")] = 8,
    steps: Annotated[int, typer.Option(min=1, help="Steps timed in each round, after one other.")] = 2,
    rounds: Rounds = 3,
    json_file: JsonFile = None,
) -> None:
    """Time LoRA tuning beside transformers with peft: the same random weights, samples and loss, in float32.

    Example: kcx bench train --peer peft --case crossner-science --json train.json
    """
    from kcx_jax.bench.beside_peft import PeftBench, bench_peft, shape
    from kcx_jax.bench.workload import lengths_of

    bench = PeftBench(shape(hidden, layers), lengths_of(case, schema_tokens), trees, branches, steps=steps)
    report = _kept(json_file, lambda say: bench_peft(bench, rounds, say))
    for name, side in {"tree": report.kcx, **report.peers}.items():
        cpu = side["cpu_seconds_per_step"] / (trees * branches)
        print(
            f"{name.replace('_', ' '):12} {side['samples_per_second']:8.2f} samples/s "
            f"{side['tokens_per_second']:10,.0f} tokens/s {cpu:7.2f} s CPU each {side['peak_bytes'] / 1e9:6.2f} GB "
            f"loss {side['first_loss']:.4f} -> {side['last_loss']:.4f}"
        )
    ratio = report.settings["token_ratio"]
    print(
        f"{report.ratio:.2f} times the peer's samples/s; sharing the schema saves {ratio:.2f} times the tokens"
    )


@app.command()
def decode(
    peer: Annotated[
        str, typer.Option(help="What to measure beside: hf, llamacpp, or both as hf,llamacpp.")
    ] = "hf",
    corpora: Annotated[
        Path | None, typer.Option(help="Folder of corpora: write gold answers to their sentences.")
    ] = None,
    case: Annotated[
        str, typer.Option(help="Whose sentences: wikineural-en or crossner-science.")
    ] = "wikineural-en",
    tokenizer: Annotated[Path | None, typer.Option(help="Folder of the tokenizer, beside --corpora.")] = None,
    sentences: Annotated[int, typer.Option(min=1, help="Sentences answered, with --corpora.")] = 64,
    memory_sentences: Annotated[
        int, typer.Option(min=0, help="Then answer so many, and say what memory they took.")
    ] = 0,
    rows: Annotated[int, typer.Option(min=1, help="Answers written at once.")] = 8,
    rounds: Annotated[int, typer.Option(min=3, help="Times each side is measured; the fastest counts.")] = 3,
    json_file: JsonFile = None,
) -> None:
    """Time writing answers after one schema beside transformers and llama.cpp: the same random weights and tokens, in
    float32 on two cores. Without --corpora: 32 tokens after 1,024 shared and 32 own random ones.

    llama.cpp is for this alone and comes with no extra: pip install --no-binary llama-cpp-python llama-cpp-python gguf

    Example: kcx bench decode --peer hf,llamacpp --json decode.json
    """
    from kcx_jax.bench.beside_decoders import bench_beside, free_bench, led_lines, line
    from kcx_jax.bench.gold_answers import gold_bench

    if corpora is None:
        bench = free_bench(rows)
    else:
        if tokenizer is None:
            raise UsageError("gold answers need a tokenizer: add --tokenizer DIR.")
        bench = gold_bench(corpora, case, tokenizer, sentences, rows, memory_sentences)
    report = _kept(json_file, lambda say: bench_beside(bench, peer.split(","), rounds, say))
    for name, side in {"kcx": report.kcx, **report.peers}.items():
        print(
            f"{name:10} {line(side)}, {side['equal_answers']} of {report.settings['sentences']} answers equal"
        )
    for name, side in report.peers.items():
        ratio = report.kcx["sentences_per_second"] / side["sentences_per_second"]
        print(f"{ratio:.2f} times the sentences/s of {name}")
    for text in led_lines(report.kcx):
        print(text)


@app.command()
def gate(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG.yaml", help="A config of kcx train with base_dtype.")
    ],
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="A.B=C", help="Change one setting of it.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of tuning on each base.")] = 200,
    json_file: JsonFile = None,
) -> None:
    """Tune on a base in 8 bits beside the exact one: may it stand for it? Exit code 4 where it may not.

    Example: kcx bench gate configs/ner_en_zh.yaml --set model=base --set base_dtype=int8 --set run_dir=gate
    """
    from kcx_jax.bench.base_gate import bench_gate
    from kcx_jax.training import load_config

    settings = load_config(config, sets or [])
    report = _kept(json_file, lambda say: bench_gate(settings, steps, say))
    found, exact = report.kcx, report.peers["exact"]
    print(
        f"stream after a layer: error of {found['layer_error']:.1%} at most; gradient: cosine "
        f"{found['gradient_cosine']:.4f} (worst target {found['worst_target_cosine']:.4f}, least "
        f"{report.settings['least_gradient_cosine']}); loss after {steps} steps {found['last_loss']:.4f}, exact "
        f"{exact['last_loss']:.4f} ({found['loss_change']:+.2%}, most {report.settings['most_loss_change']:.0%})"
    )
    if not found["passed"]:
        raise RegressionFound(
            f"a base in {settings.base_dtype} does not keep to the limits on this model and data. Use another "
            "base_dtype, or accept what it changes."
        )
    print(f"a base in {settings.base_dtype} keeps to the limits")


@app.command()
def load(
    model: Annotated[str, typer.Option(help="Model folder, or ORG/NAME on the Hugging Face Hub.")],
    dtype: Annotated[str | None, typer.Option(help="Dtype on the device (default: as stored).")] = None,
    rounds: Rounds = 3,
    cold: Annotated[
        bool, typer.Option("--cold", help="Drop the files from the page cache before each measurement.")
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """Time loading a checkpoint beside a plain read of the same files (through one small buffer, and kept in
    memory), and its peak of memory.

    Example: kcx bench load --model base --json load.json
    """
    from kcx_jax.bench.load import bench_load

    report = _kept(json_file, lambda say: bench_load(model, dtype, rounds, cold, say))
    for name, side in {"load": report.kcx, **report.peers}.items():
        seconds, speed = side["seconds"], side["megabytes_per_second"]
        print(f"{name.replace('_', ' '):14} {seconds:8.2f} s {speed:10,.0f} MB/s")
    peak = report.kcx["peak_anonymous_bytes"] / 1e9
    print(f"peak {peak:.2f} GB of anonymous memory; {report.ratio:.2f} times the speed of the plain read")


@app.command()
def parallel(
    records: Annotated[int, typer.Option(min=1, help="Sentences to translate.")] = 20_000,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests under way at once.")] = 1_000,
    latency: Annotated[float, typer.Option(min=0.0, help="Seconds until the server answers.")] = 0.5,
    rounds: Rounds = 3,
    json_file: JsonFile = None,
) -> None:
    """Time the builder of parallel data against a server on this machine, beside a bare client that keeps nothing.

    Example: kcx bench parallel --json parallel.json
    """
    from kcx_jax.bench.parallel import bench_parallel

    report = _kept(json_file, lambda say: bench_parallel(records, concurrency, latency, rounds, say))
    print(f"{report.kcx['requests_per_second']:,.0f} requests/s, {report.ratio:.2f} of the bare client's")


def _kept(json_file: Path | None, measure: "Callable[[Callable[[str], None]], Report]") -> "Report":
    """What `measure` gives, told what to say lines with; also in the file, if there is one."""
    from kcx_jax.files import refuse_existing

    if json_file is not None:
        refuse_existing(
            json_file, overwrite=False, way_out="Choose another --json."
        )  # before minutes of measuring
    report = measure(lambda line: print(line, file=sys.stderr, flush=True))
    if json_file is not None:
        report.write(json_file)
    return report
