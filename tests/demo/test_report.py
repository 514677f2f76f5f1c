"""The report: whole and partial results, hostile strings, and what the page may contain at all."""

import json
import math
from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from kcx_jax.corpora import Mention, Record, RelationLink
from kcx_jax.demo.corpus import LANGUAGES, generate, schema
from kcx_jax.demo.report import NAVIGATION, write_report
from kcx_jax.errors import KcxError
from kcx_jax.evaluation import Answered, score_table
from kcx_jax.prompts import answer_instances
from kcx_jax.schema import TASKS, render_answer
from kcx_jax.scoring import score, task_view

from ..page_reader import Page, assert_nothing_is_loaded_and_only_our_script_may_run

SYSTEMS = ("base", "stage 2", "stages 1 + 2")
HOSTILE = '</script><img src=x onerror=alert(1)> "quoted" &amp; ]]> <!-- \u202e\x00 اسم طويل'


def worsened(record: Record, task: str, rng: Random, share: float) -> Record:
    """The view of `record` as a prediction: each item is, with the chance `share`, of another type or lost."""

    def lost() -> bool:
        return rng.random() < share

    view = replace(task_view(record, task), id=record.id, language=record.language)
    if task == "ner":
        other = {"City": "Award"}
        mentions = (replace(m, type=other.get(m.type, "City")) if lost() else m for m in view.entities)
        return replace(view, entities=tuple(mentions))
    if task == "re":
        return replace(view, relations=tuple(link for link in view.relations if not lost()))
    kept = tuple(event for event in view.events if not lost())
    meta = {
        "unresolved": [{"task": task, "type": "Meet", "text": "nowhere"}] * (len(view.events) - len(kept))
    }
    return replace(view, events=kept, meta=meta)


def hostile_record(id_: str, language: str) -> Record:
    """A record whose text would break a page that does not escape it; two crossing mentions in it."""
    mentions = (Mention("e0", "Person", 2, 12, HOSTILE[2:12]), Mention("e1", "City", 8, 20, HOSTILE[8:20]))
    return Record(id_, language, HOSTILE, mentions, (), ())


def arabic_record(language: str) -> Record:
    text = "وُلد حسن في مدينة بغداد عام 1990."
    mentions = [
        Mention(f"e{i}", kind, text.index(name), text.index(name) + len(name), name)
        for i, (kind, name) in enumerate((("Person", "حسن"), ("City", "بغداد"), ("Date", "1990")))
    ]
    return Record("ar", language, text, tuple(mentions), (RelationLink("BirthPlace", "e0", "e1"),), ())


def make_results(count: int = 12, seed: int = 0) -> dict:
    """Results as the demo's steps would leave them, all tasks and languages, with hostile strings in them."""
    rng = Random(seed)
    gold = {la: [item[la] for item in generate(seed, count, "heldout")] for la in LANGUAGES}
    gold["en"].append(hostile_record('<b id="x">', "en"))
    answers: dict = {}
    for system, share in zip(SYSTEMS, (0.97, 0.35, 0.2), strict=True):
        for language, records in gold.items():
            for task in TASKS:
                harder = share + 0.3 * (language == "es") * (share < 0.9)
                predicted = [worsened(record, task, rng, harder) for record in records]
                answers.setdefault(system, {}).setdefault(language, {})[task] = [
                    Answered(r.id, f" {render_answer(answer_instances(r, schema(), task))}", r)
                    for r in predicted
                ]
    shown = [
        {
            "id": record.id,
            "language": language,
            "task": task,
            "text": record.text,
            "gold": record.to_json(),
            "predicted": {
                system: {"record": one.record.to_json(), "answer": one.answer}
                for system in SYSTEMS
                for one in [answers[system][language][task][index]]
            },
        }
        for language, records in gold.items()
        for task in TASKS
        for index, record in enumerate(records)
    ]
    return {
        "settings": {"seed": 0, "quick": False, "rows": 4, "learning_rate": 0.002, "note": HOSTILE},
        "environment": {"python": "3.11.9", "jax": "0.10.2", "devices": "2 CPU devices", "cores": 2},
        "base": {
            "seconds": 0.4,
            "parameters": 4_405_504,
            "vocab_size": 3000,
            "source": "shipped",
            "curve": curve(rng, 1500, 7.0, 0.4),
        },
        "parallel": {
            "seconds": 31.2,
            "records": 480,
            "stages": [
                {"name": "translate (scripted-small)", "missing_per_10k": 2145.8, "faithful": 0.785},
                {"name": "rewrite spans (scripted-small)", "missing_per_10k": 1020.8, "faithful": 0.898},
                {"name": "rewrite sentence (scripted-small)", "missing_per_10k": 145.8, "faithful": 0.985},
                {"name": "translate (scripted-large)", "missing_per_10k": 41.7, "faithful": 0.996},
            ],
            "requests": 803,
            "faults": {"missing_span": 61, "broken_json": 17, "rate_limit": 22, "hang": 5, HOSTILE[:20]: 1},
            "unresolved": 2,
            "examples": [
                {"source": item["en"].to_json(), "target": item["zh"].to_json(), "stage": stage}
                for item, stage in zip(
                    generate(5, 4, "train"),
                    ("translate", "translate", "rewrite_spans", "rewrite_sentence"),
                    strict=True,
                )
            ]
            + [
                {
                    "source": arabic_record("ar").to_json(),
                    "target": arabic_record("ar").to_json(),
                    "stage": "x",
                }
            ],
        },
        "align": {
            "seconds": 61,
            "curve": curve(rng, 120, 1.4, 0.05),
            "samples": 7680,
            "steps": 120,
            "saving": 0.83,
        },
        "extract": {
            "seconds": 288.0,
            "runs": {
                name: {"curve": curve(rng, 260, start, 0.02), "samples": 16640, "steps": 260, "saving": 0.87}
                for name, start in (("stage 2", 2.0), ("stages 1 + 2", 1.1))
            },
        },
        "answers": {
            "seconds": 95.0,
            "systems": list(SYSTEMS),
            "languages": list(LANGUAGES),
            "tasks": list(TASKS),
            "scores": score_table(gold, answers),
            "records": shown,
        },
        "export": {
            "seconds": 6.0,
            "peft": "demo/6-export/peft",
            "llama": "demo/6-export/llama",
            "max_logit_difference": 3.1e-6,
        },
    }


def curve(rng: Random, steps: int, start: float, end: float) -> list[list[float]]:
    return [
        [step, (end + (start - end) * math.exp(-6 * step / steps)) * rng.uniform(0.85, 1.15)]
        for step in range(1, steps + 1)
    ]


@pytest.fixture(scope="module")
def results() -> dict:
    return make_results()


@pytest.fixture(scope="module")
def written(results, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(json.loads(json.dumps(results)), path)  # as it comes from the steps' files
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(written) -> Page:
    return Page(written)


def test_nothing_is_loaded_and_only_our_script_may_run(page):
    assert_nothing_is_loaded_and_only_our_script_may_run(page)


def test_hostile_strings_are_text(page, written):
    assert written.count("onerror=alert(1)") == page.text.count("onerror=alert(1)") > 0
    assert "<b id=" in page.text
    assert not page.all("b", id="x")


def test_anchors_lead_somewhere_and_ids_are_unique(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {a[name][1:] for _, a in page.elements for name in ("href", "xlink:href") if name in a}
    assert targets - {"ata:,"} <= set(ids)
    assert set(NAVIGATION) <= set(ids)


def test_every_figure_of_the_scores_stands_in_the_page(page, results):
    for languages in results["answers"]["scores"].values():
        for tasks in languages.values():
            for cell in tasks.values():
                assert f"{100 * cell['f1']:.1f}" in page.text
                assert f"{cell['tp']} of {cell['predicted']}" in page.text


def test_every_sentence_is_there_and_right_where_its_score_is_perfect(page, results):
    expected = Counter()
    for entry in results["answers"]["records"]:
        gold, task = Record.from_json(entry["gold"]), entry["task"]
        right = []
        for index, system in enumerate(SYSTEMS):
            predicted = Record.from_json(entry["predicted"][system]["record"])
            counts = score([gold], [predicted], [task]).units[task].total
            right += [str(index)] * (counts.fp == counts.fn == 0)
        expected[entry["language"], task, " ".join(right)] += 1
    cards = page.all("article")
    assert Counter((c["data-language"], c["data-task"], c["data-right"]) for c in cards) == expected
    assert len({right for *_, right in expected}) > 3


def test_the_page_says_what_it_is_and_what_it_is_not(page):
    for words in (
        "tiny model on a synthetic corpus",
        "Spanish",
        "never saw",
        "2,146 → 42",
        "3.1e-06",
        "4.4 million",
    ):
        assert words in page.text
    assert not page.all("a", rel="stylesheet")


def test_the_same_results_give_the_same_bytes(results, written, tmp_path):
    write_report(results, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == written


@pytest.mark.parametrize("absent", ["answers", "parallel", "extract"])
def test_what_was_not_measured_says_so(results, absent, tmp_path, monkeypatch):
    monkeypatch.setitem(results["answers"], "records", results["answers"]["records"][:2])
    path = tmp_path / "report.html"
    write_report({name: value for name, value in results.items() if name != absent}, path)
    assert "not measured" in Page(path.read_text(encoding="utf-8")).text


def test_nothing_at_all_is_still_a_page(tmp_path):
    write_report({}, tmp_path / "empty.html")
    write_report({"answers": {}, "export": {"max_logit_difference": None}}, tmp_path / "partial.html")
    for name in ("empty.html", "partial.html"):
        page = Page((tmp_path / name).read_text(encoding="utf-8"))
        assert page.text.count("not measured") >= 8
        assert set(NAVIGATION) <= {attributes.get("id") for attributes in page.all("section")}


def test_a_page_is_not_replaced_unasked(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("mine")
    with pytest.raises(KcxError, match="exists already"):
        write_report({}, path)
    assert path.read_text() == "mine"
    write_report({}, path, overwrite=True)
    assert "kcx demo" in path.read_text(encoding="utf-8")


def test_a_damaged_record_is_named(results, tmp_path):
    broken = json.loads(json.dumps(results))
    entry = broken["answers"]["records"][0]
    entry["gold"]["entities"][0]["end"] += 1
    with pytest.raises(KcxError, match=rf"the answer to '{entry['id']}' \(ner\): gold"):
        write_report(broken, tmp_path / "report.html")
    assert not list(tmp_path.iterdir())
