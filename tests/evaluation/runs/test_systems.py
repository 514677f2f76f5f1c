"""Systems beside the chat model: others' files counted by hand, the tagger, and a model of ours."""

import json
from dataclasses import replace
from itertools import product

import pytest

from kcx_jax.checkpoints.describe import describe
from kcx_jax.corpora import Mention, Record, RelationLink, read_records, write_records
from kcx_jax.demo.base import SHIPPED
from kcx_jax.evaluation.answers import bare
from kcx_jax.evaluation.runs import EvaluateConfig, evaluate
from kcx_jax.evaluation.runs.folder import Results
from kcx_jax.evaluation.runs.tagger import MODEL

TEXTS = ("Ada met Bob in Rome.", "Eve left Rome for Rome.")
GOLD = [
    Record("0", "en", TEXTS[0], tuple(Mention(f"e{i}", *m) for i, m in enumerate((
        ("Person", 0, 3, "Ada"), ("Person", 8, 11, "Bob"), ("City", 15, 19, "Rome"))))),
    Record("1", "en", TEXTS[1], tuple(Mention(f"e{i}", *m) for i, m in enumerate((
        ("Person", 0, 3, "Eve"), ("City", 9, 13, "Rome"), ("City", 18, 22, "Rome"))))),
]  # fmt: skip
# Every system says the same: of the first text Ada and Bob, both right, and Bob as a city, which is wrong; of the
# second Eve, one Rome, and a Mia who is not in it. By hand: 4 right, 2 wrong, 2 missed (a Rome of each text).
TP, FP, FN = 4, 2, 2


def by_type(*pairs):
    return json.dumps({name: [text for kind, text in pairs if kind == name] for name in ("person", "city")})


SAID = (
    [("person", "Ada"), ("person", "Bob"), ("city", "Bob")],
    [("person", "Eve"), ("city", "Rome"), ("person", "Mia")],
)


def gliner(text, pairs):
    spans = [(text.find(word), word, kind) for kind, word in pairs]
    return [{"start": a, "end": a + len(w), "text": w, "label": k, "score": 0.9} for a, w, k in spans]


# Each written by hand from the form that the system's own code writes, none taken from a run of it.
OUTPUTS = {
    "knowcoder": [
        {
            "sentence": text,
            "output": "results = [\n" + ",\n".join(f'\t{k.title()}("{w}")' for k, w in said) + "\n]",
        }
        for text, said in zip(TEXTS, SAID, strict=True)
    ],
    "gollie": [
        {
            "id": str(i),
            "output": "result = [\n" + "".join(f"    {k.title()}(span={w!r}),\n" for k, w in said) + "]",
        }
        for i, said in enumerate(SAID)
    ],
    "iepile": [
        {
            "id": f"{i:064x}",
            "instruction": json.dumps({"instruction": "?", "schema": ["person", "city"], "input": text}),
            "output": f"```json\n{by_type(*said)}\n```",
        }
        for i, (text, said) in enumerate(zip(TEXTS, SAID, strict=True), 7)
    ],
    "b2ner": [{"output": "; ".join(f"{k}: {w}" for k, w in said)} for said in SAID],
    "yayi": [{"id": i, "response": f"json{by_type(*said)}"} for i, said in enumerate(SAID)],
    "gliner": [
        {"text": text, "predictions": gliner(text, said)} for text, said in zip(TEXTS, SAID, strict=True)
    ],
}


def run(folder, *systems, tasks=("ner",), gold=GOLD, **benchmark):
    write_records(gold, folder / "gold.jsonl", overwrite=True)
    entry = {"name": "b", "path": str(folder / "gold.jsonl"), "tasks": list(tasks), **benchmark}
    values = {"results": str(folder / "run"), "samples": 20, "benchmarks": [entry], "systems": systems}
    return evaluate(EvaluateConfig.model_validate(values))


def counts(outcome, system, task="ner"):
    path = Results(outcome.folder).scores(system, "b")
    unit = json.loads(path.read_text())["tasks"][task]["units"][task]
    return unit["tp"], unit["fp"], unit["fn"]


def test_every_systems_own_form_counts_as_by_hand(tmp_path):
    systems = []
    for name, rows in OUTPUTS.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        systems.append(
            {"kind": "outputs", "name": name, "path": str(tmp_path / f"{name}.jsonl"), "format": name}
        )
    outcome = run(tmp_path, *systems)
    assert {name: counts(outcome, name) for name in OUTPUTS} == dict.fromkeys(OUTPUTS, (TP, FP, FN))


def test_a_file_that_changed_stops_the_run(tmp_path):
    path = tmp_path / "b.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in OUTPUTS["b2ner"]))
    system = {"kind": "outputs", "name": "s", "path": str(path), "format": "b2ner"}
    run(tmp_path, system)
    path.write_text("".join(json.dumps(row) + "\n" for row in OUTPUTS["b2ner"][::-1]))
    assert "output s/b/ner: sha256 changed" in run(tmp_path, system).not_run["s", "b", "ner"]


def test_predictions_for_more_than_the_sample_are_no_error_and_absent_ones_are_told(tmp_path):
    rows = OUTPUTS["gollie"][:1]
    (tmp_path / "b.jsonl").write_text(json.dumps(rows[0]) + "\n")
    system = {
        "kind": "outputs",
        "name": "half",
        "path": str(tmp_path / "{benchmark}.jsonl"),
        "format": "gollie",
    }
    scores = json.loads(Results(run(tmp_path, system).folder).scores("half", "b").read_text())
    assert scores["tasks"]["ner"]["missing"]["ner"] == ["1"]
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in OUTPUTS["gollie"]))
    outcome = run(whole, system | {"path": str(whole / "{benchmark}.jsonl")}, limit=1)
    assert sum(counts(outcome, "half")) in (4, 5)
    assert not outcome.not_run


def test_knowcoders_published_outputs_count_as_by_hand(shared, tmp_path):
    """Its own example file, the two event answers with arguments: a student with his institution, and two spouses."""
    source = shared / "data/knowcoder_example/example_data.jsonl"
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    gold = list(read_records(source, "knowcoder", "en", auto=True))
    chosen = [i for i, row in enumerate(rows) if "(trigger = " in row["one-stage"].get("output", "")]
    outputs = [{"sentence": rows[i]["sentence"], "output": rows[i]["one-stage"]["output"]} for i in chosen]
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in outputs))
    system = {"kind": "outputs", "name": "k", "path": str(tmp_path / "b.jsonl"), "format": "knowcoder"}
    outcome = run(tmp_path, system, tasks=("eae",), gold=[gold[i] for i in chosen], inventory=None)
    assert len(chosen) == 2
    assert counts(outcome, "k", "eae") == (4, 0, 0)


MANY = [
    Record(f"{n}", "en", f"{a} met {b} in {c}.", (
        Mention("e0", "Person", 0, len(a), a), Mention("e1", "Person", len(a) + 5, len(a) + 5 + len(b), b),
        Mention("e2", "City", len(a) + len(b) + 9, len(a) + len(b) + 9 + len(c), c)))
    for n, (a, b, c) in enumerate(product(("Ada", "Eve", "Mia"), ("Bob", "Ned"), ("Rome", "Oslo", "Lima")))
]  # fmt: skip


def test_the_tagger_learns_from_the_training_file_alone_and_always_the_same(tmp_path):
    write_records(MANY, tmp_path / "train.jsonl")
    test = [
        replace(record, id=f"t{record.id}", text=record.text.replace("met", "saw")) for record in MANY[:6]
    ]
    system = {"kind": "tagger", "name": "crf", "iterations": 30}
    outcome = run(tmp_path, system, gold=test, train=str(tmp_path / "train.jsonl"))
    assert counts(outcome, "crf") == (18, 0, 0)
    model = Results(outcome.folder).system("crf") / "b" / MODEL
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    again = run(elsewhere, system, gold=test, train=str(tmp_path / "train.jsonl"))
    assert (Results(again.folder).system("crf") / "b" / MODEL).read_bytes() == model.read_bytes()
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    less = run(fewer, system | {"share": 0.1}, gold=test, train=str(tmp_path / "train.jsonl"))
    assert (Results(less.folder).system("crf") / "b" / MODEL).read_bytes() != model.read_bytes()


def test_a_tagger_says_what_it_cannot_do(tmp_path):
    linked = [replace(GOLD[0], relations=(RelationLink("Met", "e0", "e1"),))]
    outcome = run(tmp_path, {"kind": "tagger", "name": "crf"}, gold=linked, tasks=("ner", "re"))
    assert "no training file" in outcome.not_run["crf", "b", "ner"]
    assert outcome.not_run["crf", "b", "re"] == "a tagger finds entities alone"
    assert len(outcome.failed) == 1


@pytest.mark.parametrize("text", ["Ada left", "李白在北京", "", "   ", "ada LEFT-3rd"])
def test_the_tagger_takes_any_text(tmp_path, text):
    write_records(MANY, tmp_path / "train.jsonl")
    gold = [*GOLD, Record("x", "zh", text, ())]
    outcome = run(
        tmp_path,
        {"kind": "tagger", "name": "crf", "iterations": 5},
        gold=gold,
        train=str(tmp_path / "train.jsonl"),
    )
    assert len(list(read_records(Results(outcome.folder).records("crf", "b", "ner"), "jsonl"))) == 3


@pytest.mark.slow
def test_a_model_of_ours_answers_within_the_text(tmp_path):
    system = {"kind": "model", "name": "base", "model": str(SHIPPED), "max_new_tokens": 12}
    outcome = run(tmp_path, system)
    path = Results(outcome.folder).records("base", "b", "ner")
    assert [(record.id, record.text) for record in read_records(path, "jsonl")] == [
        (r.id, r.text) for r in GOLD
    ]
    assert not any("unresolved" in record.meta for record in read_records(path, "jsonl"))
    facts = json.loads((outcome.folder / "run.json").read_text())["systems"]["base"]
    assert facts == {"base": describe(SHIPPED).digest, "adapters": []}
    assert run(tmp_path, system).answered == 0


def test_a_system_sees_the_text_and_the_pair_alone():
    meta = {"pair": {"mentions": ["e0", "e2"], "label": "Met"}, "source_labels": {"e0": "PER"}}
    linked = replace(GOLD[0], relations=(RelationLink("Met", "e0", "e1"),), events=(), meta=meta)
    shown = bare(linked)
    assert (shown.id, shown.text, shown.relations, shown.events) == ("0", TEXTS[0], None, None)
    assert shown.meta == {"pair": {"mentions": ["e0", "e2"]}}
    assert [mention.id for mention in shown.entities] == ["e0", "e2"]
    assert bare(replace(linked, meta={})) == Record("0", "en", TEXTS[0])
