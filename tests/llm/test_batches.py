"""Requests through the Batch API: every one gets its own answer, whatever becomes of the batch, and is paid once."""

import asyncio
import json

import pytest

from kcx_jax.errors import BudgetExceeded, UsageError
from kcx_jax.llm import (
    BatchSettings,
    Budget,
    ChatClient,
    EndpointError,
    Ledger,
    ReplyError,
    RetryPolicy,
    Stopped,
    load_prices,
)
from kcx_jax.testing.llm_server import BatchRules, ScriptedServer
from kcx_jax.testing.llm_server.batches import Batches
from kcx_jax.testing.llm_server.files import Files
from kcx_jax.testing.llm_server.http import Refused, Response, refusal

QUICK = RetryPolicy(first_wait=0.01, longest_wait=0.02)
ANSWERS = {f"sentence {i}": f'[Person("{i}")]' for i in range(60)}
ALL = [f"sentence {i}" for i in range(60)]


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        yield ledger


def _settings(**options) -> BatchSettings:
    return BatchSettings(**{"most_requests": 25, "smallest": 5, "quiet": 0.1, "poll": 0.02, **options})


def _answers(server, ledger, sentences=ALL, **options) -> list:
    """The text, or the error class, of every request, all asked at once."""
    batch = options.pop("batch", None) or _settings()
    client = ChatClient("m", server.base_url, ledger=ledger, retry=QUICK, batch=batch, **options)

    async def ask(sentence: str):
        try:
            return (await client.complete([{"role": "user", "content": sentence}], max_tokens=50)).text
        except ReplyError as error:
            return error.error_class

    async def run() -> list:
        try:
            return await asyncio.gather(*map(ask, sentences))
        finally:
            await client.aclose()

    return asyncio.run(asyncio.wait_for(run(), 60))


@pytest.mark.parametrize(
    "rules",
    [
        BatchRules(),
        BatchRules(validating=0.05, in_progress=0.05, finalizing=0.05, shuffled=3),
        BatchRules(requests=25),
    ],
)
def test_each_request_gets_its_own_answer_in_whatever_order(ledger, rules):
    with ScriptedServer(ANSWERS, batches=rules) as server:
        assert _answers(server, ledger) == list(ANSWERS.values())
        assert (server.bill.batch_answers, server.bill.answers) == (60, 0)
        assert _answers(server, ledger) == list(ANSWERS.values())
        assert server.bill.batch_answers == 60  # the ledger had them
    batches = ledger.store.read("SELECT calls, state FROM batch").fetchall()
    assert sum(calls for calls, _ in batches) == 60
    assert {(calls <= 25, state) for calls, state in batches} == {(True, "collected")}


def test_too_few_for_a_file_are_sent_by_themselves_and_it_is_said(ledger, capfd):
    with ScriptedServer(ANSWERS) as server:
        assert _answers(server, ledger, ALL[:4]) == list(ANSWERS.values())[:4]
        assert (server.bill.batch_answers, server.bill.answers) == (0, 4)
    assert (
        "4 requests are too few for a batch and go by themselves, at the full price" in capfd.readouterr().err
    )


def test_an_expired_batch_is_asked_only_for_what_is_missing(ledger):
    with ScriptedServer(ANSWERS, batches=BatchRules(expires_after=10)) as server:
        assert _answers(server, ledger) == list(ANSWERS.values())
        assert server.bill.batch_answers + server.bill.answers == 60
        assert server.bill.paid_twice == 0


@pytest.mark.parametrize("custom_id", ["1", "987654", "1_0", " 10", "ten", 10, None, "9" * 5000])
def test_a_line_that_is_not_of_this_batch_is_said_and_the_row_asked_again(
    ledger, monkeypatch, capfd, custom_id
):
    """Call 1 was answered before; call 10 waits in this batch, but its name is written otherwise."""
    written = []

    def write(self, filename, rows):
        written.append(filename)
        if len(written) == 1:
            rows = [{**rows[0], "custom_id": custom_id}, *rows[1:]]
        return real(self, filename, rows)

    real = Batches._write
    with ScriptedServer(ANSWERS) as server:
        assert _answers(server, ledger, ALL[:1]) == [ANSWERS[ALL[0]]]
        first = ledger.outcome(1)
        monkeypatch.setattr(Batches, "_write", write)
        assert _answers(server, ledger, ALL[1:]) == [ANSWERS[sentence] for sentence in ALL[1:]]
        assert server.bill.batch_answers + server.bill.answers == 61
    assert ledger.outcome(1) == first
    assert (
        "name no waiting request of it: 1, passed over; requests without a result: 1"
        in capfd.readouterr().err
    )


def test_lines_that_are_no_results_are_said_and_their_rows_asked_again(ledger, monkeypatch, capfd):
    lines = [b"no JSON", b"[]", b"7", b"[" * 100_000, b'{"custom_id": "2"']

    def content(self, name):
        whole = real(self, name)
        if b'"response"' not in whole or not lines:
            return whole
        kept = whole.splitlines()[len(lines) :]
        spoilt, lines[:] = [*lines, *kept], []
        return b"\n".join(spoilt)

    real = Files.content
    monkeypatch.setattr(Files, "content", content)
    with ScriptedServer(ANSWERS) as server:
        assert _answers(server, ledger) == list(ANSWERS.values())
        assert server.bill.batch_answers + server.bill.answers == 65
    assert (
        "name no waiting request of it: 5, passed over; requests without a result: 5"
        in capfd.readouterr().err
    )


def test_rows_that_fail_are_asked_again_and_hopeless_ones_told(ledger):
    def plan(ask):
        return "server_error" if ask.sentence in ALL[:10] else None

    with ScriptedServer(ANSWERS, plan) as server:
        found = _answers(server, ledger, [*ALL, "sentence nobody knows"])
        assert found == [*ANSWERS.values(), "bad_request"]


def test_bodies_that_are_no_use_are_paid_and_asked_again(ledger):
    def plan(ask):
        return "empty_choices" if ask.sentence in ALL[:10] else None

    with ScriptedServer(ANSWERS, plan) as server:
        assert _answers(server, ledger) == list(ANSWERS.values())
        assert server.bill.batch_answers + server.bill.answers == 70


def test_tokens_that_may_be_enqueued_are_kept_to(ledger):
    rules = BatchRules(in_progress=0.05, enqueued_tokens=600)
    with ScriptedServer(ANSWERS, batches=rules) as server:
        settings = _settings(enqueued_tokens=500)
        assert _answers(server, ledger, batch=settings) == list(ANSWERS.values())
    assert len(ledger.open_batches("m")) == 0


def test_a_batch_that_fails_as_a_whole_ends_with_its_reason(ledger):
    rules = BatchRules(requests=10)
    with ScriptedServer(ANSWERS, batches=rules) as server, pytest.raises(EndpointError, match="batch"):
        _answers(server, ledger)


def test_a_batch_that_fails_wakes_those_who_wait_for_its_share_of_the_budget(ledger):
    """About twelve requests fit into the budget; whoever nobody answers would wait for ever."""

    async def run(server: ScriptedServer) -> list:
        options = {"price": load_prices()["gpt-4o-mini"], "budget": Budget(300_000), "batch": _settings()}
        client = ChatClient("m", server.base_url, ledger=ledger, retry=QUICK, **options)
        asks = [client.complete([{"role": "user", "content": one}], max_tokens=50) for one in ALL]
        try:
            return await asyncio.wait_for(asyncio.gather(*asks, return_exceptions=True), 20)
        finally:
            await client.aclose()

    with ScriptedServer(ANSWERS, batches=BatchRules(requests=1)) as server:
        ends = {type(error) for error in asyncio.run(run(server))}
    assert ends == {EndpointError, BudgetExceeded}


def test_batches_cost_their_share_and_the_budget_holds(tmp_path):
    price = load_prices()["gpt-4o-mini"]
    with ScriptedServer(ANSWERS) as server, Ledger(tmp_path / "ledger.db") as ledger:
        budget = Budget(10**9)
        _answers(server, ledger, price=price, budget=budget)
        ledger.store.flush()
        bill = server.bill
        exact = (bill.batch_input_tokens * 150 + bill.batch_output_tokens * 600) / 2
        assert abs(ledger.spent().known - exact) <= 60  # each of 60 rounded by itself
        assert (budget.known, budget.possible) == (ledger.spent().known, 0)


def test_batches_of_an_earlier_start_are_collected_and_not_paid_again(tmp_path):
    """The first process is gone once its batches are created; the second one finds their answers."""
    rules = BatchRules(in_progress=0.5)
    with ScriptedServer(ANSWERS, batches=rules) as server:
        with Ledger(tmp_path / "ledger.db") as ledger:
            with pytest.raises(TimeoutError):
                _leave_early(server, ledger)
            left = ledger.open_batches("m")
            assert left
            assert all(batch_id for _, batch_id in left)
            # and one whose id was not kept any more
            ledger.store.write(
                "UPDATE batch SET batch_id = NULL, state = 'uploaded' WHERE key = ?", left[0][0]
            )
        with Ledger(tmp_path / "ledger.db") as ledger:
            assert _answers(server, ledger) == list(ANSWERS.values())
        assert server.bill.batch_answers == 60
        assert server.bill.paid_twice == 0


def test_what_an_earlier_start_set_aside_gives_way_to_what_its_batches_cost(tmp_path):
    """Ten of their rows failed, and one batch was never created: neither was paid."""

    def plan(ask):
        return "server_error" if ask.sentence in ALL[:10] else None

    price = load_prices()["gpt-4o-mini"]
    with ScriptedServer(ANSWERS, plan, batches=BatchRules(in_progress=0.5)) as server:
        with Ledger(tmp_path / "ledger.db") as ledger:
            with pytest.raises(TimeoutError):
                _leave_early(server, ledger, price=price)
            ledger.new_batch("never", "m", 1)
            facts = {"stage": "", "record": "", "model": "m", "request": "{}", "batch": "never"}
            ledger.intend(b"k", reserved=10**6, **facts)
            ledger.batch_is("never", "uploaded")
        with Ledger(tmp_path / "ledger.db") as ledger:
            budget = Budget(10**9, ledger.spent())
            assert budget.possible > 10**6
            assert budget.unpriced == 61
            assert _answers(server, ledger, price=price, budget=budget) == list(ANSWERS.values())
            ledger.store.flush()
            assert server.bill.batch_answers == 60
            assert (budget.known, budget.possible, budget.unpriced) == (ledger.spent().known, 0, 0)


def test_without_batches_a_run_that_has_some_at_the_endpoint_is_refused(tmp_path):
    """Another model's batches are no matter of this client."""
    with ScriptedServer(ANSWERS, batches=BatchRules(in_progress=0.5)) as server:
        with Ledger(tmp_path / "ledger.db") as ledger, pytest.raises(TimeoutError):
            _leave_early(server, ledger)
        with Ledger(tmp_path / "ledger.db") as ledger:
            client = ChatClient("m", server.base_url, ledger=ledger)
            with pytest.raises(UsageError, match=r"^3 batches of m .* Go on with --batch"):
                list(client.complete_many([[{"role": "user", "content": ALL[0]}]], max_tokens=50))
            assert server.bill.answers == 0
            other = ChatClient("other", server.base_url, ledger=ledger)
            (reply,) = other.complete_many([[{"role": "user", "content": ALL[0]}]], max_tokens=50)
            assert reply.text == ANSWERS[ALL[0]]
            assert _answers(server, ledger) == list(ANSWERS.values())
            (reply,) = client.complete_many([[{"role": "user", "content": ALL[0]}]], max_tokens=50)
            assert reply.cached
        assert (server.bill.batch_answers, server.bill.answers, server.bill.paid_twice) == (60, 1, 0)


def _online(server, ledger) -> list:
    client = ChatClient("m", server.base_url, ledger=ledger, retry=QUICK)
    asked = [[{"role": "user", "content": sentence}] for sentence in ALL]
    return [reply.text for reply in client.complete_many(asked, max_tokens=50)]


@pytest.mark.parametrize(
    ("served", "part", "status"), [(Files, "upload", 404), (Batches, "create", 400), (Batches, "create", 403)]
)
def test_batches_that_are_refused_cost_nothing_and_leave_the_way_open(
    ledger, monkeypatch, served, part, status
):
    """Endpoints without a Batch API, or without one for this model."""
    price = load_prices()["gpt-4o-mini"]

    def refuse(self, request):
        raise Refused(refusal(status, "no batches here"))

    with ScriptedServer(ANSWERS) as server:
        budget = Budget(10**9)
        with monkeypatch.context() as patched:
            patched.setattr(served, part, refuse)
            with pytest.raises(EndpointError, match="no batches here"):
                _answers(server, ledger, price=price, budget=budget)
        ledger.store.flush()
        assert ledger.open_batches("m") == []
        assert (budget.known, budget.possible, ledger.spent().unpriced) == (0, 0, 0)
        assert _online(server, ledger) == list(ANSWERS.values())
        assert (server.bill.batch_answers, server.bill.answers) == (0, 60)


def test_what_was_not_yet_sent_at_the_end_of_a_process_is_asked_in_whatever_way(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        ledger.new_batch("begun", "m", 1)
        facts = {"stage": "", "record": "", "model": "m", "request": "{}", "batch": "begun"}
        ledger.intend(b"k", reserved=10**6, **facts)
    with ScriptedServer(ANSWERS) as server, Ledger(path) as ledger:
        assert ledger.spent().unpriced == 0
        assert _online(server, ledger) == list(ANSWERS.values())


def test_batches_that_are_gone_are_told_and_asked_anew(tmp_path, capfd):
    """What they cost is not known."""
    path, price = tmp_path / "ledger.db", load_prices()["gpt-4o-mini"]
    with (
        ScriptedServer(ANSWERS, batches=BatchRules(in_progress=0.5)) as server,
        Ledger(path) as ledger,
        pytest.raises(TimeoutError),
    ):
        _leave_early(server, ledger, price=price)
    with ScriptedServer(ANSWERS) as server, Ledger(path) as ledger:  # it was started anew, and knows none
        assert _answers(server, ledger, price=price) == list(ANSWERS.values())
        ledger.store.flush()
        assert ledger.spent().unpriced == 60
    assert capfd.readouterr().err.count("not there any more; its cost is not known") == 3


def test_a_batch_that_was_created_though_its_reply_was_lost_is_not_created_again(ledger, monkeypatch):
    tried = []

    def create(self, body):
        tried.append(body["metadata"]["kcx_batch"])
        response = real(self, body)
        if len(tried) == 1:
            raise Refused(refusal(504, "upstream timed out"))
        return response

    real = Batches.create
    monkeypatch.setattr(Batches, "create", create)
    with ScriptedServer(ANSWERS) as server:
        assert _answers(server, ledger, ALL[:20]) == list(ANSWERS.values())[:20]
        assert (server.bill.batch_answers, server.bill.answers) == (20, 0)
    assert len(tried) == 1


@pytest.mark.parametrize("kind", ["text/html", "application/json"])
@pytest.mark.parametrize("path", ["/v1/files", "/v1/batches", "/v1/batches/batch_00000000", "/content"])
def test_pages_in_place_of_the_batch_apis_answers_pass(ledger, monkeypatch, path, kind):
    """What was asked is done all the same; only the response is another."""
    pages = []

    async def respond(self, request):
        response = await real(self, request)
        if request.path.endswith(path) and len(pages) < 2:
            pages.append(request.method)
            return Response(200, b"\n<html>maintenance</html>", {"content-type": kind})
        return response

    real = ScriptedServer._respond
    monkeypatch.setattr(ScriptedServer, "_respond", respond)
    with ScriptedServer(ANSWERS) as server:
        assert _answers(server, ledger, ALL[:20]) == list(ANSWERS.values())[:20]
        assert (server.bill.batch_answers, server.bill.answers) == (20, 0)
    assert pages == {"/v1/files": ["POST"] * 2, "/v1/batches": ["POST", "GET"]}.get(path, ["GET"] * 2)


def test_requests_that_go_by_themselves_come_to_their_end_after_a_stop(ledger):
    """Two are under way, two wait for their turn; what is asked later is refused."""

    async def run(server: ScriptedServer) -> list:
        client = ChatClient("m", server.base_url, ledger=ledger, concurrency=2, batch=_settings())

        def ask(sentence: str):
            return client.complete([{"role": "user", "content": sentence}], max_tokens=50)

        try:
            asked = asyncio.gather(*map(ask, ALL[:4]), return_exceptions=True)
            while server.bill.requests < 2:
                await asyncio.sleep(0.01)
            client.stop()
            with pytest.raises(Stopped):
                await ask(ALL[4])
            return await asked
        finally:
            await client.aclose()

    with ScriptedServer(ANSWERS, latency=0.5) as server:
        found = asyncio.run(asyncio.wait_for(run(server), 30))
        assert [reply.text for reply in found[:2]] == [ANSWERS[sentence] for sentence in ALL[:2]]
        assert all(isinstance(error, Stopped) for error in found[2:])
        assert server.bill.requests == server.bill.answers == 2
    assert [(row["state"], row["calls"]) for row in ledger.summary()] == [("answered", 2)]


def _leave_early(server, ledger, **options) -> None:
    client = ChatClient("m", server.base_url, ledger=ledger, batch=_settings(), **options)

    async def run() -> None:
        asks = [client.complete([{"role": "user", "content": one}], max_tokens=50) for one in ALL]
        everything = asyncio.gather(*asks, return_exceptions=True)
        while len(ledger.open_batches("m")) < 3 or not all(id for _, id in ledger.open_batches("m")):
            await asyncio.sleep(0.02)
        try:
            await asyncio.wait_for(everything, 0.05)
        finally:
            await client.aclose()

    asyncio.run(run())


def test_a_ledger_is_needed():
    client = ChatClient("m", "http://127.0.0.1:1/v1", batch=BatchSettings())
    with pytest.raises(UsageError, match="batches need a ledger"):
        asyncio.run(client.complete([{"role": "user", "content": "x"}]))


def test_what_was_sent_is_in_the_ledger(ledger):
    with ScriptedServer(ANSWERS) as server:
        _answers(server, ledger, ALL[:10])
    assert json.loads(ledger.request(1))["messages"][0]["content"] == ALL[0]
