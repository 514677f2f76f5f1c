"""The seven steps of the demo. Each works in its own folder, can be interrupted, and says what came of it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kcx_jax.corpora import ParallelRecord, Record, read_parallel, write_records
from kcx_jax.demo.corpus import generate, schema
from kcx_jax.demo.run import Say, Step, read_json
from kcx_jax.demo.settings import TUNED, UNSEEN, Settings
from kcx_jax.errors import KcxError
from kcx_jax.files import atomic_write
from kcx_jax.llm import ChatClient
from kcx_jax.parallel import Statistics, build
from kcx_jax.schema import render_schema
from kcx_jax.testing.llm_server import ScriptedServer

BASE, PARALLEL, ALIGN, EXTRACT, ANSWERS, EXPORT, REPORT = (
    *("1-base", "2-parallel", "3-align", "4-extract", "5-answers", "6-export", "7-report"),
)
STAGE_2, STAGES_1_2 = "stage 2", "stages 1 + 2"

# Shares of all requests that the scripted server answers wrongly; the pipeline has to see and mend each.
FAULTS = {
    "missing_span": 0.10,
    "paraphrased_span": 0.08,
    "broken_json": 0.03,
    "truncated": 0.02,
    "code_fence": 0.02,
    "wrong_ids": 0.02,
    "untranslated": 0.02,
    "rate_limit": 0.04,
    "server_error": 0.02,
    "hang": 0.01,
}
TIMEOUT = 2.0  # seconds; a request that hangs costs as much


def make_base(out: Path, folder: Path, settings: Settings, say: Say) -> dict[str, Any]:
    """Step 1: a base model and its tokenizer, as a folder in the released Baichuan2 layout."""
    from kcx_jax.demo import base

    model = folder / "model"
    if not model.exists():
        if settings.from_scratch:
            base.train_base(model, folder / "training", settings.seed, settings.base_steps)
        else:
            base.copy_shipped(model)
    facts = base.describe(model)
    say(f"  {facts['parameters'] / 1e6:.1f} million parameters, {facts['vocab_size']} pieces, in {model}")
    return {**facts, "source": "trained here" if settings.from_scratch else "shipped"}


def make_parallel(out: Path, folder: Path, settings: Settings, say: Say) -> dict[str, Any]:
    """Step 2: parallel data through all three stages, against a server that errs on purpose."""
    items = generate(settings.seed, settings.pairs, "train")
    runs: list[Statistics] = []
    pairs: list[ParallelRecord] = []
    for source, target, part in ((*TUNED, items[::2]), (*TUNED[::-1], items[1::2])):
        name = f"{source}-{target}"
        truth = [ParallelRecord(item[source].id, item[source], item[target], {}) for item in part]
        with ScriptedServer(pairs=truth, faults=FAULTS, seed=settings.seed, hang=4 * TIMEOUT) as server:
            client = ChatClient("scripted-small", server.base_url, concurrency=32, timeout=TIMEOUT)
            fallback = ChatClient("scripted-large", server.base_url, concurrency=32, timeout=TIMEOUT)
            records = [pair.source for pair in truth]
            with build(records, source, target, client, folder / name, fallback) as run:
                runs.append(run.statistics())
                pairs += run.pairs()
    return _funnel(runs, pairs, say)


def _funnel(runs: Sequence[Statistics], pairs: Sequence[ParallelRecord], say: Say) -> dict[str, Any]:
    """Both directions together, stage by stage."""
    total = sum(run.total for run in runs)
    # From the ledgers, not from the server's bill, which begins anew when an interrupted run is resumed.
    replies = sum(run.calls for run in runs)
    faults = Counter(kind for run in runs for (_, kind), n in run.problems.items() for _ in range(n))
    funnels = [run.funnel() for run in runs]
    stages, left = [], total
    for rows in zip(*funnels, strict=True):
        left -= sum(row["resolved"] for row in rows)
        name = f"{rows[0]['stage'].replace('_', ' ')} ({rows[0]['model']})"
        stages.append({"name": name, "missing_per_10k": 10_000 * left / total, "faithful": 1 - left / total})
        say(
            f"  after {name}: {10_000 * left / total:.0f} of ten thousand missing, {1 - left / total:.1%} faithful"
        )
    say(
        f"  {len(pairs)} of {total} sentences became pairs; {replies} replies read, {faults.total()} faults in them"
    )
    examples = [
        {
            "source": pair.source.to_json(),
            "target": pair.target.to_json(),
            "stage": str(pair.provenance.get("stage", "")),
        }
        for pair in _of_every_stage(pairs)
    ]
    return {
        "records": total,
        "stages": stages,
        "requests": replies,
        "faults": dict(faults.most_common()),
        "unresolved": total - len(pairs),
        "examples": examples,
    }


def _of_every_stage(pairs: Sequence[ParallelRecord], each: int = 3) -> list[ParallelRecord]:
    """The first few pairs that came from each stage."""
    taken: dict[str, list[ParallelRecord]] = {}
    for pair in pairs:
        taken.setdefault(str(pair.provenance.get("stage", "")), []).append(pair)
    return [pair for group in taken.values() for pair in group[:each]]


def align(out: Path, folder: Path, settings: Settings, say: Say) -> dict[str, Any]:
    """Step 3: stage 1. Source sentence, its answer and the target sentence are given; the target's answer is learnt."""
    from kcx_jax.demo import tuning

    pairs = [
        pair
        for name in (f"{TUNED[0]}-{TUNED[1]}", f"{TUNED[1]}-{TUNED[0]}")
        for pair in read_parallel(out / PARALLEL / name / "parallel.jsonl")
    ]
    trees = tuning.alignment_trees(pairs)
    run = tuning.tune(out / BASE / "model", "stage 1", trees, settings.align_steps, folder / "run", settings)
    say(f"  loss {run['curve'][0][1]:.2f} -> {run['curve'][-1][1]:.2f}")
    return run


def extract(out: Path, folder: Path, settings: Settings, say: Say) -> dict[str, Any]:
    """Step 4: stage 2 for all tasks in the two tuned languages, once on the bare base and once after stage 1."""
    from kcx_jax.demo import tuning

    items = generate(settings.seed + 1, settings.extract_items, "train")
    trees = [
        tree for language in TUNED for tree in tuning.extraction_trees([item[language] for item in items])
    ]
    runs = {}
    for name, start in ((STAGE_2, None), (STAGES_1_2, out / ALIGN / "run" / "adapter")):
        runs[name] = tuning.tune(
            *(out / BASE / "model", "stage 2", trees, settings.extract_steps),
            *(folder / name.replace(" ", ""), settings, start),
        )
        curve = runs[name]["curve"]
        say(f"  {name}: loss {curve[0][1]:.2f} -> {curve[-1][1]:.2f}")
    return {"runs": runs}


def adapters(out: Path) -> dict[str, Path | None]:
    """The adapter of each system, None for the bare base."""
    tuned = {name: out / EXTRACT / name.replace(" ", "") / "adapter" for name in (STAGE_2, STAGES_1_2)}
    return {"base": None, **tuned}


def answer(out: Path, folder: Path, settings: Settings, say: Say) -> dict[str, Any]:
    """Step 5: every system answers held-out sentences of three languages, and is scored."""
    from kcx_jax.demo import answers

    heldout = generate(settings.seed, settings.heldout, "heldout")
    _check_heldout(heldout, settings)
    gold = {language: [item[language] for item in heldout] for language in (*TUNED, UNSEEN)}
    for language, records in gold.items():
        write_records(records, folder / f"gold-{language}.jsonl", overwrite=True)
    with atomic_write(
        folder / "schema.py", overwrite=True
    ) as handle:  # for `kcx extract` with what was tuned here
        handle.write(render_schema(schema()))
    return answers.answer_all(out / BASE / "model", adapters(out), gold, schema(), folder, say)


def _check_heldout(heldout: list[dict[str, Record]], settings: Settings) -> None:
    """Raise unless no held-out sentence and no held-out name occurs in what the tuning reads."""
    read = [
        *generate(settings.seed, settings.pairs, "train"),
        *generate(settings.seed + 1, settings.extract_items, "train"),
    ]
    for language in TUNED:
        sentences = {item[language].text for item in read}
        names = {mention.text for item in read for mention in item[language].entities or ()}
        for item in heldout:
            record = item[language]
            known = [mention.text for mention in record.entities or () if mention.text in names]
            if record.text in sentences or known:
                raise KcxError(
                    f"held-out record {record.id} ({language}) was read in training: {known or record.text}"
                )


def export(out: Path, folder: Path, settings: Settings, say: Say) -> dict[str, Any]:
    """Step 6: the tuned model as a PEFT adapter and, merged, as a plain Llama; reloaded where torch is there."""
    from kcx_jax.checkpoints import export_pretrained, load_pretrained
    from kcx_jax.demo.interop import largest_difference

    model = load_pretrained(out / BASE / "model", adapter=adapters(out)[STAGES_1_2], dtype="float32")
    peft, llama = folder / "peft", folder / "llama"
    # Each folder appears whole or not at all.
    if not peft.exists():
        export_pretrained(model, peft, format="peft")
    if not llama.exists():
        export_pretrained(model, llama, format="llama")
    record = generate(settings.seed, 1, "heldout")[0]["en"]
    difference = largest_difference(model, llama, record.text)
    if difference is None:
        say("  torch is not installed: the export was not reloaded in transformers")
    else:
        say(f"  reloaded in transformers: largest logit difference {difference:.1e}")
    return {"peft": str(peft), "llama": str(llama), "max_logit_difference": difference}


def report(out: Path, folder: Path, settings: Settings, say: Say) -> dict[str, Any]:
    """Step 7: one page that shows all of it."""
    from kcx_jax.demo.environment import environment
    from kcx_jax.demo.report import write_report

    names = {
        BASE: "base",
        PARALLEL: "parallel",
        ALIGN: "align",
        EXTRACT: "extract",
        ANSWERS: "answers",
        EXPORT: "export",
    }
    results = {short: read_json(out / name / "result.json") for name, short in names.items()}
    page = out / "report.html"
    write_report(
        {"settings": settings.to_json(), "environment": environment(), **results}, page, overwrite=True
    )
    say(f"  {page}")
    return {"page": str(page)}


STEPS = [
    Step("base", "A base model in the released Baichuan2 layout", make_base),
    Step("parallel", "Parallel data in three stages, against a server that errs on purpose", make_parallel),
    Step("align", "Stage 1: cross-lingual alignment", align),
    Step("extract", "Stage 2: universal IE in English and Chinese, without and with stage 1", extract),
    Step("answers", "Answers and scores on held-out sentences", answer),
    Step("export", "Export to Hugging Face", export),
    Step("report", "The report", report),
]
