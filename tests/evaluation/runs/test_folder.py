"""Shards that write one results folder at the same time."""

from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import pytest

from kcx_jax.corpora import Mention, Record, write_records
from kcx_jax.errors import KcxError
from kcx_jax.evaluation.runs import EvaluateConfig, evaluate
from kcx_jax.evaluation.runs.folder import Results

SHARDS, NOTES = 4, 25


def note_all(root, shard):
    results = Results(root)
    results.claim_as_is("title: of all\n")
    for number in range(NOTES):
        results.note("outputs", f"{shard}/{number}", {"sha256": str(number)})


def test_what_shards_note_at_the_same_time_is_all_there(tmp_path):
    root = tmp_path / "results"
    with get_context("spawn").Pool(SHARDS) as pool:
        pool.starmap(note_all, [(root, shard) for shard in range(SHARDS)])
    noted = Results(root).facts()["outputs"]
    assert noted == {f"{s}/{n}": {"sha256": str(n)} for s in range(SHARDS) for n in range(NOTES)}
    assert len(Results(root).facts()["versions"]) == 1


def test_shards_that_begin_at_once_find_each_other_and_no_stranger(tmp_path):
    for attempt in range(200):
        root = tmp_path / str(attempt)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _, root=root: Results(root).claim_as_is("a: 1\n"), range(8)))
        with pytest.raises(KcxError, match="another config"):
            Results(root).claim_as_is("a: 2\n")


def test_a_folder_of_something_else_is_refused_and_left_as_it_is(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(KcxError, match="exists already"):
        Results(tmp_path).claim_as_is("a: 1\n")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_lone_surrogates_in_ids_and_texts_are_data_like_others(tmp_path):
    gold = [
        Record(f"\ud800{n}", "en", "Ada \udc00x left.", (Mention("e0", "Person", 0, 6, "Ada \udc00x"),))
        for n in range(3)
    ]
    write_records(gold, tmp_path / "gold.jsonl")
    write_records(gold[:2], tmp_path / "predicted.jsonl")
    path = str(tmp_path / "gold.jsonl")
    values = {
        "results": str(tmp_path / "results"),
        "samples": 5,
        "benchmarks": [{"name": "b", "path": path, "train": path, "inventory": None}],
        "systems": [
            {"kind": "tagger", "name": "tagger"},
            {
                "kind": "outputs",
                "name": "outputs",
                "path": str(tmp_path / "predicted.jsonl"),
                "format": "records",
            },
        ],
    }
    outcome = evaluate(EvaluateConfig.model_validate(values))
    assert not outcome.not_run
    results = Results(outcome.folder)
    assert results.scored("tagger", "b")["tasks"]["ner"]["units"]["ner"]["tp"] == 3
    assert results.scored("outputs", "b")["tasks"]["ner"]["missing"]["ner"] == ["\ud8002"]


@pytest.mark.parametrize(
    "tasks",
    [[], {"ner": 1}, {"ner": {}}, {"ner": {"units": {}}}, {"ner": {"units": {"ner": {}}, "records": 3}}],
)
def test_damaged_scores_are_named(tmp_path, tasks):
    results = Results(tmp_path / "results")
    assert results.scored("s", "b") == {}
    results.write_json(results.scores("s", "b"), {"tasks": tasks})
    with pytest.raises(KcxError, match=r"scores\.json is damaged: .*Remove it and run again"):
        results.scored("s", "b")
