"""The base, a system's tuning and its answers: each a folder that is kept once it is there, or gone on with."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kcx_jax.checkpoints import load_pretrained
from kcx_jax.corpora import ParallelRecord, Record
from kcx_jax.decoding import Generator
from kcx_jax.demo.answers import MAX_NEW_TOKENS
from kcx_jax.demo.base import SHIPPED, extend_base
from kcx_jax.demo.corpus import generate, in_language, schema
from kcx_jax.demo.replication.json_form import json_answers, json_tree
from kcx_jax.demo.replication.settings import READ, READING, Decoding, Replication, System
from kcx_jax.demo.run import Say, read_json, write_json
from kcx_jax.demo.settings import TUNED
from kcx_jax.demo.tuning import ADAPTER, alignment_trees, extraction_trees, tune
from kcx_jax.evaluation import Answered, answer_records
from kcx_jax.extraction import Extractor
from kcx_jax.prompts import PromptTree
from kcx_jax.schema import TASKS, Task
from kcx_jax.scoring import score

SEED = 0  # of the base and of the sentences that are asked about: those of all runs are the same
JSON_TOKENS = 2 * MAX_NEW_TOKENS  # at most, of an answer
MEASURED = "measured.json"

Ask = Callable[[Sequence[Record], Task], list[Answered]]


def make_base(folder: Path, settings: Replication, say: Say) -> Path:
    """The shipped base after it has read on in all languages, in `folder`; returns where it is.

    Raises what `extend_base` raises.
    """
    model = folder / "model"
    if model.exists():
        say("base: done before")
        return model
    say(f"base: reading on for {sum(settings.lessons.values())} steps")
    started = time.monotonic()
    extend_base(SHIPPED, model, folder / "training", SEED, settings.lessons, READING)
    say(f"base: {time.monotonic() - started:.0f} s")
    return model


def measure(
    base: Path, folder: Path, system: System, seed: int, settings: Replication, say: Say
) -> dict[str, Any]:
    """A run of a system and what came of it, in `folder`.

    "counts" are the strict (tp, fp, fn) of every sentence, by decoding, language and task; "unread", in the same
    order, the answers that could not be read to their end. "tuning" has curves and numbers of samples. Raises
    `KcxError` for a damaged file of `folder`.
    """
    kept = folder / MEASURED
    if kept.exists():
        return read_json(kept)
    tuning = _tuned(base, folder, system, seed, settings)
    gold = {
        language: [in_language(item, language) for item in generate(SEED, settings.heldout, "heldout")]
        for language in READ
    }
    counts: dict[str, Any] = {}
    unread: dict[str, Any] = {}
    for decoding in system.decodings:
        ask: Ask | None = None
        for language, records in gold.items():
            for task in TASKS:
                part = folder / "answers" / f"{decoding}-{language}-{task}.json"
                if not part.exists():
                    ask = ask or _asking(base, folder / "extract" / ADAPTER, system, decoding)
                    write_json(_scored(records, ask(records, task), task), part)
                found = read_json(part)
                counts.setdefault(decoding, {}).setdefault(language, {})[task] = found["counts"]
                unread.setdefault(decoding, {}).setdefault(language, {})[task] = found["unread"]
            say(f"  {decoding}, {language}: answered")
    measured = {"seed": seed, "counts": counts, "unread": unread, "tuning": tuning}
    write_json(measured, kept)
    return measured


def _tuned(base: Path, folder: Path, system: System, seed: int, settings: Replication) -> dict[str, Any]:
    """Tune on the first of the generator's records; the seed draws these, the adapter and the order."""
    tuning = settings.tuning(system, seed)
    told, start = {}, None
    if system.align:
        trees = alignment_trees(_pairs(seed, settings.pairs))
        told["stage 1"] = tune(base, "stage 1", trees, settings.align_steps, folder / "align", tuning)
        start = folder / "align" / ADAPTER
    items = generate(seed + 1, settings.extract_items, "train")
    trees = [tree for language in TUNED for tree in _trees([item[language] for item in items], system)]
    steps = settings.extract_steps + (settings.align_steps if system.longer else 0)
    told["stage 2"] = tune(base, "stage 2", trees, steps, folder / "extract", tuning, start)
    return told


def _pairs(seed: int, count: int) -> list[ParallelRecord]:
    """Gold pairs, half of them in each direction."""
    items = generate(seed, count, "train")
    directions = ((*TUNED, items[::2]), (*TUNED[::-1], items[1::2]))
    return [
        ParallelRecord(item[source].id, item[source], item[target])
        for source, target, part in directions
        for item in part
    ]


def _trees(records: Sequence[Record], system: System) -> list[PromptTree]:
    trees = extraction_trees(records)
    if not system.json:
        return trees
    return [json_tree(tree, records, task) for tree, task in zip(trees, TASKS, strict=True)]


def _asking(base: Path, adapter: Path, system: System, decoding: Decoding) -> Ask:
    """The system's model, loaded once."""
    if system.json:
        generator = Generator(load_pretrained(base, adapter=adapter, dtype="float32"))
        return lambda records, task: json_answers(generator, records, schema(), task, JSON_TOKENS)
    extractor = Extractor.from_pretrained(
        base,
        adapter=adapter,
        dtype="float32",
        max_new_tokens=MAX_NEW_TOKENS,
        constraint="schema+span" if decoding == "constrained" else "off",
    )
    return lambda records, task: answer_records(extractor, records, schema(), task)


def _scored(gold: Sequence[Record], answered: Sequence[Answered], task: Task) -> Mapping[str, Any]:
    scores = score(gold, [one.record for one in answered], [task], by_record=True)
    counts = scores.units[task].by_record
    assert counts is not None
    return {
        "counts": [[each.tp, each.fp, each.fn] for each in counts],
        "unread": scores.flagged[task],
        "answers": [one.answer for one in answered],
    }
