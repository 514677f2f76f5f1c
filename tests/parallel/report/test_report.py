"""The report: its figures counted again from the run's files, its samples, and what a page may hold."""

import asyncio
import json
import tracemalloc
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.corpora import Mention, ParallelRecord, Record
from kcx_jax.errors import BudgetExceeded, KcxError
from kcx_jax.llm import ChatClient, Ledger, Reply, RetryPolicy, Usage, load_prices
from kcx_jax.parallel import Outcome, Problem, Run, build
from kcx_jax.parallel.report.counts import SHOWN, STRATA, length_bin, report
from kcx_jax.parallel.report.drawing import Drawing
from kcx_jax.parallel.report.page import write_report_page
from kcx_jax.parallel.report.shares import Share, Z
from kcx_jax.parallel.report.text import as_markdown
from kcx_jax.parallel.runs.worklist import Worklist
from kcx_jax.parallel.translation.checks import Draft
from kcx_jax.parallel.translation.pipeline import translate
from kcx_jax.parallel.translation.prompts import STAGES
from kcx_jax.testing.llm_server import ScriptedServer

QUICK = RetryPolicy(first_wait=0.01, longest_wait=0.02, breaker=99)
FAULTS = {"missing_span": 0.25, "paraphrased_span": 0.25, "wrong_ids": 0.1, "untranslated": 0.15}
HOSTILE = (
    "</script><img src=x onerror=alert(1)> \"q\" 'p' &amp; ]]> <!-- |![a](http://x/y)` \u202e\x00\ud800 اسم"
)
CONFIG = {"source": "en", "targets": ["zh"], "models": [{"model": "small"}, {"model": "big"}], "prompts": "p"}


def _outcome(n: int, stage: str = "translate", round: int = 0, rungs=None, **changes) -> Outcome:
    source = Record(f"r{n}", "en", "Ada went.", (Mention("e0", "Person", 0, 3, "Ada"),))
    target = Record(f"r{n}", "zh", "艾达走了。", (Mention("e0", "Person", 0, 2, "艾达"),))
    provenance = {
        "model": "small",
        "round": round,
        "stage": stage,
        "calls": 1,
        "rungs": {"verbatim": 1} if rungs is None else rungs,
    }
    pair = ParallelRecord(source.id, source, target, provenance)
    return replace(Outcome(source, "zh", pair, round, stage, 1, ()), **changes)


def _for_people(n: int, **changes) -> Outcome:
    problem = Problem("big", "rewrite_sentence", "missing_span", f"it is not there, {n}")
    draft = Draft("走了。", {"s0": "艾达"})
    return _outcome(n, "rewrite_sentence", 1, pair=None, problems=(problem,), draft=draft, **changes)


def _run_of(folder, outcomes, pending=()) -> Run:
    """A run that ended so."""
    with Ledger(folder / "ledger.db") as ledger:
        samples = Worklist(ledger)
        samples.fill([*(outcome.record for outcome in outcomes), *pending], ["zh"], CONFIG)
        ledger.start_run(CONFIG)
        for outcome in outcomes:
            samples.finish(outcome)
    return Run.open(folder)


@pytest.fixture(scope="module")
def built(pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    prices = load_prices()
    with ScriptedServer(faults=FAULTS, seed=3, pairs=pairs) as server:
        small, big = (
            ChatClient(name, server.base_url, retry=QUICK, price=prices[name])
            for name in ("gpt-4o-mini", "gpt-4o")
        )
        run = build([pair.source for pair in pairs], "en", "zh", small, folder, big)
        return run, report(run), server.bill


def test_the_figures_are_those_of_the_files(built, pairs):
    run, made, _ = built
    lines = [json.loads(line) for line in (run.folder / "parallel.jsonl").read_text().splitlines()]
    people = (run.folder / "unresolved.jsonl").read_text().splitlines()
    assert (made["records"], made["resolved"], made["people"], made["pending"]) == (
        40,
        len(lines),
        len(people),
        0,
    )
    assert 0 < len(people) < 20
    ended = Counter((line["provenance"]["round"], line["provenance"]["stage"]) for line in lines)
    left = 40
    places = [(i, stage) for i in (0, 1) for stage in STAGES]
    for row, place in zip(made["stages"], places, strict=True):
        left -= ended[place]
        assert (row["missing"]["count"], row["missing_per_10k"]) == (left, 250 * left)
    verbatim = sum(set(line["provenance"]["rungs"]) == {"verbatim"} for line in lines)
    for name in ("all", "with_spans"):
        tally = made["faithfulness"][name]
        assert (tally["records"], tally["verbatim"]["count"], tally["resolved"]["count"]) == (
            40,
            verbatim,
            len(lines),
        )
    rungs: Counter[str] = Counter()
    for line in lines:
        rungs.update(line["provenance"]["rungs"])
    assert {name: share["count"] for name, share in made["rungs"].items()} == dict(rungs)
    assert {group["name"]: group["records"] for group in made["by_type"]} == {
        "Person": 40,
        "City": 40,
        "BeBorn": 40,
    }
    assert sum(group["records"] for group in made["by_length"]) == 40
    assert [group["name"] for group in made["by_languages"]] == ["en → zh"]
    problems = Counter((p.model, p.stage, p.kind) for outcome in run.outcomes() for p in outcome.problems)
    assert {(f["model"], f["stage"], f["kind"]): f["count"] for f in made["failures"]} == problems


def test_the_cost_is_the_servers_bill_at_the_prices(built):
    _, made, bill = built
    rows = made["cost"]["rows"]
    assert sum(row["calls"] for row in rows) == bill.requests
    assert sum(row["input_tokens"] for row in rows) == bill.input_tokens
    assert sum(row["nano_usd"] for row in rows) == made["cost"]["known"] > 0
    assert made["cost"]["unknown"] == 0
    rates = {"gpt-4o-mini": (150, 600), "gpt-4o": (2500, 10_000)}  # dollars a billion tokens
    for row in rows:
        sent, written = rates[row["model"]]
        assert row["nano_usd"] == sent * row["input_tokens"] + written * row["output_tokens"]


def test_a_cost_that_is_not_known_is_never_nothing(pairs, tmp_path):
    with ScriptedServer(pairs=pairs) as server:
        client = ChatClient("no-price", server.base_url, retry=QUICK)
        made = report(build([pair.source for pair in pairs[:5]], "en", "zh", client, tmp_path))
    (row,) = made["cost"]["rows"]
    assert (row["nano_usd"], row["unknown_cost"], made["cost"]["unknown"]) == (None, 5, 5)
    write_report_page(made, tmp_path / "page.html")
    assert "unknown" in (tmp_path / "page.html").read_text()
    assert "| unknown | 5 |" in as_markdown(made)


def test_unresolved_and_pending_records_are_unfaithful_and_those_without_spans_stand_apart(tmp_path):
    bare = _outcome(7, rungs={}, record=Record("r7", "en", "It rained."))
    outcomes = [_outcome(0), _outcome(1, rungs={"nfc": 1}), _for_people(2), bare]
    made = report(_run_of(tmp_path, outcomes, pending=[replace(_outcome(9).record, id="r9")]))
    everything, spans = made["faithfulness"]["all"], made["faithfulness"]["with_spans"]
    assert (everything["records"], spans["records"]) == (5, 4)
    assert [everything[key]["count"] for key in ("verbatim", "resolved")] == [2, 3]
    assert [spans[key]["count"] for key in ("verbatim", "resolved")] == [1, 2]
    assert (made["pending"], made["people"]) == (1, 1)
    assert made["stages"][-1]["missing"]["count"] == 2
    paper = {row["what"].split(",")[0]: row["ours"] for row in made["paper"]}
    assert paper == {"left for people": 4000.0, "faithfulness": 25.0}


def test_flags_are_counted_over_the_pairs_and_shown_with_examples(mark, tmp_path):
    """Through the pipeline, each flag on purpose: the figures are those of the pairs' own provenance."""
    sentences = {
        "r0": ("[Ada|e0:Person] had 7 cats.", "艾达有许多猫。", ["艾达"]),  # lost_numbers
        "r1": ("[Ada|e0:Person] met [Bo|e1:Person].", "Ada见了博。", ["Ada", "博"]),  # other_script
        "r2": ("[Bo|e0:Person] met [Ada|e1:Person].", "Ada见过Bo吗。", ["Bo", "Ada"]),  # other_script, both
        "r3": ("[Ada|e0:Person] ran.", "艾达跑了。", ["艾达"]),  # none
        "r4": ("[Ada|e0:Person] of [Ada Bo|e1:Person].", "这是艾达博。", ["艾达", "艾达博"]),  # inside
    }

    class Says:
        model, thinks = "says", False

        async def complete(self, messages, json_schema=None, *, max_tokens, stage, record):
            _, sentence, texts = sentences[record]
            spans = [{"id": f"s{i}", "text": text} for i, text in enumerate(texts)]
            if stage == "rewrite_spans":
                asked = {span["id"] for span in json.loads(messages[-1]["content"])["spans"]}
                return Reply(json.dumps({"spans": [s for s in spans if s["id"] in asked]}), "stop", Usage())
            if stage == "rewrite_sentence":
                return Reply(json.dumps({"sentence": sentence}), "stop", Usage())
            return Reply(json.dumps({"sentence": sentence, "spans": spans}), "stop", Usage())

    outcomes = [
        asyncio.run(translate(mark(text, id), "zh", [Says()])) for id, (text, *_) in sentences.items()
    ]
    assert all(outcome.pair for outcome in outcomes), [o.problems for o in outcomes]
    run = _run_of(tmp_path, [*outcomes, _for_people(9)])
    expected = Counter(flag for pair in run.pairs() for flag in pair.provenance.get("flags", ()))
    assert expected == {"other_script": 2, "lost_numbers": 1, "inside": 1}
    assert run.statistics().to_json()["flags"] == dict(expected)
    made = report(run)
    assert {row["kind"]: (row["pairs"]["count"], row["pairs"]["of"]) for row in made["flags"]} == {
        kind: (count, 5) for kind, count in expected.items()
    }
    details = {(row["kind"], each["id"]): each["detail"] for row in made["flags"] for each in row["examples"]}
    assert details == {
        ("lost_numbers", "r0"): "7",
        ("other_script", "r1"): "Ada → Ada",
        ("other_script", "r2"): "Bo → Bo; Ada → Ada",
        ("inside", "r4"): "Ada → 艾达",
    }
    write_report_page(made, tmp_path / "page.html")
    for text in (Page((tmp_path / "page.html").read_text()).text, as_markdown(made)):
        assert "Bo → Bo; Ada → Ada" in text
    assert "| other\\_script | 2 | 40.00 |" in as_markdown(made)


def test_a_run_that_was_stopped_has_its_report(pairs, tmp_path):
    answered = []

    def plan(ask):
        answered.append(ask)
        return "quota" if len(answered) > 10 else None

    with ScriptedServer(faults=plan, pairs=pairs, passes=99) as server:
        client = ChatClient("small", server.base_url, retry=QUICK, concurrency=1)
        with pytest.raises(BudgetExceeded):
            build([pair.source for pair in pairs], "en", "zh", client, tmp_path)
    made = report(Run.open(tmp_path))
    assert (made["records"], made["resolved"], made["pending"]) == (40, 10, 30)
    assert made["faithfulness"]["all"]["verbatim"]["share"] == 0.25


def test_each_sample_is_of_its_stratum_and_the_seed_draws_them(tmp_path):
    def of(number: int, name: str) -> Outcome:
        return {
            "bare": _outcome(number, rungs={}),
            "verbatim": _outcome(number),
            "looser": _outcome(number, rungs={"verbatim": 1, "nfc": 1}),
            "spans": _outcome(number, "rewrite_spans", rungs={"nfc": 1}),
            "sentence": _outcome(number, "rewrite_sentence"),
            "fallback": _outcome(number, "rewrite_spans", round=1),
            "people": _for_people(number),
        }[name]

    names = {f"r{n}": list(STRATA)[n % 7] for n in range(7 * 20)}
    run = _run_of(tmp_path, [of(n, names[f"r{n}"]) for n in range(7 * 20)])
    drawn = {}
    for seed in (0, 0, 1):
        samples = report(run, seed)["samples"]
        ids = {name: [sample["id"] for sample in listed] for name, listed in samples.items()}
        assert all(len(ids[name]) == SHOWN and {names[id] for id in ids[name]} == {name} for name in STRATA)
        assert drawn.setdefault(seed, ids) == ids
    assert drawn[0] != drawn[1]
    (person, *_) = report(run)["samples"]["people"]
    assert person["draft"]["spans"] == [{"source": "Ada", "text": "艾达", "stands": False}]


class Page(HTMLParser):
    """What a browser makes of a page: elements, and text."""

    def __init__(self, text: str):
        super().__init__()
        self.elements, self.open, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in {"meta", "link"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A report whose every string was written by an enemy."""
    folder = tmp_path_factory.mktemp("hostile") / "run<b>"
    folder.mkdir()
    text = HOSTILE.replace("\ud800", "")  # a text of a corpus is valid Unicode, a model's reply need not be
    record = Record(text, text, text, (Mention("e0", "Person", 2, 12, text[2:12]),))
    target = Record(text, "ar", f"اسم {text}", (Mention("e0", "Person", 0, 3, "اسم"),))
    problem = Problem(text, text, text, HOSTILE)
    provenance = {"model": text, "round": 0, "stage": text, "calls": 1, "rungs": {text: 1}}
    provenance["flags"] = {"lost_numbers": [text], "inside": ["s0"], text: ["s0"]}
    pair = ParallelRecord(text, record, target, provenance)
    taken = Outcome(record, "ar", pair, 0, "translate", 1, (problem,))
    draft = Draft(HOSTILE, {"s0": HOSTILE})
    left = Outcome(replace(record, id=f"{text}2"), "ar", None, 0, "translate", 1, (problem,), draft)
    config = {"source": text, "targets": [text], "models": [{"model": text, "note": {"a": [text]}}]}
    with Ledger(folder / "ledger.db") as ledger:
        samples = Worklist(ledger)
        samples.fill([taken.record, left.record], ["ar"], config)
        ledger.start_run(config)
        samples.finish(taken)
        samples.finish(left)
        ledger.intend(b"k", stage=text, record=text, model=text, request="")
    return report(Run.open(folder))


def test_hostile_strings_are_text_in_the_page_and_nothing_is_loaded(hostile, tmp_path):
    write_report_page(hostile, tmp_path / "page.html")
    written = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = Page(written)
    shown = page.text + "".join(value for _, attributes in page.elements for value in attributes.values())
    assert written.count("onerror=alert(1)") == shown.count("onerror=alert(1)") > 30
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.elements:
        assert tag not in {"script", "img", "iframe", "object", "embed", "base", "form", "b"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in {"src", "href", "action", "data"}:
                assert value == "data:," or value[1:] in ids
    (policy,) = [a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'none'" in policy
    assert "url(" not in written
    sentences = [a for tag, a in page.elements if tag == "p" and a.get("class") == "sentence"]
    assert len(sentences) == 4


def test_sentences_and_drafts_run_as_their_letters_do(tmp_path):
    text = "اسم Ada ذهبت إلى المدينة"
    record = Record("r", "ar", text, (Mention("e0", "Person", 0, 3, "اسم"),))
    problem = Problem("big", "translate", "missing_span", "not there")
    draft = Draft("Ada went to اسم.", {"s0": "Ada"})
    run = _run_of(tmp_path, [Outcome(record, "zh", None, 0, "translate", 1, (problem,), draft)])
    write_report_page(report(run), tmp_path / "page.html")
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    sentences = [a for tag, a in page.elements if tag == "p" and a.get("class") == "sentence"]
    assert [(a["lang"], a["dir"]) for a in sentences] == [("ar", "rtl"), ("zh", "ltr")]


def test_hostile_strings_stay_in_their_cell_of_the_markdown(hostile):
    text = as_markdown(hostile)
    text.encode("utf-8")
    for block in text.split("\n\n"):
        widths = {line.replace("\\|", "").count("|") for line in block.splitlines() if line.startswith("|")}
        assert len(widths) <= 1
    assert "<img" not in text.replace("\\<", "")
    assert "](" not in text.replace("\\]", "")


def test_a_page_is_not_replaced_unasked(hostile, tmp_path):
    (tmp_path / "page.html").write_text("mine")
    with pytest.raises(KcxError, match="exists already"):
        write_report_page(hostile, tmp_path / "page.html")
    write_report_page(hostile, tmp_path / "page.html", overwrite=True)


def test_a_run_of_nothing_says_that_nothing_was_measured(tmp_path):
    made = report(_run_of(tmp_path, []))
    assert made["faithfulness"]["all"]["verbatim"] == {
        "count": 0,
        "of": 0,
        "share": None,
        "low": None,
        "high": None,
    }
    write_report_page(made, tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text().count("not measured") > 5
    assert "not measured" in as_markdown(made)


def test_ten_times_the_records_need_no_more_memory(tmp_path):
    peaks = []
    few, many = 1_500, 15_000
    for count in (few, many):
        folder = tmp_path / str(count)
        folder.mkdir()
        with Ledger(folder / "ledger.db") as ledger:
            samples = Worklist(ledger)
            samples.fill((_outcome(n).record for n in range(count)), ["zh"], CONFIG)
            ledger.start_run(CONFIG)
        run = Run.open(folder)
        tracemalloc.start()
        assert report(run)["pending"] == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 20 * (
        many - few
    )  # bytes, in which not even the texts of the records would fit


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_ends_where_the_normal_approximation_would_just_reach_the_share(counts):
    share = Share(*counts)
    low, high = share.interval
    assert 0 <= low <= share.value <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            assert abs(share.value - end) == pytest.approx(Z * (end * (1 - end) / share.of) ** 0.5, abs=1e-9)


@given(st.permutations(range(60)), st.integers(0, 5))
def test_a_drawing_does_not_depend_on_the_order(names, seed):
    def drawn(order):
        drawing = Drawing(7, seed)
        for name in order:
            drawing.offer(f"name {name}", name)
        return list(drawing)

    assert drawn(names) == drawn(range(60))
    assert len(set(drawn(names))) == 7


def test_a_drawing_favours_nobody():
    wins: Counter[int] = Counter()
    for seed in range(2000):
        drawing = Drawing(5, seed)
        for name in range(20):
            drawing.offer(str(name), name)
        wins.update(drawing)
    assert all(400 < wins[name] < 600 for name in range(20))  # 500 expected, with a deviation of 19


@pytest.mark.parametrize(
    ("length", "name"), [(0, "0-24"), (24, "0-24"), (25, "25-49"), (399, "200-399"), (400, "400+")]
)
def test_bins_of_length_meet_without_a_gap(length, name):
    assert length_bin("x" * length) == name
