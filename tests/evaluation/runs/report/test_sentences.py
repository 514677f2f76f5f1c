"""The sentences beside the page: each once, and their errors add up to the scores."""

import json
from collections import Counter

import pytest

from kcx_jax.corpora import read_records
from kcx_jax.errors import KcxError
from kcx_jax.evaluation.runs.report.sentences import FILE, write_sentences
from kcx_jax.scoring.tally import is_annotated

from .conftest import SYSTEMS, make_folder

PARTLY = ("wrong_type", "wrong_boundary", "wrong_both")
SURPLUS = ("spurious", "duplicate", "hallucinated", "unknown_class", "unparsable")


@pytest.fixture(scope="module")
def lines(folder):
    return [json.loads(line) for line in (folder / FILE).read_text(encoding="utf-8").splitlines()]


def test_every_sentence_of_gold_stands_there_once_for_each_task(run, lines):
    wanted = Counter(
        (benchmark.name, task, record.id)
        for benchmark in run.config.benchmarks
        for record in read_records(run.results.gold(benchmark.name), "jsonl")
        for task in benchmark.tasks
        if is_annotated(record, task)
    )
    assert Counter((line["benchmark"], line["task"], line["id"]) for line in lines) == wanted
    assert set(wanted.values()) == {1}


def test_the_kinds_add_up_to_the_scores(run, lines):
    found = Counter()
    for line in lines:
        for system, given in line["answers"].items():
            found.update(
                (system, line["benchmark"], line["task"], error["kind"]) for error in given["errors"]
            )
    seen = Counter()
    for system in SYSTEMS:
        for benchmark in run.config.benchmarks:
            for task, scores in run.scores(system, benchmark.name).items():
                kinds = {
                    kind: found[system, benchmark.name, task, kind]
                    for kind in ("right", "missed", *PARTLY, *SURPLUS)
                }
                total = scores["units"][task]
                partly = sum(kinds[kind] for kind in PARTLY)
                assert kinds["right"] == total["tp"]
                assert partly + kinds["missed"] == total["fn"]
                assert partly + sum(kinds[kind] for kind in SURPLUS) == total["fp"]
                seen.update(kind for kind, count in kinds.items() if count)
    assert len(seen) == 10


def test_the_index_finds_each_line_and_counts_it(run, lines):
    sentences = write_sentences(run)
    for entry, line in zip(sentences.entries, lines, strict=True):
        case = sentences.case(entry)
        assert (case.source, case.task, case.gold.id) == (line["benchmark"], line["task"], line["id"])
        assert entry.kinds == {e["kind"] for given in line["answers"].values() for e in given["errors"]}
    totals = Counter()
    for (_, _), kinds in sentences.counts.items():
        totals += kinds
    assert totals == Counter(
        e["kind"] for line in lines for g in line["answers"].values() for e in g["errors"]
    )


def test_a_record_without_an_answer_is_missed_as_a_whole(lines):
    last = [line for line in lines if line["benchmark"] == "demo_en" and line["task"] == "ner"][-1]
    given = last["answers"]["damaged"]
    assert "entities" not in given["record"]
    assert [error["kind"] for error in given["errors"]] == ["missed"] * len(last["gold"]["entities"])


def test_predictions_of_other_records_are_refused(tmp_path):
    folder = make_folder(tmp_path, count=3)
    path = folder / "systems" / "damaged" / "demo_en" / "ner.records.jsonl"
    path.write_text("".join(reversed(path.read_text(encoding="utf-8").splitlines(True))), encoding="utf-8")
    from kcx_jax.evaluation.runs.report.loaded import load_run

    with pytest.raises(KcxError, match=r"ner\.records\.jsonl: record .* not in its order"):
        write_sentences(load_run(folder))
