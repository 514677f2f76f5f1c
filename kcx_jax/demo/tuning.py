"""Tuning as the demo does it: LoRA on the base from its folder, on trees of the demo's schema."""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

import jax
import yaml

from kcx_jax.checkpoints import export_pretrained, load_pretrained
from kcx_jax.corpora import ParallelRecord, Record
from kcx_jax.data import drop_overlong, encode_tree
from kcx_jax.demo.corpus import schema
from kcx_jax.demo.settings import Settings
from kcx_jax.prompts import PromptTree, alignment_tree, extraction_tree
from kcx_jax.schema import TASKS
from kcx_jax.training import LoopSettings, Stage, plan_stages, read_metrics, train_trees, tuned_model

ADAPTER = "adapter"
NO_ANSWER = " []"
EMPTY_PER_ANSWER = 0.4  # empty answers kept in tuning, for each one that lists something


def alignment_trees(pairs: Sequence[ParallelRecord]) -> list[PromptTree]:
    """Stage 1 on entities, a tree a direction."""
    directions = dict.fromkeys((pair.source.language, pair.target.language) for pair in pairs)
    return [
        alignment_tree(
            schema(), [p for p in pairs if (p.source.language, p.target.language) == direction], "ner"
        )
        for direction in directions
    ]


def extraction_trees(records: Sequence[Record]) -> list[PromptTree]:
    """Stage 2 on records of one language, a tree a task; of the records without an answer only a part."""
    return [_mostly_answered(extraction_tree(schema(), records, task)) for task in TASKS]


def _mostly_answered(tree: PromptTree) -> PromptTree:
    """The tree without most of its branches whose answer is empty (two in three, for relations and events)."""
    empty = [branch.answer == NO_ANSWER for branch in tree.branches]
    room = round(EMPTY_PER_ANSWER * (len(empty) - sum(empty)))
    kept = [branch for branch, is_empty in zip(tree.branches, empty, strict=True) if not is_empty]
    kept += [branch for branch, is_empty in zip(tree.branches, empty, strict=True) if is_empty][:room]
    return replace(tree, branches=tuple(kept))


def tune(
    base: Path,
    name: str,
    trees: Sequence[PromptTree],
    steps: int,
    run_dir: Path,
    settings: Settings,
    start: Path | None = None,
) -> dict[str, Any]:
    """LoRA on `base` (going on with the adapter `start`) for `steps` steps; the adapter lies in `run_dir` after it.

    Goes on where an interrupted call stopped. Returns the loss curve and what the row plan says.
    """
    model = load_pretrained(base, adapter=start, dtype="float32")
    encoded, _ = drop_overlong(
        [encode_tree(model.tokenizer, tree) for tree in trees], model.config.max_positions
    )
    stage = Stage(name, encoded, steps=steps)
    loop = LoopSettings.model_validate(
        {
            "dtype": "float32",
            "lora": {"rank": settings.lora_rank, "alpha": 2.0 * settings.lora_rank},
            "optimiser": {"learning_rate": settings.learning_rate},
            "branches": settings.branches,
            "rows_per_step": settings.rows
            * ceil(jax.device_count() / settings.rows),  # some for every device
            "shapes": settings.shapes,
            "seed": settings.seed,
            "save_every": 50,
        }
    )
    result = train_trees(model, [stage], loop, run_dir, resume=True, base=model.fingerprint)
    if not (run_dir / ADAPTER).exists():
        told = yaml.safe_dump(
            {"stage": name, "data": "the demo's own corpus", **loop.model_dump(mode="json")}
        )
        export_pretrained(tuned_model(model, result, told), run_dir / ADAPTER, format="peft")
    (plan,) = plan_stages([stage], loop)
    return {
        "curve": [(line["step"], line["loss"]) for line in read_metrics(run_dir)],
        "steps": len(plan.steps),
        "samples": sum(step.samples for step in plan.steps),
        "saving": plan.saving,
    }
