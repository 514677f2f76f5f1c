"""Equal content is found whatever it is called, paid for once, and is a pair under each of its names."""

import contextlib
import json
import sqlite3
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.corpora import Mention, ParallelRecord, Record, RelationLink, read_parallel
from kcx_jax.errors import BudgetExceeded, KcxError
from kcx_jax.llm import ChatClient, Ledger, RetryPolicy, load_prices
from kcx_jax.parallel import LEDGER, Run, build, revalidate
from kcx_jax.parallel.dataset.leaks import refuse_leaks
from kcx_jax.parallel.report import report
from kcx_jax.parallel.report.text import as_markdown
from kcx_jax.parallel.review.cases import cases
from kcx_jax.parallel.review.decisions import Decision, take_decisions
from kcx_jax.parallel.review.finished import finished_pairs, left_over
from kcx_jax.parallel.runs.duplicates import Originals
from kcx_jax.parallel.runs.plan import plan
from kcx_jax.parallel.runs.shards import in_shard
from kcx_jax.parallel.translation.spans import source_spans
from kcx_jax.testing.llm_server import ScriptedServer

MENTIONS = [("Person", 0, 3), ("City", 0, 3), ("City", 4, 9), ("Person", 4, 9)]
QUICK = RetryPolicy(first_wait=0.01, longest_wait=0.02, breaker=99)
FAULTS = {"missing_span": 0.25, "paraphrased_span": 0.25, "wrong_ids": 0.1, "untranslated": 0.15}


def duplicates(records) -> dict[str, str]:
    with Originals() as originals:
        found = [(record.id, originals.of(record)) for record in records]
    return {id: original for id, original in found if original is not None}


def _record(id: str, names: list[str], order: list[int], links=((0, 2), (2, 1))) -> Record:
    text = "Ada Paris"
    mentions = [Mention(names[i], *MENTIONS[i], text[MENTIONS[i][1] : MENTIONS[i][2]]) for i in order]
    relations = tuple(RelationLink("Near", names[a], names[b]) for a, b in links)
    return Record(id, "en", text, tuple(mentions), relations)


@given(st.permutations(range(4)), st.permutations(["a", "b", "c", "d"]), st.booleans())
def test_names_and_order_do_not_matter(order, names, turned):
    plain = _record("r0", ["e0", "e1", "e2", "e3"], [0, 1, 2, 3])
    other = _record("r1", names, order, ((2, 1), (0, 2)) if turned else ((0, 2), (2, 1)))
    assert duplicates([plain, other, replace(plain, id="r2", meta={"x": 1})]) == {"r1": "r0", "r2": "r0"}


@pytest.mark.parametrize(
    "change",
    [
        lambda r: replace(r, text="Ada Milan", entities=(), relations=()),
        lambda r: replace(r, language="de"),
        lambda r: replace(r, entities=r.entities[:3]),
        lambda r: replace(r, relations=None),
        lambda r: replace(r, relations=(), events=()),
        lambda r: replace(r, relations=(RelationLink("Near", "e2", "e0"), r.relations[1])),
        lambda r: replace(r, relations=(RelationLink("Near", "e2", "e9"), r.relations[1])),  # of nothing
        lambda r: replace(r, entities=(replace(r.entities[0], type="Group"), *r.entities[1:])),
    ],
)
def test_other_content_is_no_duplicate(change):
    record = _record("r0", ["e0", "e1", "e2", "e3"], [0, 1, 2, 3])
    assert duplicates([record, replace(change(record), id="r1")]) == {}


def test_arguments_of_events_count(pairs):
    one, same = pairs[0].source, replace(pairs[0].source, id="again")
    event = one.events[0]
    turned = replace(one, id="turned", events=(replace(event, arguments=event.arguments[::-1]),))
    fewer = replace(one, id="fewer", events=(replace(event, arguments=event.arguments[:1]),))
    assert duplicates([one, same, turned, fewer]) == {"again": one.id, "turned": one.id}


def twin_of(record: Record, number: int = 1) -> Record:
    """The same content under other names, listed in another order."""
    names = {mention.id: f"x{place}" for place, mention in enumerate(reversed(record.entities))}
    rename = lambda value: None if value is None else names[value]  # noqa: E731
    return replace(
        record,
        id=f"{record.id}-twin{number}",
        entities=tuple(replace(mention, id=names[mention.id]) for mention in reversed(record.entities)),
        relations=tuple(replace(r, head=names[r.head], tail=names[r.tail]) for r in record.relations),
        events=tuple(
            replace(
                event,
                arguments=tuple(replace(a, entity=rename(a.entity)) for a in reversed(event.arguments)),
            )
            for event in record.events
        ),
    )


def _client(server: ScriptedServer, model: str = "small", **options) -> ChatClient:
    return ChatClient(model, server.base_url, retry=QUICK, **options)


def _with_twins(pairs) -> list[Record]:
    """Each record, and right after every fourth one its twin."""
    records = []
    for number, pair in enumerate(pairs):
        records += [pair.source] if number % 4 else [pair.source, twin_of(pair.source)]
    return records


@pytest.fixture(scope="module")
def built(pairs, tmp_path_factory):
    """A run of 40 records and 10 twins, and one of the 40 alone: -> (run, its bill, the other run, its bill)."""
    made = []
    for records in (_with_twins(pairs), [pair.source for pair in pairs]):
        folder = tmp_path_factory.mktemp("run")
        with ScriptedServer(faults=FAULTS, seed=3, pairs=pairs) as server:
            made += [build(records, "en", "zh", _client(server), folder, _client(server, "big"))]
            made += [server.bill]
    return made


def _ends(run: Run) -> dict[str, object]:
    return {outcome.record.id: outcome.pair and outcome.pair.target.text for outcome in run.outcomes()}


def test_twins_are_not_asked_for_and_end_as_the_first_of_them(built, pairs):
    run, bill, alone, alone_bill = built
    assert bill.requests == alone_bill.requests
    ends, expected = _ends(run), _ends(alone)
    twins = {id for id in ends if id.endswith("-twin1")}
    assert len(twins) == 10
    assert {id: ends[id] for id in expected} == expected
    assert {id: ends[id] for id in twins} == {id: expected[id.removesuffix("-twin1")] for id in twins}
    assert None in ends.values()  # some are for people


def test_the_pair_of_a_twin_is_its_own(built, pairs):
    """Its own ids, in its own order, each at the place that the first one's has; and it says of which it is."""
    made = {pair.id: pair for pair in built[0].pairs()}
    sources = {record.id: record for record in _with_twins(pairs)}
    assert any(id.endswith("-twin1") for id in made)
    for id, pair in made.items():
        assert pair.source == sources[id]
        if not id.endswith("-twin1"):
            assert "duplicate_of" not in pair.provenance
            continue
        first = made[id.removesuffix("-twin1")]
        assert pair.provenance == first.provenance | {"duplicate_of": first.id}
        places = {(m.start, m.end, m.type): m for m in first.source.entities}
        moved = {m.id: m for m in first.target.entities}
        for mention in pair.source.entities:
            there = moved[places[mention.start, mention.end, mention.type].id]
            assert replace(there, id=mention.id) in pair.target.entities
        assert pair.target.relations == pair.source.relations
        assert [a.entity for a in pair.target.events[0].arguments] == [None, "x2"]
        assert pair.target.events[0].arguments == tuple(
            replace(a, entity=a.entity and "x2") for a in reversed(first.target.events[0].arguments)
        )


def test_every_source_record_counts_and_the_way_of_the_first_one_counts_once(built):
    run, _, alone, _ = built
    counts, expected = run.statistics().to_json(), alone.statistics().to_json()
    assert (counts["records"], counts["duplicates"], counts["pending"]) == (50, 10, 0)
    assert json.loads((run.folder / "statistics.json").read_text()) == counts
    for key in ("replies_read", "problems"):
        assert counts[key] == expected[key]
    ends = _ends(run)
    assert counts["faithfulness_resolved"] == sum(text is not None for text in ends.values()) / 50
    made = report(run)
    assert (made["records"], made["duplicates"], made["faithfulness"]["all"]["records"]) == (50, 10, 50)
    assert made["failures"] == report(alone)["failures"]
    assert "50 records (10 duplicates, not paid for)" in as_markdown(made)
    assert "duplicates" not in as_markdown(report(alone)).split("\n")[2]
    lines = [json.loads(line) for line in (run.folder / "unresolved.jsonl").read_text().splitlines()]
    assert {line["duplicate_of"] is not None for line in lines} == {True, False}


def test_the_same_command_again_and_a_revalidation_change_nothing(built, pairs):
    run, *_ = built
    before, counts = list(run.pairs()), run.statistics().to_json()
    with ScriptedServer(pairs=pairs) as server:
        again = build(_with_twins(pairs), "en", "zh", _client(server), run.folder, _client(server, "big"))
        assert server.bill.requests == 0
    # Config names the endpoint's address, which is another one: all was judged anew, from the ledger.
    for other in (again, revalidate(run.folder)):
        assert list(other.pairs()) == before
        assert other.statistics().to_json() == counts


def test_an_input_that_grows_at_either_end_pays_for_no_twin(pairs, tmp_path):
    """What was the first of its content becomes a twin, and the other way round; nothing is asked again."""
    some = [pair.source for pair in pairs[:6]]
    twins = [twin_of(record) for record in some]
    with ScriptedServer(pairs=pairs) as server:
        for records in (some, some + twins, twins + some, twins, some[:2] + twins[2:] + some[2:], some):
            run = build(records, "en", "zh", _client(server), tmp_path)
            assert [pair.id for pair in run.pairs()] == [record.id for record in records]
            assert run.statistics().duplicates == len(records) - 6
            assert server.bill.requests == 6
            for pair in run.pairs():
                pair.target.check(pair.id)
                assert ("duplicate_of" in pair.provenance) == (pair.id in duplicates(records))


def test_several_targets_and_three_of_a_kind(tmp_path):
    source = Record("a", "en", "Ada went.", (Mention("e0", "Person", 0, 3, "Ada"),))
    words = {"zh": ("艾达走了。", "艾达"), "ja": ("エイダは行った。", "エイダ")}
    truth = [
        ParallelRecord("a", source, Record("a", to, text, (Mention("e0", "Person", 0, len(name), name),)))
        for to, (text, name) in words.items()
    ]
    records = [source, replace(source, id="b"), replace(source, id="c")]
    with ScriptedServer(pairs=truth) as server:
        run = build(records, "en", ["zh", "ja"], _client(server), tmp_path)
        assert server.bill.requests == 2
    assert [(pair.id, pair.target.text) for pair in run.pairs()] == [
        (id, words[language][0]) for id in "abc" for language in ("zh", "ja")
    ]
    assert run.statistics().duplicates == 4


def test_a_run_that_a_budget_stopped_has_the_twins_of_what_it_has(pairs, tmp_path):
    price = load_prices()["gpt-4o-mini"]
    with ScriptedServer(pairs=pairs) as server:
        client = _client(server, price=price, concurrency=1)
        with pytest.raises(BudgetExceeded):
            build(_with_twins(pairs), "en", "zh", client, tmp_path, budget=4_000_000)
        with Run.open(tmp_path) as run:
            ids = {pair.id for pair in run.pairs()}
            assert 0 < len(ids) < 50
            firsts = {record.id for record in _with_twins(pairs) if record.id.endswith("-twin1")}
            assert {id for id in firsts if id.removesuffix("-twin1") in ids} == ids & firsts != set()
        build(_with_twins(pairs), "en", "zh", _client(server), tmp_path)
        assert server.bill.answers == 40


def test_twins_are_in_one_shard(pairs):
    records = _with_twins(pairs)
    shards = [list(in_shard(records, part, 4)) for part in range(4)]
    assert sorted(record.id for shard in shards for record in shard) == sorted(
        record.id for record in records
    )
    assert sum(len(duplicates(shard)) for shard in shards) == 10
    assert sum(bool(shard) for shard in shards) == 4


def test_a_plan_does_not_pay_for_twins(pairs):
    table = load_prices()
    records, alone = _with_twins(pairs), [pair.source for pair in pairs]
    made, expected = (plan(each, ["zh", "de"], ["gpt-4o-mini"], table) for each in (records, alone))
    assert made.estimates == expected.estimates
    assert (made.records, made.duplicates, expected.duplicates) == (100, 20, 0)


def _right(truth: ParallelRecord) -> Decision:
    """What a person says who knows it."""
    moved = {
        (m.start, m.end): there.text
        for m, there in zip(truth.source.entities, truth.target.entities, strict=True)
    }
    for event, there in zip(truth.source.events, truth.target.events, strict=True):
        moved[event.trigger.start, event.trigger.end] = there.trigger.text
    texts = {span.id: moved[span.start, span.end] for span in source_spans(truth.source)}
    return Decision(truth.id, truth.target.text, texts, who="me")


def test_people_are_asked_once_and_decide_for_twins_too(pairs, tmp_path):
    with ScriptedServer(faults={"untranslated": 1.0}, pairs=pairs) as server:
        build(_with_twins(pairs[:5]), "en", "zh", _client(server), tmp_path)
    with Run.open(tmp_path) as run:
        asked = {case.record.id: case.record for case in cases(run, "zh")}
        assert sorted(asked) == ["r0", "r1", "r2", "r3", "r4"]
        assert left_over(run, "zh") == (7, 0)
    with Ledger(tmp_path / "ledger.db") as ledger:
        taken = take_decisions(ledger, asked, "zh", [_right(pairs[0]), _right(pairs[1])], "now")
    assert (taken.new, taken.refused) == (2, [])
    with Run.open(tmp_path) as run:
        made = {pair.id: pair for pair in finished_pairs(run)}
        assert list(made) == ["r0", "r1", "r0-twin1"]
        assert left_over(run, "zh") == (4, 0)
    assert made["r0-twin1"].source == twin_of(pairs[0].source)
    assert made["r0-twin1"].target.text == pairs[0].target.text
    assert (made["r0-twin1"].provenance["who"], made["r0-twin1"].provenance["duplicate_of"]) == ("me", "r0")


def test_half_a_character_is_refused(pairs, tmp_path):
    bad = replace(pairs[0].source, id="bad", text="Ada \ud800", entities=(), relations=(), events=())
    for record in (bad, replace(bad, id="\udfff", text="Ada")):
        assert plan([record], ["zh"], ["m"], load_prices()).records == 1
        with ScriptedServer(pairs=pairs) as server, pytest.raises(KcxError, match="half a character"):
            build([record], "en", "zh", _client(server), tmp_path / "run")


def _to_version_2(path):
    with Ledger(path) as ledger, contextlib.closing(sqlite3.connect(path)) as db, db:
        db.create_function("plain", 1, lambda packed: packed and ledger.packing.unpack_text(packed))
        db.execute("UPDATE sample SET source = plain(source), outcome = plain(outcome)")
        db.execute("UPDATE call SET request = plain(request), reply = CAST(plain(reply) AS BLOB)")
        db.execute("ALTER TABLE sample DROP COLUMN duplicate_of")
        db.execute("DROP TABLE pattern")
        db.execute("PRAGMA user_version = 2")


def test_a_ledger_of_the_version_before_goes_on(pairs, tmp_path):
    records = [pair.source for pair in pairs[:5]]
    with ScriptedServer(pairs=pairs) as server:
        before = list(build(records, "en", "zh", _client(server), tmp_path).pairs())
        _to_version_2(tmp_path / LEDGER)
        run = build([*records, twin_of(records[0])], "en", "zh", _client(server), tmp_path)
        assert server.bill.requests == 5
    assert list(run.pairs())[:5] == before
    assert list(read_parallel(tmp_path / "parallel.jsonl"))[5].provenance["duplicate_of"] == "r0"


def test_a_test_sentence_on_either_side_is_refused(pairs):
    apart = Record("t0", "en", "Another sentence.")
    refuse_leaks(pairs[:5], [apart], "test.jsonl")
    for side in (pairs[3].source, pairs[3].target):
        test = [apart, Record("t1", side.language, side.text.upper().replace(" ", ""))]
        with pytest.raises(KcxError, match=r"1 of 2 sentences of test.jsonl .*t1 is in r3"):
            refuse_leaks(pairs[:5], test, "test.jsonl")
        refuse_leaks([ParallelRecord("x", apart, apart)], test[1:], "test.jsonl")
