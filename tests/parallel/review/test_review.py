"""Cases go to people and come back: whole, checked, once, and with who and when."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.corpora import Mention, Record, read_parallel
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.llm import ChatClient, Ledger
from kcx_jax.parallel import Run, build
from kcx_jax.parallel.dataset.merging import merge
from kcx_jax.parallel.review.candidates import with_candidates
from kcx_jax.parallel.review.cases import Case, cases
from kcx_jax.parallel.review.decisions import (
    Decision,
    Taken,
    Unusable,
    decided_pair,
    read_review,
    take_decisions,
)
from kcx_jax.parallel.review.finished import finished_pairs, left_over, standing_decisions
from kcx_jax.parallel.review.label_studio import INTERFACE, read_tasks, write_tasks
from kcx_jax.parallel.review.sheets import read_lines, read_table, write_lines, write_table
from kcx_jax.parallel.translation.checks import Draft, Refusal
from kcx_jax.parallel.translation.spans import source_spans
from kcx_jax.testing.llm_server import ScriptedServer

NOW = "2026-01-02T03:04:05+00:00"


def _truth(pair) -> Decision:
    """What a person who knows the pair decides, every span marked."""
    places, spans = {}, source_spans(pair.source)
    targets = {mention.id: mention for mention in pair.target.entities}
    for mention in pair.source.entities:
        other = targets[mention.id]
        places[mention.start, mention.end] = (other.start, other.end)
    for event, other in zip(pair.source.events, pair.target.events, strict=True):
        places[event.trigger.start, event.trigger.end] = (other.trigger.start, other.trigger.end)
        for argument, there in zip(event.arguments, other.arguments, strict=True):
            if argument.entity is None:
                places[argument.start, argument.end] = (there.start, there.end)
    at = {span.id: places[span.start, span.end] for span in spans}
    texts = {id: pair.target.text[start:end] for id, (start, end) in at.items()}
    return Decision(pair.id, pair.target.text, texts, at, "mo@x", "2026-01-01T00:00:00Z", "test")


@pytest.fixture(scope="module")
def hard(pairs):
    """Pairs with a character outside the BMP in front of every span."""
    return [_after_emoji(pair) for pair in pairs[:6]]


def _after_emoji(pair):
    def moved(record: Record) -> Record:
        def shift(span):
            return replace(span, start=span.start + 1, end=span.end + 1)

        events = tuple(
            replace(
                event,
                trigger=shift(event.trigger),
                arguments=tuple(a if a.entity is not None else shift(a) for a in event.arguments),
            )
            for event in record.events
        )
        return replace(
            record, text=f"🎉{record.text}", entities=tuple(map(shift, record.entities)), events=events
        )

    return replace(pair, source=moved(pair.source), target=moved(pair.target))


@pytest.fixture
def run(hard, tmp_path):
    """A run in which r0 and r1 have a draft that lacks a span, r2 and r3 have none at all, and r4 and r5 are pairs."""

    def plan(ask):
        number = int(ask.sentence.split(" ")[0][len("🎉Ada") :])
        return {0: "missing_span", 1: "missing_span", 2: "untranslated", 3: "untranslated"}.get(number)

    with ScriptedServer(pairs=hard, faults=plan) as server:
        build([pair.source for pair in hard], "en", "zh", ChatClient("m", server.base_url), tmp_path / "run")
    return tmp_path / "run"


def _cases(run: Path) -> list[Case]:
    with Run.open(run) as opened:
        return list(cases(opened, "zh"))


def _take(run: Path, decisions, now: str = NOW):
    sources = {case.record.id: case.record for case in _cases(run)}
    with Ledger(run / "ledger.db") as ledger:
        return take_decisions(ledger, sources, "zh", decisions, now)


def _review(run: Path):
    """By id, the pairs that people made."""
    with Run.open(run) as opened:
        return {id: pair for (id, _), pair in read_review(opened.ledger).items()}


def _kept(run: Path) -> list[tuple]:
    with Run.open(run) as opened:
        return opened.ledger.store.read("SELECT * FROM review ORDER BY rowid").fetchall()


def test_the_cases_of_a_run(run, hard):
    found = _cases(run)
    assert [case.record for case in found] == [pair.source for pair in hard[:4]]
    assert [len(case.candidates) for case in found] == [1, 1, 0, 0]
    assert all(case.problems for case in found)
    with Run.open(run) as opened:
        assert opened.one_target(None) == opened.one_target("zh") == "zh"
        with pytest.raises(UsageError, match="has the targets zh"):
            opened.one_target("de")


def test_each_model_s_draft_is_a_candidate(hard, tmp_path):
    """Each of two models leaves out another span of r0, the second has no draft of r1, and r2 is resolved at once."""

    def plan(ask):
        number = int(ask.sentence.split(" ")[0][len("🎉Ada") :])
        if number == 1 and ask.model == "huge":
            return "untranslated"
        return "missing_span" if number < 2 else None

    with ScriptedServer(pairs=hard, faults=plan) as server:
        small, big = (ChatClient(name, server.base_url) for name in ("small", "huge"))
        build([pair.source for pair in hard[:3]], "en", "zh", small, tmp_path / "run", big)
        answers = server.bill.answers
        with Run.open(tmp_path / "run") as opened:
            first, second = with_candidates(opened, "zh", cases(opened, "zh"))
        assert server.bill.answers == answers
    assert first.candidates[:1] == _cases(tmp_path / "run")[0].candidates
    assert len({draft.sentence for draft in first.candidates}) == len(first.candidates) == 2
    assert len(second.candidates) == 1


def _fill_lines(path: Path, decisions: dict[str, Decision]) -> None:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        if decision := decisions.get(row["id"]):
            row["decision"] = {"sentence": decision.sentence, "spans": dict(decision.texts)}
            row |= {"who": decision.who, "when": decision.when}
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def _fill_table(path: Path, decisions: dict[str, Decision]) -> None:
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")))
    for row in rows:
        if decision := decisions.get(row["id"]):
            row["decision"] = decision.sentence if row["item"] == "sentence" else decision.texts[row["item"]]
            row |= {"who": decision.who, "when": decision.when}
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def _fill_tasks(path: Path, decisions: dict[str, Decision]) -> None:
    """As Label Studio would: offsets in code points; the sentence written where the draft is another one."""
    tasks = json.loads(path.read_text())
    for task in tasks:
        decision = decisions.get(task["data"]["id"])
        if decision is None:
            task["annotations"] = [{"was_cancelled": True, "result": []}]
            continue
        result = []
        if task["data"]["text"] == decision.sentence:
            labels = {label["value"].split()[0]: label["value"] for label in task["data"]["labels"]}
            for id, (start, end) in decision.places.items():
                value = {
                    "start": start,
                    "end": end,
                    "text": decision.texts[id],
                    "labels": [labels[id]],
                }
                result.append({"from_name": "label", "to_name": "text", "type": "labels", "value": value})
        else:
            words = "\n".join(f"{id} = {text}" for id, text in decision.texts.items())
            for name, text in (("sentence", decision.sentence), ("words", words)):
                result.append(
                    {"from_name": name, "to_name": "text", "type": "textarea", "value": {"text": [text]}}
                )
        told = {"completed_by": {"id": 3, "email": decision.who}, "updated_at": decision.when}
        task["annotations"] = [{"result": result, **told}]
    path.write_text(json.dumps(tasks))


def _write(form: str, cases: list[Case], path: Path) -> int:
    if form == "csv":
        return write_table(cases, path, False)
    return {"jsonl": write_lines, "label-studio": write_tasks}[form](cases, "zh", path, False)


FILLED = {
    "jsonl": (_fill_lines, read_lines),
    "csv": (_fill_table, read_table),
    "label-studio": (_fill_tasks, read_tasks),
}


@pytest.mark.parametrize("form", FILLED)
def test_decisions_become_pairs_whatever_the_tool(form, run, hard, tmp_path):
    fill, read = FILLED[form]
    assert _write(form, _cases(run), tmp_path / "out.json") == 4
    fill(tmp_path / "out.json", {pair.id: _truth(pair) for pair in hard[:3]})
    taken = _take(run, read(tmp_path / "out.json"))
    assert (taken.new, taken.known, taken.refused) == (3, 0, [])
    made = _review(run)
    for pair in hard[:3]:
        assert made[pair.id].target == pair.target
        told = made[pair.id].provenance
        assert (told["stage"], told["who"], told["when"], told["tool"]) == (
            "people",
            "mo@x",
            _truth(pair).when,
            form,
        )
        assert told["imported"] == NOW
    before = _kept(run)
    taken = _take(run, read(tmp_path / "out.json"), "later")
    assert (taken.new, taken.known, taken.refused) == (0, 3, [])
    assert _kept(run) == before
    with Run.open(run) as opened:
        everything = {pair.id: pair.target for pair in finished_pairs(opened)}
        assert left_over(opened, "zh") == (1, 0)
        assert opened.digest() == opened.digest()
    assert everything == {p.id: p.target for p in hard if p.id != "r3"}


def test_a_later_decision_counts_and_the_earlier_stays(run, hard):
    first, second = _truth(hard[0]), replace(_truth(hard[0]), who="jo")
    other = replace(second, sentence=second.sentence + "！")
    for decision in (first, second, other):
        assert _take(run, [decision]).new == 1
    assert [row[2] for row in _kept(run)] == ["mo@x", "jo", "jo"]
    assert _review(run)["r0"].target.text == other.sentence


def _finished(run: Path) -> dict[str, Record]:
    with Run.open(run) as opened:
        return {
            pair.id: pair.source for pair in finished_pairs(opened) if pair.provenance["stage"] == "people"
        }


def test_a_decision_counts_as_long_as_the_input_has_its_record_as_it_was(run, hard):
    """One record is corrected, one taken out, and of one nothing but `meta` is another."""
    _take(run, [_truth(pair) for pair in hard[:3]])
    assert _finished(run) == {pair.id: pair.source for pair in hard[:3]}
    first, _, third, *rest = [pair.source for pair in hard]
    type_ = replace(first.entities[0], type="Poet")
    corrected = replace(first, entities=(type_, *first.entities[1:]))
    moved = replace(third, meta={"source": "elsewhere"})
    with ScriptedServer(pairs=hard, faults={"untranslated": 1.0}) as server:
        build([corrected, moved, *rest], "en", "zh", ChatClient("m", server.base_url), run)
    assert _finished(run) == {"r2": moved}
    with Run.open(run) as opened:
        assert list(standing_decisions(opened)) == [("r2", "zh")]
        assert left_over(opened, "zh")[0] == opened.counts()["people"] - 1
    assert _take(run, [_truth(hard[0]), _truth(hard[2])]) == Taken(1, 1, [])
    assert _finished(run) == {"r0": corrected, "r2": moved}


def test_the_same_words_for_a_corrected_text_are_a_decision_of_their_own(run, hard):
    _take(run, [_truth(hard[0])])
    corrected = replace(hard[0].source, text=hard[0].source.text.replace("left.", "went."))
    with ScriptedServer(pairs=hard, faults={"untranslated": 1.0}) as server:
        build([corrected], "en", "zh", ChatClient("m", server.base_url), run)
    assert _finished(run) == {}
    assert _take(run, [_truth(hard[0])]) == Taken(1, 0, [])
    assert _finished(run) == {"r0": corrected}


def test_parts_are_merged_with_what_people_decided(run, hard, tmp_path):
    assert _take(run, [_truth(hard[0])]).new == 1
    with Run.open(run) as opened:
        whole = {pair.id: pair for pair in finished_pairs(opened)}
        people, pending = left_over(opened, "zh")
    merged = merge([run], tmp_path / "out.jsonl")
    assert (merged.pairs, merged.people, merged.pending) == (len(whole), people, pending) == (3, 3, 0)
    assert {pair.id: pair for pair in read_parallel(tmp_path / "out.jsonl")} == whole
    assert whole["r0"].provenance["stage"] == "people"


def test_what_breaks_a_rule_is_refused_and_the_rest_is_taken(run, hard):
    good, bad = _truth(hard[0]), _truth(hard[1])
    wrong = [
        replace(bad, sentence=hard[1].source.text),
        replace(bad, texts={}, places={}),
        replace(bad, texts={**bad.texts, "s0": ""}, places={}),
        replace(bad, texts={**bad.texts, "s9": "x"}, places={}),
        replace(bad, texts={**bad.texts, "s0": "没有"}, places={}),
        replace(bad, places={**bad.places, "s0": (0, 10**30)}),
        replace(bad, places={**bad.places, "s0": (-4, -1)}),
        replace(
            bad, texts={**bad.texts, "s0": "。"}, places={**bad.places, "s0": (len(bad.sentence) - 1, 99)}
        ),
        replace(bad, sentence=f"{bad.sentence}\x07"),
        Unusable("r1", "spoilt"),
        replace(good, id="r9"),
    ]
    taken = _take(run, [*wrong, good])
    assert taken.new == 1
    assert len(taken.refused) == len(wrong)
    assert all(unusable.reason for unusable in taken.refused)
    assert list(_review(run)) == ["r0"]


@given(st.data())
def test_what_is_taken_holds_every_invariant(pairs, data):
    pair = pairs[0]
    truth = _truth(pair)
    length = len(truth.sentence)
    texts, places = dict(truth.texts), dict(truth.places)
    for id in texts:
        if data.draw(st.booleans()):
            start = data.draw(st.integers(-1, length))
            places[id] = (start, data.draw(st.integers(start, length + 1)))
            texts[id] = truth.sentence[slice(*places[id])] if start >= 0 else texts[id]
    if data.draw(st.booleans()):
        places = {}
    try:
        made = decided_pair(pair.source, "zh", replace(truth, texts=texts, places=places))
    except Refusal:
        return
    made.target.check()
    assert {m.id: m.type for m in made.target.entities} == {m.id: m.type for m in pair.source.entities}
    assert made.target.relations == pair.source.relations
    spots = [(m.start, m.end) for m in made.target.entities]
    assert all(a[1] <= b[0] or b[1] <= a[0] for i, a in enumerate(spots) for b in spots[:i])


def test_a_mark_decides_between_equal_words():
    source = Record("r", "en", "Ada and Ada.", (Mention("e0", "Person", 8, 11, "Ada"),))
    decision = Decision("r", "艾达和艾达。", {"s0": "艾达"}, {"s0": (0, 2)})
    assert decided_pair(source, "zh", decision).target.entities[0].start == 0
    assert decided_pair(source, "zh", replace(decision, places={})).target.entities[0].start == 3


def test_nesting_is_kept(mark):
    source = mark("in [[New York|e0:City] State|e1:Region]")
    target = "在纽约州纽约"
    inside = Decision("r0", target, {"s0": "纽约州", "s1": "纽约"}, {"s0": (1, 4), "s1": (1, 3)})
    assert len(decided_pair(source, "zh", inside).target.entities) == 2
    with pytest.raises(Refusal, match="do not lie in each other"):
        decided_pair(source, "zh", replace(inside, places={"s0": (1, 4), "s1": (4, 6)}))


def test_marks_with_white_space_or_of_shifted_offsets(run, hard, tmp_path):
    write_tasks(_cases(run)[:1], "zh", tmp_path / "t.json", False)
    tasks = json.loads((tmp_path / "t.json").read_text())
    tasks[0]["data"]["text"] = text = hard[0].target.text.replace("出生于", "出生于 ")
    _fill_tasks(tmp_path / "t.json", {})
    truth = _truth(hard[0])
    labels = {label["value"].split()[0]: label["value"] for label in tasks[0]["data"]["labels"]}
    for shift in (0, 3):
        regions = []
        for id, words in truth.texts.items():
            start = text.index(words, truth.places[id][0])
            shown = f"{words} " if words == "出生" else words
            end = start + len(shown)
            if text[start:end] != shown:
                shown, end = words, start + len(words)
            value = {
                "start": start + 1 + shift,
                "end": end + 1 + shift,
                "text": shown,
                "labels": [labels[id]],
            }
            regions.append({"from_name": "label", "value": value})
        tasks[0]["annotations"] = [{"result": regions, "completed_by": shift}]
        (tmp_path / "t.json").write_text(json.dumps(tasks))
        (decision,) = read_tasks(tmp_path / "t.json")
        assert bool(decision.places) == (shift == 0)
        made = decided_pair(hard[0].source, "zh", decision)
        assert [m.text for m in made.target.entities] == [m.text for m in hard[0].target.entities]


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_lines, '{"id": "r"}', "f:1: decision: must be an object"),
        (read_lines, '{"id": "r", "decision": {"sentence": 3, "spans": {}}}', "f:1: decision.sentence"),
        (
            read_lines,
            '{"id": "r", "decision": {"sentence": "x", "spans": {"s0": []}}}',
            "f:1: decision.spans.s0",
        ),
        (read_lines, "[" * 100_000, "f:1: not JSON"),
        (read_tasks, '[{"data": {"id": "r"}}]', "data.text: is missing"),
        (read_tasks, '[{"data": {"id": "r", "text": "x"}, "annotations": 3}]', "annotations: must be a list"),
        (
            read_tasks,
            '[{"data": {"id": "r", "text": "x"}, "annotations": [{"result": [{"from_name": "label", "value": 1}]}]}]',
            "result[0].value",
        ),
        (read_tasks, "[" * 100_000, "f:1: not JSON"),
        (read_table, "", "f:1: has no column"),
        (read_table, "id;item\n", "f:1: has no column"),
        (read_table, "id,item,decision,who,when\nr,sentence\n", "f:2: has fewer cells"),
        (read_table, "id,item,decision,who,when\nr,s0,x,,\n", "no row whose item is 'sentence'"),
        (read_table, "id,item,decision,who,when\nr,s0,x,,\nr,s0,x,,\n", "f:3: 'r' has the item 's0' twice"),
        (read_table, "id,item,decision,who,when\nr,s0,x,,,more\n", "f:2: has more cells"),
        (read_table, 'id,item,decision,who,when\n"r"x,s0,x,,\n', "no CSV"),
    ],
)
def test_a_damaged_file_is_one_message(read, text, message, tmp_path):
    (tmp_path / "f").write_text(text)
    with pytest.raises(KcxError, match=r"^/.*f\b") as failed:
        list(read(tmp_path / "f"))
    assert message in str(failed.value)


def test_a_span_marked_twice_is_refused(tmp_path):
    region = {"from_name": "label", "value": {"start": 0, "end": 1, "text": "x", "labels": ["s0 Person: X"]}}
    task = {"data": {"id": "r", "text": "x"}, "annotations": [{"result": [region, region]}]}
    (tmp_path / "t.json").write_text(json.dumps([task]))
    assert list(read_tasks(tmp_path / "t.json")) == [
        Unusable("r", "s0 has words twice; mark it once, or write it once")
    ]


def test_at_most_three_candidates_and_no_file_is_replaced(hard, tmp_path):
    drafts = tuple(Draft(f"句{n}", {}) for n in range(5))
    case = Case(hard[0].source, drafts, ("translate: no",))
    for form in FILLED:
        path = tmp_path / f"{form}.json"
        _write(form, [case], path)
        text = path.read_text()
        assert ("句2" in text, "句3" in text) == (True, False)
        with pytest.raises(KcxError, match="exists already"):
            _write(form, [case], path)
    assert (tmp_path / "label-studio.xml").read_text() == INTERFACE
    with pytest.raises(UsageError, match=r"\.xml"):
        write_tasks([case], "zh", tmp_path / "tasks.xml", True)


def test_marks_of_a_draft_count_code_points(run, tmp_path):
    write_tasks(_cases(run), "zh", tmp_path / "tasks.json", False)
    marked = 0
    for task in json.loads((tmp_path / "tasks.json").read_text()):
        for region in task["predictions"][0]["result"]:
            value = region["value"]
            assert task["data"]["text"][value["start"] : value["end"]] == value["text"]
            marked += 1
    assert marked > 2


def test_the_interface_shows_what_the_tasks_have(run, tmp_path):
    """Label Studio's own fields of a task win over its data: for ``$source`` it shows all of the task."""
    write_tasks(_cases(run), "zh", tmp_path / "tasks.json", False)
    shown = set(re.findall(r"\$(\w+)", INTERFACE))
    assert "source" not in shown
    for task, case in zip(json.loads((tmp_path / "tasks.json").read_text()), _cases(run), strict=True):
        assert shown <= task["data"].keys()
        assert task["data"]["source_text"] == case.record.text


def test_the_tasks_are_label_studios(run, tmp_path):
    interface = pytest.importorskip("label_studio_sdk.label_interface").LabelInterface(INTERFACE)
    write_tasks(_cases(run), "zh", tmp_path / "tasks.json", False)
    interface.validate()
    for task in json.loads((tmp_path / "tasks.json").read_text()):
        predictions = task.pop("predictions")
        assert interface.validate_task(task)
        assert all(interface.validate_prediction(prediction) for prediction in predictions)
