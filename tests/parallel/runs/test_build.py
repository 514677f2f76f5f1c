"""A run in its folder: what it leaves, how it is counted, and that stopping it anywhere loses nothing."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from kcx_jax.corpora import ParallelRecord, Record, read_parallel, write_records
from kcx_jax.demo.corpus.generate import generate
from kcx_jax.errors import BudgetExceeded, KcxError, UsageError
from kcx_jax.llm import ChatClient, EndpointError, Ledger, RetryPolicy, load_prices
from kcx_jax.parallel import Outcome, Run, build, revalidate
from kcx_jax.parallel.runs.plan import plan
from kcx_jax.parallel.runs.shards import in_shard
from kcx_jax.parallel.runs.worklist import Worklist
from kcx_jax.testing.llm_server import ScriptedServer

QUICK = RetryPolicy(first_wait=0.01, longest_wait=0.02, breaker=99)
_RARE = ("wrong_ids", "broken_json", "rate_limit", "server_error", "empty_choices", "wholesale_rewrite")
FAULTS = {"missing_span": 0.2, "paraphrased_span": 0.2} | dict.fromkeys(_RARE, 0.1)


def _client(server: ScriptedServer, model: str = "small", **options) -> ChatClient:
    return ChatClient(model, server.base_url, retry=QUICK, **options)


def _sources(pairs) -> list[Record]:
    return [pair.source for pair in pairs]


@pytest.fixture(scope="module")
def calm(pairs, tmp_path_factory):
    """A run nobody disturbed, with every kind of fault: -> (result, bill, folder)."""
    folder = tmp_path_factory.mktemp("calm")
    with ScriptedServer(faults=FAULTS, seed=3, pairs=pairs) as server:
        result = build(_sources(pairs), "en", "zh", _client(server), folder, _client(server, "big"))
        return result, server.bill, folder


def _ids(run: Run) -> list[str]:
    return [pair.id for pair in run.pairs()]


def test_every_record_ends_as_a_pair_or_with_people(calm, pairs):
    result, bill, _ = calm
    made, people = _ids(result), [outcome.record.id for outcome in result.unresolved()]
    assert sorted(made + people) == sorted(pair.id for pair in pairs)
    assert not list(result.pending())
    assert min(bill.faults[fault] for fault in FAULTS) > 0  # the run met them all
    order = [pair.id for pair in pairs]
    assert made == sorted(made, key=order.index)


def test_input_that_is_refused_leaves_a_ledger_that_can_be_filled_and_read(tmp_path, pairs):
    records = _sources(pairs)[:3]
    with Ledger(tmp_path / "ledger.db") as ledger:
        with pytest.raises(KcxError, match="two records have the id"):
            Worklist(ledger).fill([*records, records[0]], ["zh"], {})
        Worklist(ledger).fill(records[1:], ["zh"], {})
    with Ledger(tmp_path / "ledger.db", readonly=True) as ledger:
        assert [record for record, _ in Worklist(ledger).pending()] == records[1:]


def test_what_the_input_leans_on_is_on_disk_before_it(tmp_path, pairs):
    written: list[str] = []
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.store.change(lambda db: db.set_trace_callback(written.append))
        Worklist(ledger).fill(_sources(pairs)[:3], ["zh"], {})
    inserts = [line.split()[2] for line in written if line.lstrip().startswith("INSERT")]
    assert inserts == ["pattern", "sample", "sample", "sample"]


def test_the_counts_are_those_of_the_pairs(calm):
    result, _, folder = calm
    counts = json.loads((folder / "statistics.json").read_text())
    assert counts == result.statistics().to_json()
    assert counts["records"] == 40
    assert counts["resolved"] == len(_ids(result))
    assert counts["unresolved"] == len(list(result.unresolved()))
    left = 40
    for row, (index, stage) in zip(
        counts["stages"],
        [(i, stage) for i in (0, 1) for stage in ("translate", "rewrite_spans", "rewrite_sentence")],
        strict=True,
    ):
        ended = [
            p for p in result.pairs() if (p.provenance["round"], p.provenance["stage"]) == (index, stage)
        ]
        left -= len(ended)
        assert (row["resolved"], row["missing_per_10k"]) == (len(ended), 250 * left)
    assert counts["faithfulness_verbatim"] == len(_ids(result)) / 40
    assert counts["stages"][0]["missing_per_10k"] > counts["stages"][-1]["missing_per_10k"]


def test_the_files_hold_the_result(calm):
    result, _, folder = calm
    assert list(read_parallel(folder / "parallel.jsonl")) == list(result.pairs())
    cases = [json.loads(line) for line in (folder / "unresolved.jsonl").read_text().splitlines()]
    assert [case["id"] for case in cases] == [outcome.record.id for outcome in result.unresolved()]
    assert all(case["problems"] for case in cases)


def test_the_ledger_agrees_with_the_bill(calm):
    _, bill, folder = calm
    with Ledger(folder / "ledger.db", readonly=True) as ledger:
        rows = [row for row in ledger.summary() if row["state"] == "answered"]
    assert sum(row["calls"] for row in rows) == bill.answers
    assert sum(row["input_tokens"] for row in rows) == bill.input_tokens
    assert sum(row["output_tokens"] for row in rows) == bill.output_tokens


def test_the_same_command_again_and_a_revalidation_send_nothing(calm, pairs):
    result, _, folder = calm
    with ScriptedServer(pairs=pairs) as server:
        again = build(_sources(pairs), "en", "zh", _client(server), folder, _client(server, "big"))
        assert server.bill.requests == 0
    for other in (again, Run.open(folder), revalidate(folder)):
        assert list(other.pairs()) == list(result.pairs())
        assert other.statistics().to_json() == result.statistics().to_json()


def test_the_same_seed_gives_the_same_run_whatever_the_order(calm, pairs, tmp_path):
    result, bill, _ = calm
    with ScriptedServer(faults=FAULTS, seed=3, pairs=pairs) as server:
        client, fallback = _client(server, concurrency=1), _client(server, "big")
        again = build(_sources(pairs)[::-1], "en", "zh", client, tmp_path, fallback)
        assert server.bill == bill
    assert list(again.pairs()) == list(result.pairs())[::-1]


def test_a_changed_model_asks_anew_and_a_grown_corpus_only_for_what_is_new(pairs, tmp_path):
    with ScriptedServer(pairs=pairs) as server:
        for records, model, requests in ((10, "small", 10), (15, "small", 15), (15, "other", 30)):
            build(_sources(pairs)[:records], "en", "zh", _client(server, model), tmp_path)
            assert server.bill.requests == requests


def test_progress_is_told_of_every_record(pairs, tmp_path):
    told = []
    with ScriptedServer(pairs=pairs) as server:
        build(
            _sources(pairs)[:5], "en", "zh", _client(server), tmp_path,
            progress=lambda statistics, _: told.append((statistics.finished, statistics.total)),
        )  # fmt: skip
    assert told == [(i, 5) for i in range(1, 6)]


def test_nothing_to_do_is_done(tmp_path):
    with ScriptedServer() as server:
        result = build([], "en", "zh", _client(server), tmp_path)
    assert result.statistics().to_json()["faithfulness_verbatim"] == 1.0
    assert list(read_parallel(tmp_path / "parallel.jsonl")) == []


def test_records_that_cannot_be_joined_are_refused_before_anything_is_sent(pairs, tmp_path):
    first, second = _sources(pairs)[:2]
    for records, message in (
        ([first, replace(second, id=first.id)], "two records have the id 'r0'"),
        ([replace(first, language="de")], "in 'de', not in the source language 'en'"),
        ([replace(first, text=first.text.upper())], "record 'r0': entities"),
        ([Record("r9", "en", " ")], "has no text"),
    ):
        with ScriptedServer(pairs=pairs) as server, pytest.raises(KcxError, match=message):
            build(records, "en", "zh", _client(server), tmp_path / "run")
        assert server.bill.requests == 0
    with ScriptedServer() as server, pytest.raises(UsageError, match="same language"):
        build([], "en", "en", _client(server), tmp_path)


def test_an_id_that_stands_twice_is_refused_in_every_part_before_anything_is_sent(pairs, tmp_path):
    """The two are in parts of their own: neither sees the other."""
    sources, parts = _sources(pairs), 4
    first = sources[0]
    (home,) = (part for part in range(parts) if list(in_shard([first], part, parts)))
    second = next(record for record in sources if not list(in_shard([record], home, parts)))
    records = [first, replace(second, id=first.id)]
    for part in range(parts):
        with (
            ScriptedServer(pairs=pairs) as server,
            pytest.raises(KcxError, match="two records have the id 'r0'"),
        ):
            build(
                in_shard(records, part, parts),
                "en",
                "zh",
                _client(server),
                tmp_path / f"{part}",
                shard=(part, parts),
            )
        assert server.bill.requests == 0


@pytest.mark.parametrize("target", ["", "chinese", "z h", "zh\n", "zh-", "zh/", "../zh", "中文"])
def test_a_target_that_is_no_language_tag_is_refused_before_anything_is_sent(pairs, tmp_path, target):
    with ScriptedServer(pairs=pairs) as server:
        with pytest.raises(UsageError, match="no language tag"):
            build(_sources(pairs), "en", ["zh", target], _client(server), tmp_path / "run")
        with pytest.raises(UsageError, match="no language tag"):
            plan(_sources(pairs), [target], ["m"], load_prices())
        assert server.bill.requests == 0
    assert not (tmp_path / "run").exists()


def test_a_folder_without_a_run_says_so(tmp_path):
    for read in (Run.open, revalidate):
        with pytest.raises(KcxError, match="no ledger at"):
            read(tmp_path)


@pytest.mark.parametrize(("fault", "error"), [("quota", BudgetExceeded), ("drop", EndpointError)])
def test_what_stops_a_run_keeps_what_was_answered(pairs, tmp_path, fault, error):
    """After ten answers the endpoint gives up; once it is back, the rest is asked for, and no more."""
    answered = []

    def plan(ask):
        if len(answered) >= 10:
            return fault
        answered.append(ask.sentence)
        return None

    stubborn = RetryPolicy(sends=2, first_wait=0.01, breaker=3)
    with ScriptedServer(faults=plan, pairs=pairs, passes=99) as server:
        client = ChatClient("small", server.base_url, retry=stubborn, concurrency=4)
        with pytest.raises(error):
            build(_sources(pairs), "en", "zh", client, tmp_path)
    so_far = Run.open(tmp_path)
    assert (len(_ids(so_far)), len(list(so_far.pending()))) == (10, 30)
    assert so_far.statistics().to_json()["pending"] == 30
    with ScriptedServer(pairs=pairs) as server:
        assert len(_ids(build(_sources(pairs), "en", "zh", _client(server), tmp_path))) == 40
        assert server.bill.answers == 30


def test_a_key_that_expires_in_mid_run_stops_it_and_costs_nothing(pairs, tmp_path):
    """What was under way comes to its end; with a key that is taken again, the rest is asked for."""
    with ScriptedServer(pairs=pairs, api_key="k", key_expires_after=15, latency=0.02) as server:
        client = ChatClient("small", server.base_url, "k", retry=QUICK, concurrency=4)
        with pytest.raises(EndpointError, match="Check the key"):
            build(_sources(pairs), "en", "zh", client, tmp_path)
        assert len(_ids(Run.open(tmp_path))) == server.bill.answers == 15
        server.key_expires_after = None
        assert len(_ids(build(_sources(pairs), "en", "zh", client, tmp_path))) == 40
        assert server.bill.answers == 40


def test_several_targets_at_once_are_pairs_of_their_own(tmp_path):
    items = generate(5, 12, "train")
    truth = [
        ParallelRecord(f"{item['en'].id}", item["en"], item[to]) for item in items for to in ("zh", "es")
    ]
    with (
        ScriptedServer(pairs=truth) as server,
        build([item["en"] for item in items], "en", ["zh", "es"], _client(server), tmp_path) as run,
    ):
        made = {(pair.id, pair.target.language): pair.target.text for pair in run.pairs()}
    assert made == {(pair.id, pair.target.language): pair.target.text for pair in truth}


def test_each_of_several_targets_has_files_of_its_own(tmp_path):
    """No id stands twice in a file; what other targets left goes, what is no file of a run stays."""
    items = generate(5, 12, "train")
    truth = [ParallelRecord(item["en"].id, item["en"], item[to]) for item in items for to in ("zh", "es")]
    ours, records = tmp_path / "parallel.mine.jsonl", [item["en"] for item in items]
    ours.parent.mkdir(exist_ok=True)
    ours.write_text("mine")

    def written(run: Run) -> set[str]:
        assert ours.read_text() == "mine"
        return {path.name for path in run.folder.glob("*.jsonl")} - {ours.name}

    faults = {"untranslated": 0.6}
    with ScriptedServer(pairs=truth, faults=faults) as server:
        one = build(records, "en", "zh", _client(server), tmp_path)
        pairs = list(one.pairs())
        assert written(one) == {"parallel.jsonl", "unresolved.jsonl"}
        both = build(records, "en", ["zh", "es"], _client(server), tmp_path)
        assert written(both) == {
            f"{kind}.{target}.jsonl" for kind in ("parallel", "unresolved") for target in ("zh", "es")
        }
        assert list(read_parallel(tmp_path / "parallel.zh.jsonl")) == pairs
        cases = 0
        for target in ("zh", "es"):
            made = list(read_parallel(tmp_path / f"parallel.{target}.jsonl"))
            assert made == [pair for pair in both.pairs() if pair.target.language == target]
            assert both.counts(target)["pair"] == len(made) > 0
            lines = (tmp_path / f"unresolved.{target}.jsonl").read_text().splitlines()
            assert {json.loads(line)["target_language"] for line in lines} == {target}
            cases += len(lines)
        assert cases == both.counts()["people"]
        assert written(build(records, "en", "zh", _client(server), tmp_path)) == {
            "parallel.jsonl",
            "unresolved.jsonl",
        }


def test_each_outcome_is_read_once_at_the_end(pairs, tmp_path, monkeypatch):
    read = []
    before = Outcome.from_json

    def counted(record, target, value):
        read.append(record.id)
        return before(record, target, value)

    monkeypatch.setattr(Outcome, "from_json", counted)
    with ScriptedServer(pairs=pairs) as server:
        run = build(_sources(pairs), "en", "zh", _client(server), tmp_path)
    assert run.statistics().finished == 40
    assert read == [pair.id for pair in pairs]
    monkeypatch.undo()
    assert Run.open(tmp_path).statistics().to_json() == run.statistics().to_json()


CHILD = """
import sys
from kcx_jax.corpora import read_records
from kcx_jax.llm import ChatClient, RetryPolicy
from kcx_jax.parallel import build
records, run, url = sys.argv[1:]
quick = RetryPolicy(first_wait=0.01, longest_wait=0.02, breaker=99)
small, big = (ChatClient(name, url, retry=quick, concurrency=4) for name in ("small", "big"))
build(read_records(records), "en", "zh", small, run, big)
"""


def _start(records, run, server) -> subprocess.Popen:
    arguments = [sys.executable, "-c", CHILD, str(records), str(run), server.base_url]
    return subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)


def _wait_for(condition, child: subprocess.Popen) -> None:
    while not condition():
        assert child.poll() is None, child.stderr.read()
        time.sleep(0.01)


def _without_calls(pairs) -> list[ParallelRecord]:
    """The pairs, but for how many replies each took."""
    return [replace(pair, provenance={**pair.provenance, "calls": None}) for pair in pairs]


def test_kill_it_anywhere_and_the_same_command_ends_as_if_nothing_had_been(calm, pairs, tmp_path):
    """Lost 0; asked twice at most what was in flight; nothing that was answered is asked again."""
    result, _, _ = calm
    records, run = tmp_path / "records.jsonl", tmp_path / "run"
    write_records(_sources(pairs), records)
    kills, concurrency = 3, 4
    with ScriptedServer(faults=FAULTS, seed=3, pairs=pairs, latency=0.03) as server:
        for _ in range(kills):
            child, before = _start(records, run, server), server.bill.answers
            _wait_for(lambda before=before: server.bill.answers >= before + 15, child)
            child.send_signal(signal.SIGKILL)
            child.wait()
        child, before = _start(records, run, server), server.bill.requests
        _wait_for(lambda: server.bill.requests > before, child)
        with pytest.raises(KcxError, match="another process is working on"):
            build(_sources(pairs), "en", "zh", _client(server), run)
        assert child.wait() == 0, child.stderr.read()
        bill = server.bill
    assert _without_calls(read_parallel(run / "parallel.jsonl")) == _without_calls(result.pairs())
    found, expected = json.loads((run / "statistics.json").read_text()), result.statistics().to_json()
    # A useless reply that was on its way when the process died is none that was read.
    lost = expected.pop("replies_read") - found.pop("replies_read")
    assert found == expected
    with sqlite3.connect(run / "ledger.db") as db:
        count = dict(db.execute("SELECT state, count(*) FROM call GROUP BY state"))
        twice = db.execute(
            "SELECT count(*) FROM call WHERE state = 'answered' AND error_class IS NULL GROUP BY key "
            "HAVING count(*) > 1"
        )
        assert list(twice) == []
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert set(count) <= {"answered", "failed", "interrupted"}
    assert 0 <= lost <= count.get("interrupted", 0) <= kills * concurrency
    assert bill.paid_twice <= kills * concurrency
    assert count["answered"] <= bill.answers <= count["answered"] + count.get("interrupted", 0)


def test_an_interrupt_stops_the_run_and_leaves_no_thread(pairs, tmp_path):
    """Ctrl-C in the middle: the run ends at once, cancelled calls are noted, and the next run goes on."""
    with ScriptedServer(pairs=pairs, latency=0.05) as server:
        threads = threading.active_count()

        def interrupt(statistics, _):
            if statistics.finished == 5:
                os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            build(_sources(pairs), "en", "zh", _client(server, concurrency=2), tmp_path, progress=interrupt)
        assert threading.active_count() == threads
        with Ledger(tmp_path / "ledger.db", readonly=True) as ledger:
            states = {row["state"] for row in ledger.summary()}
        assert "intent" not in states
        done = len(_ids(Run.open(tmp_path)))
        assert 5 <= done < 40
        before = server.bill.requests
        assert len(_ids(build(_sources(pairs), "en", "zh", _client(server), tmp_path))) == 40
        assert server.bill.requests - before == 40 - done


@pytest.mark.parametrize(("source", "target"), [("en", "zh"), ("zh", "es")])
def test_records_of_all_tasks_come_back_as_they_were_written(tmp_path, source, target):
    """The demo's corpus says by itself where everything stands in each language."""
    truth = {item[source].id: ParallelRecord(item[source].id, item[source], item[target])
             for item in generate(5, 25, "train")}  # fmt: skip
    with ScriptedServer(pairs=truth.values()) as server:
        result = build(_sources(truth.values()), source, target, _client(server), tmp_path)
    assert len(_ids(result)) == 25
    for pair in result.pairs():
        made, right = pair.target, truth[pair.id].target
        assert (made.text, made.relations, made.events) == (right.text, right.relations, right.events)
        assert {mention.id: mention for mention in made.entities} == {m.id: m for m in right.entities}
