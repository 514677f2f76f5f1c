"""The demo's base: a small model of Baichuan2's shape and its tokenizer, trained on the shipped text alone.

Training takes hours on two cores, so its result is shipped (``base/``, with the log of its making). It is made
anew by ``scripts/train_demo_base``, or by ``kcx demo --from-scratch`` for that run.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import jax
import numpy as np

from kcx_jax.checkpoints import load_pretrained, save_pretrained
from kcx_jax.data import TokenTree, encode_tree, token_tree
from kcx_jax.demo.corpus import LANGUAGES, schema
from kcx_jax.demo.reading import LESSONS, reading_trees
from kcx_jax.files import atomic_write, new_folder
from kcx_jax.models import ModelConfig, init_params
from kcx_jax.schema import TASKS, render_schema
from kcx_jax.tokenizer import Tokenizer, load_tokenizer, train_tokenizer
from kcx_jax.training.config import LoopSettings
from kcx_jax.training.loop import Stage, train_trees
from kcx_jax.training.metrics import Report, StepMetrics

SHIPPED = Path(__file__).parent / "base"
CURVE_FILE = "training_curve.json"
CONFIG = ModelConfig(
    vocab_size=3000, hidden_size=256, intermediate_size=688, num_layers=4, num_heads=8, max_positions=2048
)
SHARD_SIZE = "5MB"  # sharded like a release
TOKENIZER_TREES = 500
SCHEMA_WEIGHT = 100  # times the tokenizer's text holds the demo's schema: its class names become pieces
# Every prompt and answer is full of these; each is one piece, so that a schema takes half as many.
CODE_PIECES = (
    *("class ", '(Entity):\n    """', '(Relation):\n    """', '(Event):\n    """', '."""\n', '."""\nclass '),
    *('."""\n    ', '."""\n    head: ', "\n    tail: ", "\nclass ", ": list[", "]\n    ", "]\nclass ", " | "),
    *(
        'sentence = "',
        '"\nresults =',
        " []",
        " [",
        '("',
        '", "',
        '"), ',
        '")',
        '")]',
        '")], ',
        "=[",
        '", ',
        ")]",
    ),
)

# Before it reads, the model learns to repeat random pieces: nothing but copying can lower that loss, and a model
# that copies reads names it has never seen. Reading alone makes it forget, so the drill stays in the mix.
DRILL_STEPS = 600
LESSON_STEPS = {"words": 350, "single names": 250}  # the last lesson, "exercises", is as long as is asked for
DRILL_LENGTHS = (2, 24)
DRILL_SHARE = 0.08
MARKED_SPANS, SPAN_LENGTHS = (1, 4), (1, 5)
LONGEST_PREAMBLE = 120
DRILL_RATE, READING_RATE = 3e-3, 1e-3
EXTENDING_RATE = 5e-4  # of a base that goes on reading
DRILL_PREFIX = "# Copying\n"
NEWLINE_ID = 5
FIRST_PIECE = 197  # after the bytes' and markers' reserved ids

ROWS, BRANCHES, SHAPES = 2, 16, 6


@dataclass(frozen=True)
class _Untrained:
    """A model as the loop takes it."""

    config: ModelConfig
    params: Any
    lora: None = None
    lora_config: None = None


def copy_shipped(out: Path) -> None:
    """Put the shipped base at `out`, a folder in the released Baichuan2 layout.

    Raises `KcxError` when the disk does not take it.
    """
    with new_folder(out, overwrite=False) as folder:
        for path in sorted(SHIPPED.iterdir()):
            shutil.copyfile(path, folder / path.name)


def describe(folder: Path) -> dict[str, Any]:
    """Size, vocabulary and training curve of a base in `folder`."""
    model = load_pretrained(folder, dtype="float32")
    curve = json.loads((folder / CURVE_FILE).read_text(encoding="utf-8"))
    parameters = sum(leaf.size for leaf in jax.tree.leaves(model.params))
    return {"parameters": parameters, "vocab_size": model.config.vocab_size, "curve": curve}


def train_base(out: Path, work: Path, seed: int, steps: int, report: Report | None = None) -> None:
    """Train tokenizer and model through all lessons and save them at `out`, resuming from `work`.

    The last lesson takes `steps` steps. The same seed gives the same base on the same
    machine. Ctrl-C saves the run first.
    """
    tokenizer = _tokenizer(work / "tokenizer", seed)
    curve: list[tuple[int, float]] = []

    def note(metrics: StepMetrics) -> None:
        curve.append((metrics.step, metrics.loss))
        if report is not None:
            report(metrics)

    stages = [
        Stage(
            "copying drill",
            _drill(tokenizer, f"copying:{seed}", DRILL_STEPS * ROWS),
            learning_rate=DRILL_RATE,
        ),
    ]
    for lesson, length in {**LESSON_STEPS, "exercises": steps}.items():
        trees = _lesson(tokenizer, lesson, seed, length)
        stages.append(Stage(lesson, trees, steps=length, learning_rate=READING_RATE))
    model = _Untrained(CONFIG, initial_params(CONFIG, jax.random.key(seed)))
    result = train_trees(model, stages, _settings(seed), work / "run", resume=True, report=note)
    save_pretrained(out, CONFIG, result.trained, tokenizer, dtype="bfloat16", shard_size=SHARD_SIZE)
    with atomic_write(out / CURVE_FILE, overwrite=True) as handle:
        json.dump(_thinned(curve), handle)


def extend_base(
    start: Path, out: Path, work: Path, seed: int, lessons: Mapping[str, int], languages: Sequence[str]
) -> None:
    """Let the base at `start` go on reading, with the tokenizer that it has, and save it at `out`.

    `lessons`: steps of each of `LESSONS`, in this order; `languages` as for `reading_trees`. Resumes from `work`, and
    the same arguments give the same base on the same machine. Raises `KcxError` for a base that is not there.
    """
    model = load_pretrained(start, dtype="float32")
    stages = [
        Stage(lesson, _lesson(model.tokenizer, lesson, seed, steps, languages), steps=steps)
        for lesson, steps in lessons.items()
    ]
    result = train_trees(
        model, stages, _settings(seed, EXTENDING_RATE), work, resume=True, base=model.fingerprint
    )
    save_pretrained(
        out, model.config, result.trained, model.tokenizer, dtype="bfloat16", shard_size=SHARD_SIZE
    )


def _settings(seed: int, learning_rate: float = READING_RATE) -> LoopSettings:
    return LoopSettings.model_validate(
        {
            "mode": "full",
            "dtype": "float32",
            "branches": BRANCHES,
            "rows_per_step": ROWS,
            "shapes": SHAPES,
            "seed": seed,
            "save_every": 200,
            "optimiser": {
                "learning_rate": learning_rate,
                "beta2": 0.98,
                "weight_decay": 0.01,
                "warmup": 0.03,
            },
        }
    )


def initial_params(config: ModelConfig, key: jax.Array) -> dict[str, Any]:
    """Initial weights that let a small model learn to copy within minutes.

    Embeddings of unit size are not drowned by what the layers add to the residual stream; an output projection
    that starts as the transpose of the values' one hands on what attention finds as it is; and a head that starts
    as the embeddings then names it. (With the usual deviation of 0.02 for all, copying was not learnt in the
    same time.)
    """
    params = init_params(config, key)
    unit = params["embed_tokens"] / np.std(np.asarray(params["embed_tokens"]))
    layers = dict(params["layers"])
    for name in ("W_pack", "gate_proj", "up_proj", "down_proj"):
        layers[name] = layers[name] / np.std(np.asarray(layers[name])) * layers[name].shape[-1] ** -0.5
    into_stream = (2 * config.num_layers) ** -0.5  # each layer adds twice
    layers["down_proj"] = layers["down_proj"] * into_stream
    values = layers["W_pack"][:, 2 * config.hidden_size :]
    layers["o_proj"] = 2.0 * into_stream * values.swapaxes(1, 2)
    return {**params, "embed_tokens": unit, "lm_head": unit + 0, "layers": layers}


def _tokenizer(folder: Path, seed: int) -> Tokenizer:
    """The tokenizer of the base, made once: from what it will read, and the demo's schema."""
    if folder.exists():
        return load_tokenizer(folder)
    texts = [render_schema(schema().for_task(task)) for task in TASKS] * SCHEMA_WEIGHT
    for tree in chain.from_iterable(reading_trees(lesson, seed, TOKENIZER_TREES) for lesson in LESSONS):
        texts += [tree.prefix, *(branch.context + branch.answer for branch in tree.branches)]
    return train_tokenizer(texts, CONFIG.vocab_size, folder, extra_pieces=CODE_PIECES)


def _lesson(
    tokenizer: Tokenizer, lesson: str, seed: int, steps: int, languages: Sequence[str] = LANGUAGES
) -> list[TokenTree]:
    drills = round(DRILL_SHARE * steps * ROWS)
    texts = reading_trees(lesson, seed, steps * ROWS - drills, languages)
    return [*(encode_tree(tokenizer, tree) for tree in texts), *_drill(tokenizer, f"{lesson}:{seed}", drills)]


def _drill(tokenizer: Tokenizer, seed: str, count: int) -> list[TokenTree]:
    """Random pieces to be repeated whole, or the ones in brackets listed as answers list them.

    Random pieces in front vary how far from the start the work is to be done.
    """
    rng = Random(f"drill:{seed}")
    heading = tokenizer.encode(DRILL_PREFIX)

    def pieces(count: int) -> list[int]:
        return [rng.randrange(FIRST_PIECE, tokenizer.vocab_size) for _ in range(count)]

    trees = []
    for _ in range(count):
        branches = []
        for _ in range(BRANCHES):
            text = pieces(rng.randint(*DRILL_LENGTHS))
            branches.append(
                _marked(tokenizer, rng, text) if rng.random() < 0.5 else _repeated(tokenizer, text)
            )
        trees.append(token_tree([*pieces(rng.randint(0, LONGEST_PREAMBLE)), *heading], branches, "drill"))
    return trees


def _repeated(tokenizer: Tokenizer, text: list[int]) -> tuple[list[int], list[int]]:
    return [*text, NEWLINE_ID], [*text, tokenizer.eos_id]


def _marked(tokenizer: Tokenizer, rng: Random, text: list[int]) -> tuple[list[int], list[int]]:
    """A context whose brackets mark spans, and the list of them."""
    opening, closing, comma = (tokenizer.encode(code) for code in ("(", ")", '", "'))
    context = tokenizer.encode('text = "')
    answer: list[int] = []
    place = 0
    for _ in range(rng.randint(*MARKED_SPANS)):
        start = place + rng.randint(0, 5)
        span = text[start : start + rng.randint(*SPAN_LENGTHS)]
        if not span:
            break
        context += [*text[place:start], *opening, *span, *closing]
        answer += [*(comma if answer else []), *span]
        place = start + len(span)
    context += [*text[place:], *tokenizer.encode('"\nmarked =')]
    listed = (
        [*tokenizer.encode(' ["'), *answer, *tokenizer.encode('"]')] if answer else tokenizer.encode(" []")
    )
    return context, [*listed, tokenizer.eos_id]


def _thinned(curve: Sequence[tuple[int, float]], points: int = 400) -> list[tuple[int, float]]:
    """At most `points` of a curve, each the mean of its neighbourhood."""
    size = -(-len(curve) // points)
    blocks = [curve[i : i + size] for i in range(0, len(curve), size)]
    return [(block[-1][0], round(sum(loss for _, loss in block) / len(block), 4)) for block in blocks]
