"""`kcx bench decode`: the same random weights write the same tokens here, by transformers and by llama.cpp.

Every engine has the schema read before (its time stands apart) and shares it among its rows as well as it can; all
compute in float32 on the same cores. Either answers are free, of random ids, or they are those of a corpus: then every
engine is led to the gold tokens, and ours keeps to the schema as well.
"""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from kcx_jax.bench.answer_work import Answered, Ids, Work
from kcx_jax.bench.apart import apart
from kcx_jax.bench.conditions import INTEROP, THREADS, alike, refuse_missing
from kcx_jax.bench.llamacpp_answers import HOW_TO_INSTALL, by_llamacpp, write_gguf
from kcx_jax.bench.own_answers import EARLY, Constrained, by_kcx, gap, memory_of_many
from kcx_jax.bench.report import Report, machine, rounds_in_turn
from kcx_jax.bench.torch_answers import by_transformers
from kcx_jax.bench.workload import Lengths, random_params, random_tree
from kcx_jax.checkpoints.folder import write_json, write_weights
from kcx_jax.checkpoints.layouts import llama_config, llama_tensors
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.models import ModelConfig

NEAR_TIE = 1e-4  # of two logits: either may be the larger one in float32
CALLS_A_ROUND = 3  # after one other; the fastest counts
HF, LLAMACPP = "hf", "llamacpp"
_NEEDED = {
    HF: (("torch", "transformers"), INTEROP),
    LLAMACPP: (("llama_cpp", "gguf"), HOW_TO_INSTALL),
}
_DISTRIBUTIONS = {"llama_cpp": "llama-cpp-python"}
Side = Callable[[int], Answered]  # called with the times to measure


def shape(vocabulary: int) -> ModelConfig:
    """A Llama of 25 million parameters beside its embedding and its head of 512 channels a token."""
    return ModelConfig(vocabulary, 512, 1376, 8, 8, family="llama", norm_head=False)


@dataclass(frozen=True)
class DecodeBench:
    """`constrained` where answers are led to gold ones; then `memory_sentences` are answered at the end."""

    config: ModelConfig
    work: Work
    constrained: Constrained | None = None
    memory_sentences: int = 0


def free_bench(rows: int) -> DecodeBench:
    """Random ids: 32 new tokens after 1,024 shared and 32 own ones, as many answers as rows."""
    config = shape(32_000)
    tree = random_tree(Lengths(1024, ((32, 1),) * rows), config.vocab_size)
    contexts = [branch.context.tolist() for branch in tree.branches]
    return DecodeBench(config, Work(tree.prefix.tolist(), contexts, 32, rows))


def bench_beside(bench: DecodeBench, peers: Sequence[str], rounds: int, say: Callable[[str], None]) -> Report:
    """Every side measured `rounds` times in turn, each time in a process of its own; the fastest round counts.

    Headline: sentences a second over those of the first of `peers`. Raises `UsageError` where a peer is unknown or not
    installed, `KcxError` where the sides do not write the same tokens.
    """
    _refuse_missing(peers)
    with tempfile.TemporaryDirectory(prefix="kcx-bench-") as name, alike():
        folder, load = Path(name), os.getloadavg()[0]
        apart(_write, folder, bench.config, bench.work)
        if LLAMACPP in peers:
            apart(write_gguf, folder)
        sides = _sides(folder, bench, peers)
        answers = {what: apart(side, 0).answers for what, side in sides.items()}
        equal = _refuse_other_tokens(folder, bench, answers)
        than = "the gold ones" if bench.work.gold else "ours"
        listed = ", ".join(f"{what} {count}" for what, count in equal.items())
        say(f"of {len(bench.work.contexts)} answers {than}: {listed}")

        def measured(what: str) -> Mapping[str, float]:
            found = apart(sides[what], CALLS_A_ROUND).figures
            say(f"{what}: {line(found)}")
            return found

        found = rounds_in_turn(rounds, *(partial(measured, what) for what in sides))
        figures = {
            what: _fastest(each) | {"equal_answers": equal[what]}
            for what, each in zip(sides, found, strict=True)
        }
        ours = figures.pop("kcx")
        if bench.memory_sentences:
            ours |= apart(memory_of_many, folder, bench.config, bench.constrained, bench.memory_sentences)
    ratio = ours["sentences_per_second"] / figures[peers[0]]["sentences_per_second"]
    return Report({**_settings(bench, peers, rounds), "load_before": load}, ours, figures, ratio)


def line(figures: Mapping[str, Any]) -> str:
    """A side's figures for the eye."""
    return (
        f"{figures['sentences_per_second']:8.2f} sentences/s {figures['new_tokens_per_second']:8.1f} new tokens/s "
        f"{figures['seconds']:7.2f} s, schema {figures['prefix_seconds']:.2f} s, "
        f"peak {figures['peak_bytes'] / 1e9:.2f} GB"
    )


def led_lines(figures: Mapping[str, Any]) -> list[str]:
    """What else is known of ours where answers are gold ones, for the eye; nothing otherwise."""
    if "forwards_per_answer" not in figures:
        return []
    lines = [
        f"{figures['forwards_per_answer']:.2f} forwards an answer; {figures['accepted_tokens']} of "
        f"{figures['drafted_tokens']} drafted tokens were right ({figures['draft_acceptance']:.0%})",
        f"tables {figures['table_share']:.1%} of the time ({figures['table_seconds_per_sentence'] * 1e3:.2f} ms a "
        f"sentence), masks {figures['mask_share']:.1%} of a run without drafts",
    ]
    if "sentences_for_memory" in figures:
        early, late = (figures[f"anonymous_bytes_{when}"] / 1e6 for when in ("early", "at_the_end"))
        lines.append(
            f"{early:,.0f} MB after {EARLY:,} sentences, {late:,.0f} MB after {figures['sentences_for_memory']:,}"
        )
    return lines


def _refuse_missing(peers: Sequence[str]) -> None:
    if not peers or not set(peers) <= set(_NEEDED):
        raise UsageError(f"peers are {' and '.join(_NEEDED)}, found {', '.join(peers) or 'none'}.")
    for peer in peers:
        refuse_missing(peer, *_NEEDED[peer])


def _write(folder: Path, config: ModelConfig, work: Work) -> None:
    """The weights that `random_model` makes, for the peers, and the work."""
    dtype = np.dtype("float32")
    write_json(folder / "config.json", llama_config(config, dtype))
    write_weights(folder, llama_tensors(config, random_params(config, dtype), None, None, dtype), None)
    work.write(folder)


def _sides(folder: Path, bench: DecodeBench, peers: Sequence[str]) -> dict[str, Side]:
    known = {HF: by_transformers, LLAMACPP: by_llamacpp}
    return {
        "kcx": partial(by_kcx, folder, bench.config, bench.constrained),
        **{peer: partial(known[peer], folder) for peer in peers},
    }


def _refuse_other_tokens(
    folder: Path, bench: DecodeBench, answers: Mapping[str, list[list[int]]]
) -> dict[str, int]:
    """How many answers of each side are the gold ones, or else ours; `KcxError` unless all are, up to near ties."""
    expected = bench.work.gold or answers["kcx"]
    if not bench.work.gold and any(len(ids) < bench.work.new_tokens for ids in expected):
        raise KcxError("random weights wrote the end token: choose other sizes. Nothing was timed.")
    equal, differing = {}, []
    for what, found in answers.items():
        others = [number for number, ids in enumerate(found) if ids != list(expected[number])]
        equal[what] = len(found) - len(others)
        if others and bench.work.gold:
            raise KcxError(_other(what, equal[what], len(found), "the gold ones"))
        differing += [(what, number, *_parting(found[number], expected[number])) for number in others]
    gaps = apart(gap, folder, bench.config, [each[1:] for each in differing]) if differing else []
    for (what, *_), apart_by in zip(differing, gaps, strict=True):
        if not apart_by <= NEAR_TIE:
            raise KcxError(
                _other(what, equal[what], len(expected), f"ours (logits differ by {apart_by:.2g})")
            )
    return equal


def _other(what: str, equal: int, of: int, than: str) -> str:
    return f"{what} writes other tokens: {equal} of {of} answers are {than}. Nothing was timed."


def _parting(one: Ids, other: Ids) -> tuple[Ids, int, int]:
    """What two answers have in common, and the token of each behind it; they are of one length."""
    at = next(number for number, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1])
    return one[:at], one[at], other[at]


def _fastest(rounds: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """The figures of the fastest round, and those of all."""
    return {**max(rounds, key=lambda each: each["sentences_per_second"]), "rounds": rounds}


def _settings(bench: DecodeBench, peers: Sequence[str], rounds: int) -> dict[str, Any]:
    config, work = bench.config, bench.work
    written = work.new_tokens * len(work.contexts) if work.gold is None else sum(map(len, work.gold))
    names = sorted({name for peer in peers for name in _NEEDED[peer][0]})
    return {
        "model": {name: value for name, value in asdict(config).items() if "size" in name or "num" in name},
        "dtype": "float32",
        "answers": "free" if work.gold is None else "gold",
        "schema_tokens": len(work.prefix),
        "mean_context_tokens": sum(map(len, work.contexts)) / len(work.contexts),
        "mean_answer_tokens": written / len(work.contexts),
        "sentences": len(work.contexts),
        "rows": work.rows,
        "rounds": rounds,
        "calls_a_round": CALLS_A_ROUND,
        "threads": THREADS,
        "cores": os.cpu_count(),
        **machine(),
        **{name: version(_DISTRIBUTIONS.get(name, name)) for name in names},
    }
