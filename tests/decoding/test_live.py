"""What comes one by one is answered as a whole call would be, whatever comes, goes or fails beside it."""

import asyncio
import contextlib
import gc
import threading
from collections import Counter
from concurrent.futures import CancelledError, wait
from itertools import pairwise

import jax
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kcx_jax.decoding import (
    Constraint,
    ContextTooLongError,
    Generator,
    Live,
    LiveClosedError,
    LiveFailedError,
    QueueFullError,
    Stops,
    Wanted,
    live,
    live_group,
)
from kcx_jax.decoding import generator as generating
from kcx_jax.decoding.live_group import Job
from kcx_jax.errors import UsageError
from kcx_jax.ops.sampling import GREEDY, Sampling
from kcx_jax.prompts.extraction import extraction_prefix, sentence_context
from kcx_jax.schema import load_schema

SCHEMA = load_schema("class Person(Entity): ...\nclass City(Entity): ...")
OTHER = load_schema("class Animal(Entity): ...\nclass Plant(Entity): ...\nclass Person(Entity): ...")
TEXTS = ["Ada was born in London.", "李白生于碎叶城，李白。", "a", "", "On 3 May, New York\tcame 😀 to Ada."]
DRAWN = Sampling(temperature=1.5, top_k=40, seed=5)
CLOSING = 1990  # the tiny tokenizer's "]"
LONG = Sampling(logit_bias=((CLOSING, -4.0),))  # few empty answers
KINDS = {
    "one": (extraction_prefix(SCHEMA, "ner"), Constraint(SCHEMA, "ner"), LONG),
    "other": (extraction_prefix(OTHER, "ner"), Constraint(OTHER, "ner"), LONG),
    "drawn": (extraction_prefix(SCHEMA, "ner"), None, DRAWN),
    "open": ("Once\n", None, GREEDY),
}
LIMITS = (3, 20)
SECONDS = 300  # nothing takes so long: a test that hangs fails


@pytest.fixture(scope="module")
def generator(tiny):
    """Batches of one slot try three lines of drafts, those of three slots one."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(generating, "_MOST_LINES_ON_CPU", 3)
        yield Generator(tiny, slots=3)


@pytest.fixture(scope="module")
def answers(tiny):
    """What `Generator.generate` says, by kind, limit and text."""
    generator, found = Generator(tiny, slots=3, lines=1), {}
    for kind, (prefix, constraint, sampling) in KINDS.items():
        for limit in LIMITS:
            contexts = list(map(sentence_context, TEXTS))
            made = generator.generate(prefix, contexts, limit, constraint, TEXTS, sampling)
            found |= {(kind, limit, place): answer for place, answer in enumerate(made)}
    assert tiny.tokenizer.encode("[]")[-1] == CLOSING
    assert len({answer.ids for answer in found.values()}) > 20
    assert {answer.finish_reason for answer in found.values()} == {"stop", "length"}
    return found


@pytest.fixture
def engine(generator):
    with Live(generator) as engine:
        yield engine
    figures = engine.figures()
    assert (figures.queued, figures.live, figures.slots, figures.groups) == (0, 0, 0, 0)


def _wanted(kind="open", limit=20, place=0, **changes):
    prefix, constraint, sampling = KINDS[kind]
    given = {"constraint": constraint, "sentence": TEXTS[place], "sampling": sampling, "number": place}
    return Wanted(prefix, sentence_context(TEXTS[place]), limit, **given | changes)


def _same(got, want):
    return (got.ids, got.text, got.finish_reason) == (want.ids, want.text, want.finish_reason)


asked = st.tuples(st.sampled_from(sorted(KINDS)), st.sampled_from(LIMITS), st.integers(0, len(TEXTS) - 1))
events = st.lists(
    st.one_of(asked, asked, asked, st.tuples(st.just("cancel"), st.integers(0, 30)), st.just("wait")),
    min_size=1,
    max_size=20,
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events, st.sampled_from([1, 2, 16]), st.sampled_from([1, 3]), st.sampled_from([1, 2, 8]))
def test_any_interleaving_answers_as_a_whole_call(generator, answers, events, steps, share, groups):
    """Requests of several kinds come, are cancelled and waited for; groups have few turns and little room."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(live, "_STEPS", steps)
        patched.setattr(live, "_SHARE", share)
        patched.setattr(live, "_MOST_OPEN", groups)
        patched.setattr(live_group, "_CALM_TURNS", 2)
        tickets, told = [], []
        with Live(generator) as engine:
            for event in events:
                if event == "wait":
                    wait([ticket.future for ticket, _ in tickets[:1]], SECONDS)
                elif event[0] == "cancel":
                    if tickets:
                        tickets[event[1] % len(tickets)][0].cancel()
                else:
                    told.append([])
                    tickets.append((engine.submit(_wanted(*event), told[-1].append), event))
            cancelled = 0
            for (ticket, event), texts in zip(tickets, told, strict=True):
                try:
                    got = ticket.future.result(SECONDS)
                except CancelledError:
                    cancelled += 1
                    continue
                assert _same(got, answers[event]), event
                assert not got.text or texts[-1] == got.text
                for before, after in pairwise(texts):
                    assert after.startswith(before)
            figures = engine.figures()
            assert figures.answered == len(tickets) - cancelled
            assert figures.errors == 0
        figures = engine.figures()
        assert figures.answered + figures.cancelled == len(tickets)
        assert (figures.queued, figures.live) == (0, 0)


class Held:
    """A callback that holds the engine between two turns until it may go on."""

    def __init__(self):
        self._reached, self._go_on = threading.Event(), threading.Event()

    def __call__(self, _):
        self._reached.set()
        assert self._go_on.wait(SECONDS)

    def wait(self):
        assert self._reached.wait(SECONDS)

    def go_on(self):
        self._go_on.set()


@pytest.fixture
def short_turns(monkeypatch):
    monkeypatch.setattr(live, "_STEPS", 4)


def test_requests_join_a_batch_that_is_being_decoded(short_turns, engine, answers):
    """A second request is written in the steps that the first one takes."""
    held = Held()
    first = engine.submit(_wanted("open", 30), held)
    held.wait()
    assert engine.figures().forwards == 4
    second = engine.submit(_wanted("open", 20, 1))
    held.go_on()
    assert _same(second.future.result(SECONDS), answers["open", 20, 1])
    assert len(first.future.result(SECONDS).ids) == 30
    assert engine.figures().forwards == 29, "the other one took none of its own"


def test_a_cancelled_request_frees_its_slot_and_one_that_waits_is_gone(short_turns, engine):
    held = Held()
    with engine._changed:  # the first turn finds all of them
        tickets = [engine.submit(_wanted("open", 30), held) for _ in range(7)]
    held.wait()
    assert (engine.figures().live, engine.figures().queued) == (3, 4)
    for ticket in tickets:
        ticket.cancel()
    held.go_on()
    done, _ = wait([ticket.future for ticket in tickets], SECONDS)
    assert len(done) == 7
    assert engine.submit(_wanted("open", 20)).future.result(SECONDS).finish_reason == "length"
    figures = engine.figures()
    assert (figures.live, figures.queued, figures.cancelled) == (0, 0, 7)
    assert figures.forwards == 4 + 19
    for ticket in tickets:
        ticket.cancel()  # again: nothing happens
        with pytest.raises(CancelledError):
            ticket.future.result(SECONDS)


def test_a_full_queue_says_how_many_wait_and_takes_requests_again_later(generator):
    with Live(generator, queue_limit=4) as engine:
        held = Held()
        tickets = [engine.submit(_wanted("open", 30), held)]
        held.wait()
        tickets += [engine.submit(_wanted("open", 3)) for _ in range(4)]
        with pytest.raises(QueueFullError, match="4 requests wait") as refused:
            engine.submit(_wanted("one", 3))
        assert refused.value.waiting == engine.figures().queued == 4
        held.go_on()
        assert all(ticket.future.result(SECONDS) for ticket in tickets)
        assert engine.submit(_wanted("open", 3)).future.result(SECONDS)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"stops": Stops(ids=(10**6,))}, UsageError),
        ({"stops": Stops(texts=("",))}, UsageError),
        ({"stops": Stops(texts=("x" * 300,))}, UsageError),
        ({"sampling": Sampling(logit_bias=((10**6, 1.0),))}, UsageError),
        ({"max_new_tokens": 0}, UsageError),
        ({"max_new_tokens": 8.5}, UsageError),
        ({"number": 1 << 31}, UsageError),
        ({"context": ""}, UsageError),
        ({"prefix": (5,), "context": (1 << 20,)}, UsageError),
        ({"constraint": Constraint(load_schema(["person"]), "ner")}, UsageError),  # and no sentence
        ({"context": "a b " * 5000}, ContextTooLongError),
    ],
)
def test_what_cannot_be_is_refused_at_once(engine, changes, error):
    given = {"prefix": "Once\n", "context": "x", "max_new_tokens": 4} | changes
    with pytest.raises(error):
        engine.submit(Wanted(**given))
    assert engine.figures().queued == 0


def test_texts_that_end_an_answer_are_never_told(short_turns, engine, answers):
    """What is told is what stays, half a character or half a stop text apart."""
    plain = answers["open", 20, 1]
    stop = plain.text[-12:-4]
    assert stop.strip()
    told = []
    ticket = engine.submit(_wanted("open", 30, 1, stops=Stops(texts=(stop,))), told.append)
    got = ticket.future.result(SECONDS)
    assert got.text == plain.text[: plain.text.find(stop)]
    assert told
    assert all(got.text.startswith(text) for text in told)


def test_what_is_written_within_one_turn_is_told_before_the_answer_is_there(engine, answers):
    told, held = [], Held()

    def on_text(text):
        told.append(text)
        held(text)

    ticket = engine.submit(_wanted("open", 3), on_text)
    held.wait()
    assert not ticket.future.done()
    held.go_on()
    assert _same(ticket.future.result(SECONDS), answers["open", 3, 0])
    assert told == [answers["open", 3, 0].text]


@pytest.mark.parametrize("kind", [KeyError, asyncio.CancelledError, SystemExit, KeyboardInterrupt])
def test_what_a_caller_raises_ends_its_own_request_only(short_turns, engine, answers, kind, caplog):
    def wrong(_):
        raise kind("mine")

    bad = [engine.submit(_wanted("open", limit), wrong) for limit in (3, 30)]
    good = engine.submit(_wanted("open", 20, 1))
    good.future.add_done_callback(wrong)
    for ticket in bad:
        with pytest.raises(kind, match="mine"):
            ticket.future.result(SECONDS)
    assert _same(good.future.result(SECONDS), answers["open", 20, 1])
    assert engine.submit(_wanted("open", 20, 2)).future.result(SECONDS)
    figures = engine.figures()
    assert (figures.errors, figures.live, figures.answered) == (2, 0, 2)
    assert "callback" in caplog.text


def _breaks(monkeypatch, name, why):
    """Let a function of the decoder fail from now on."""

    def broken(*_):
        raise RuntimeError(why)

    monkeypatch.setattr(f"kcx_jax.decoding.{name}", broken)


def test_a_failing_device_fails_what_is_under_way_and_the_engine_goes_on(
    short_turns, engine, answers, monkeypatch
):
    """Those of the batch that failed, in slots and before them; not those of another group."""
    held = Held()
    lost = [engine.submit(_wanted("open", 30), held), *(engine.submit(_wanted("open", 30)) for _ in range(5))]
    held.wait()
    with monkeypatch.context() as patched:
        _breaks(patched, "batch.run", "out of memory")
        held.go_on()
        for ticket in lost:
            with pytest.raises(LiveFailedError, match="out of memory"):
                ticket.future.result(SECONDS)
    assert _same(engine.submit(_wanted("open", 20, 1)).future.result(SECONDS), answers["open", 20, 1])
    figures = engine.figures()
    assert (figures.failed, figures.errors, figures.live, figures.queued) == (None, 6, 0, 0)


def test_a_dead_device_is_told_to_all_and_nothing_hangs(generator, monkeypatch):
    engine, held = Live(generator), Held()
    tickets = [engine.submit(_wanted(kind, 20), held) for kind in ("open", "one", "other")]
    held.wait()
    _breaks(monkeypatch, "batch.run", "the device is gone")
    _breaks(monkeypatch, "live._prove_alive", "it is gone for good")
    held.go_on()
    for ticket in tickets:
        with pytest.raises(LiveFailedError, match="gone"):
            ticket.future.result(SECONDS)
    engine.close()
    assert "gone for good" in engine.figures().failed
    for ask in (engine.submit, lambda wanted: engine.warm([wanted])):
        with pytest.raises(LiveFailedError, match="gone for good"):
            ask(_wanted("open", 20))


def test_closing_finishes_what_it_has_time_for_and_cancels_the_rest(short_turns, generator, answers):
    engine = Live(generator)
    tickets = [(place, engine.submit(_wanted("open", 20, place))) for place in range(5)]
    engine.close(drain_seconds=SECONDS)
    assert all(_same(ticket.future.result(0), answers["open", 20, place]) for place, ticket in tickets)
    with pytest.raises(LiveClosedError):
        engine.submit(_wanted("open", 20))
    engine, held = Live(generator), Held()
    tickets = [engine.submit(_wanted("open", 30), held) for _ in range(5)]
    held.wait()
    closing = threading.Thread(target=engine.close)
    closing.start()
    with contextlib.suppress(LiveClosedError):
        while True:  # until it is closed
            engine.submit(_wanted("open", 3)).cancel()
    held.go_on()
    closing.join(SECONDS)
    engine.close()  # again
    assert all(ticket.future.cancelled() for ticket in tickets)
    assert (engine.figures().answered, engine.figures().queued, engine.figures().live) == (0, 0, 0)


def test_a_steady_stream_does_not_hold_up_another_schema(generator, monkeypatch):
    """With room for one group: the other one has its turn after the share, and the turns that finish what is begun."""
    monkeypatch.setattr(live, "_MOST_OPEN", 1)
    monkeypatch.setattr(live, "_STEPS", 4)
    share, finish = live._SHARE, 20 // 4 + 1
    with Live(generator) as engine:
        ends, running = threading.Event(), threading.Event()

        def again(_=None):
            running.set()
            if not ends.is_set():
                engine.submit(_wanted("open", 20)).future.add_done_callback(again)

        for _ in range(8):
            again()
        assert running.wait(SECONDS)
        for place in range(3):
            before = engine.figures().turns
            engine.submit(_wanted("other", 3, place)).future.result(SECONDS)
            turns = engine.figures().turns - before
            assert turns <= 2 * (share + finish) + 1 + 3, "and its own"
        ends.set()


def test_after_warming_nothing_is_compiled_or_read(tiny):
    jax.clear_caches()  # other tests' programs
    generator = Generator(tiny, slots=3)
    compiled = []

    def note(event, seconds, fun_name="", **_):
        if event == "/jax/core/compile/backend_compile_duration" and threading.current_thread() is thread:
            compiled.append(fun_name)

    with Live(generator) as engine:
        thread = engine._thread
        jax.monitoring.register_event_duration_secs_listener(note)
        engine.warm([_wanted("open", 20)], pin=True)
        assert "jit(run)" in compiled
        compiled.clear()
        read = generator.prefixes.tokens_read
        for number in (1, 12, 1):
            tickets = [engine.submit(_wanted("open", 20, place % 5)) for place in range(number)]
            if number > 1:
                tickets.pop().cancel()
            assert all(ticket.future.result(SECONDS) for ticket in tickets)
        assert compiled == []
        assert generator.prefixes.tokens_read == read


def _churn(generator, requests):
    """Many requests, some cancelled; what is left of them afterwards."""
    kept = []
    with Live(generator, queue_limit=requests) as engine:
        for _ in range(3):
            for number in range(requests // 3):
                limit = 1 + number % 5
                ticket = engine.submit(_wanted("open", limit, number % 5))
                if number % 7 == 0:
                    ticket.cancel()
                else:
                    ticket.future.add_done_callback(lambda future: None)
                last = ticket
            wait([last.future], SECONDS)
            engine.submit(_wanted("open", 3)).future.result(SECONDS)
            while engine.figures().queued + engine.figures().live:
                engine.submit(_wanted("open", 1)).future.result(SECONDS)
            del ticket, last
            gc.collect()
            kinds = Counter(
                type(each).__name__ for each in gc.get_objects() if isinstance(each, (Job, jax.Array))
            )
            kept.append((len(jax.live_arrays()), kinds["Job"]))
            del kinds
        figures = engine.figures()
    assert figures.answered + figures.cancelled >= requests // 3 * 3
    assert figures.cancelled > 0
    return kept


def test_memory_is_flat_over_many_requests(generator):
    _, second, third = _churn(generator, 2000)
    assert second == third
    assert third[1] == 0


@pytest.mark.slow
def test_memory_is_flat_over_very_many_requests(generator):
    _, second, third = _churn(generator, 20_000)
    assert second == third
    assert third[1] == 0
