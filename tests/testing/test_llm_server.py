"""The scripted server: right answers, faults by content and seed, and the wire format of the real thing."""

import contextlib
import json
import random
import socket
from collections import Counter

import openai
import pydantic
import pytest

from kcx_jax.corpora import Mention, ParallelRecord, Record
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.parallel.translation import prompts
from kcx_jax.parallel.translation.spans import source_spans
from kcx_jax.prompts.extraction import TASK_LINES, sentence_context
from kcx_jax.testing.llm_script import CONTENT, Ask, random_faults
from kcx_jax.testing.llm_server import ScriptedServer

SENTENCE = 'She said "hi" to Ada\nin \\London.'
ANSWER = '[Person("Ada")]'


def _pair() -> ParallelRecord:
    source = Record("r", "en", "Ada went.", (Mention("e0", "Person", 0, 3, "Ada"),))
    return ParallelRecord(
        "r", source, Record("r", "zh", "艾达走了。", (Mention("e0", "Person", 0, 2, "艾达"),))
    )


def _rich_pair() -> ParallelRecord:
    """A pair in which every fault finds something to change, in whichever span."""
    source = Record("r", "en", "Ada, Bob, Ada.", _mentions("Ada, Bob, Ada.", "Ada", "Bob", "Ada"))
    text = "在国中，é-国a1、ü-国b2、é-国a1。"
    return ParallelRecord("r", source, Record("r", "zh", text, _mentions(text, "é-国a1", "ü-国b2", "é-国a1")))


def _mentions(text: str, *surfaces: str) -> tuple[Mention, ...]:
    mentions, at = [], 0
    for i, surface in enumerate(surfaces):
        start = text.index(surface, at)
        at = start + len(surface)
        mentions.append(Mention(f"e{i}", "Person", start, at, surface))
    return tuple(mentions)


def _sdk(server: ScriptedServer, **options) -> openai.OpenAI:
    http_client = openai.DefaultHttpxClient(trust_env=False)
    options = {"api_key": "none", "max_retries": 0} | options
    return openai.OpenAI(base_url=server.base_url, http_client=http_client, **options)


def _ask(server: ScriptedServer, content: str, **options):
    with _sdk(server) as client:
        messages = [{"role": "system", "content": "Extract."}, {"role": "user", "content": content}]
        return client.chat.completions.create(model="m", messages=messages, **options)


def test_the_sdk_reads_what_the_server_sends():
    with ScriptedServer({SENTENCE: ANSWER}) as server:
        reply = _ask(server, f"class Person(Entity): ...\n{sentence_context(SENTENCE)}")
        with _sdk(server) as client:
            assert list(client.models.list()) == []
    assert reply.choices[0].message.content == ANSWER
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert (server.bill.input_tokens, server.bill.output_tokens) == (
        reply.usage.prompt_tokens,
        reply.usage.completion_tokens,
    )
    assert reply._request_id.startswith("req_")


def test_the_sdks_own_structured_output_reads_a_translation():
    class Span(pydantic.BaseModel):
        id: str
        text: str

    class Translation(pydantic.BaseModel):
        sentence: str
        spans: list[Span]

    pair = _pair()
    data = prompts.translate_data(pair.source, "zh", source_spans(pair.source))
    with ScriptedServer(pairs=[pair]) as server, _sdk(server) as client:
        reply = client.chat.completions.parse(
            model="m", messages=prompts.messages(data), response_format=Translation
        )
    assert reply.choices[0].message.parsed == Translation(
        sentence="艾达走了。", spans=[Span(id="s0", text="艾达")]
    )


@pytest.mark.parametrize("task", list(TASK_LINES))
def test_an_answer_may_depend_on_the_task(task):
    answers = {SENTENCE: {name: f"[{name}]" for name in TASK_LINES}}
    with ScriptedServer(answers) as server:
        reply = _ask(server, f"{TASK_LINES[task]}\n{sentence_context(SENTENCE)}")
    assert reply.choices[0].message.content == f"[{task}]"


def test_the_last_known_sentence_of_a_prompt_is_the_one_asked():
    shots = f'sentence = "One."\nresults = [Person("One")]\n{sentence_context("Two.")}'
    with ScriptedServer({"One.": "1", "Two.": "2", "Three.": "3"}) as server:
        assert _ask(server, shots).choices[0].message.content == "2"
        assert _ask(server, "Find the people in:\nThree.").choices[0].message.content == "3"


def test_what_the_script_does_not_know_is_refused():
    with ScriptedServer({SENTENCE: ANSWER}, pairs=[_pair()]) as server:
        with pytest.raises(openai.BadRequestError, match="no sentence of the script"):
            _ask(server, 'sentence = "Who?"')
        data = prompts.translate_data(_pair().source, "fr", source_spans(_pair().source))
        with pytest.raises(openai.BadRequestError, match="has no fr"):
            _ask(server, prompts.messages(data)[1]["content"])
        data = prompts.translate_data(_pair().source, "zh", ())
        data["spans"] = [{"id": "s0", "text": "someone else"}]
        with pytest.raises(openai.BadRequestError, match="other spans"):
            _ask(server, json.dumps(data))


def test_a_key_is_asked_for_when_the_server_has_one():
    with ScriptedServer({SENTENCE: ANSWER}, api_key="right") as server:
        with _sdk(server, api_key="wrong") as client, pytest.raises(openai.AuthenticationError):
            client.models.list()
        with _sdk(server, api_key="right") as client:
            client.models.list()


def test_a_port_in_use_is_one_clear_error():
    with ScriptedServer() as server:
        port = int(server.base_url.split(":")[2].split("/")[0])
        with pytest.raises(KcxError, match=rf"cannot listen on 127\.0\.0\.1:{port}"):
            ScriptedServer(port=port).start()
    ScriptedServer(port=port).start().stop()  # free again


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n",
        b"hello\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 999999999999\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: minus\r\n\r\n",
        b"x" * 100_000,
    ],
)
def test_what_is_no_request_ends_its_connection_and_nothing_else(sent):
    with ScriptedServer({SENTENCE: ANSWER}) as server:
        port = int(server.base_url.split(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(sent)
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(100) == b""
        assert _ask(server, sentence_context(SENTENCE)).choices[0].message.content == ANSWER


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"{}", b'{"model": "m", "messages": []}', b'{"model": "m", "messages": [7]}']
)
def test_a_malformed_body_is_a_bad_request(body):
    with ScriptedServer({SENTENCE: ANSWER}) as server:
        port = int(server.base_url.split(":")[2].split("/")[0])
        head = f"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(head + body)
            assert connection.recv(12) == b"HTTP/1.1 400"


def _asks(count: int) -> list[Ask]:
    return [Ask("m", "translate", str(i), {}, random.Random(i).randbytes(16)) for i in range(count)]


def test_faults_belong_to_contents_in_their_shares():
    rates = {"missing_span": 0.3, "hang": 0.1}
    asks = _asks(4000)
    plan = random_faults(rates, seed=1)
    drawn = [plan(ask) for ask in asks]
    shares = {name: count / len(asks) for name, count in Counter(drawn).items()}
    assert shares == pytest.approx({"missing_span": 0.3, "hang": 0.1, None: 0.6}, abs=0.03)
    assert [random_faults(rates, seed=1)(ask) for ask in asks[::-1]] == drawn[::-1]
    assert [random_faults(rates, seed=2)(ask) for ask in asks] != drawn


@pytest.mark.parametrize("rates", [{"gremlins": 0.1}, {"hang": 0.6, "drop": 0.6}, {"hang": -0.1}])
def test_rates_that_make_no_sense_are_refused(rates):
    with pytest.raises(UsageError):
        ScriptedServer(faults=rates)


def test_what_was_answered_and_is_asked_again_counts_as_paid_twice():
    with ScriptedServer({SENTENCE: ANSWER, "Other.": ANSWER}) as server:
        for sentence in (SENTENCE, "Other.", SENTENCE, SENTENCE):
            _ask(server, sentence_context(sentence))
        assert (server.bill.requests, server.bill.answers, server.bill.paid_twice) == (4, 4, 2)


@pytest.mark.parametrize("fault", CONTENT)
def test_every_fault_has_an_effect(fault):
    """On the request it is made for: the reply differs from the right one, or there is none."""
    pair = _rich_pair()
    spans = source_spans(pair.source)
    draft = prompts.Draft("他走了。", {"s0": "é-国a1", "s1": "ü-国b2", "s2": "é-国a1"})
    stage = prompts.rewrite_sentence_data if fault == "wholesale_rewrite" else prompts.translate_data
    data = stage(pair.source, "zh", *((draft, spans, spans) if fault == "wholesale_rewrite" else (spans,)))

    def content(faults) -> str:
        with ScriptedServer(faults=faults, pairs=[pair], hang=0.1, passes=1) as server:
            reply = _ask(server, prompts.messages(data)[1]["content"])
            return reply.choices[0].message.content

    right = content(None)
    with contextlib.suppress(openai.APIError, ValueError, IndexError):
        assert content({fault: 1.0}) != right
