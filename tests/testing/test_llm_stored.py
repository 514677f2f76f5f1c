"""Stored completions and limits of the scripted server, through the official client."""

import openai
import pytest

from kcx_jax.prompts.extraction import sentence_context
from kcx_jax.testing.llm_server import Limits, ScriptedServer

SENTENCES = [f"Ada number {i} went." for i in range(5)]
ANSWERS = dict.fromkeys(SENTENCES, '[Person("Ada")]')


def _sdk(server: ScriptedServer) -> openai.OpenAI:
    http_client = openai.DefaultHttpxClient(trust_env=False)
    return openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0, http_client=http_client)


def _ask(client: openai.OpenAI, sentence: str, model: str = "m", **options):
    messages = [{"role": "user", "content": sentence_context(sentence)}]
    return client.chat.completions.create(model=model, messages=messages, **options)


def test_stored_completions_are_found_by_metadata_model_and_id():
    with ScriptedServer(ANSWERS) as server, _sdk(server) as client:
        kept = [
            _ask(client, sentence, store=True, metadata={"run": "a", "key": str(i)})
            for i, sentence in enumerate(SENTENCES)
        ]
        other = _ask(client, SENTENCES[0], model="n", store=True)
        _ask(client, SENTENCES[0], model="never stored")
        completions = client.chat.completions
        assert [one.id for one in completions.list()] == [one.id for one in (*kept, other)]
        assert [one.id for one in completions.list(metadata={"run": "a", "key": "3"})] == [kept[3].id]
        assert list(completions.list(metadata={"run": "b"})) == []
        assert [one.id for one in completions.list(model="n")] == [other.id]
        assert [one.id for one in completions.list(order="desc", limit=2)] == [
            one.id for one in (other, *kept[::-1])
        ]
        found = completions.retrieve(kept[2].id)
        assert (found.choices, found.usage) == (kept[2].choices, kept[2].usage)
        assert found.model_extra == {"metadata": {"run": "a", "key": "2"}} or found.metadata["key"] == "2"
        with pytest.raises(openai.NotFoundError):
            completions.retrieve("chatcmpl-none")


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_pages_follow_each_other_without_gap_or_overlap(limit):
    with ScriptedServer(ANSWERS) as server, _sdk(server) as client:
        kept = [_ask(client, sentence, store=True).id for sentence in SENTENCES]
        page = client.chat.completions.list(limit=limit)
        seen = [one.id for one in page.data]
        while page.has_more:
            page = client.chat.completions.list(limit=limit, after=seen[-1])
            assert len(page.data) <= limit
            seen += [one.id for one in page.data]
        assert seen == kept


def test_an_answer_that_was_lost_is_in_the_store():
    with ScriptedServer(ANSWERS, {"reset_billed": 1.0}) as server, _sdk(server) as client:
        with pytest.raises(openai.APIConnectionError):
            _ask(client, SENTENCES[0], store=True, metadata={"key": "k"})
        (found,) = client.chat.completions.list(metadata={"key": "k"})
        assert found.choices[0].message.content == ANSWERS[SENTENCES[0]]
        assert (server.bill.answers, server.bill.paid_twice) == (1, 0)


@pytest.mark.parametrize(
    "options",
    [
        {"metadata": {"k": "v"}},
        {"store": True, "metadata": {"k" * 65: "v"}},
        {"store": True, "metadata": {"k": "v" * 513}},
        {"store": True, "metadata": {"k": 7}},
        {"store": True, "metadata": {str(i): "" for i in range(17)}},
        {"store": True, "metadata": ["k"]},
        {"store": "yes"},
    ],
)
def test_metadata_that_is_none_is_refused(options):
    with ScriptedServer(ANSWERS) as server, _sdk(server) as client:
        with pytest.raises(openai.BadRequestError):
            _ask(client, SENTENCES[0], extra_body=options)
        assert server.bill.answers == 0


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"limit": "-1"}, {"order": "up"}])
def test_a_list_asked_wrongly_is_refused(query):
    with ScriptedServer(ANSWERS) as server, _sdk(server) as client, pytest.raises(openai.BadRequestError):
        client.chat.completions.list(extra_query=query)


@pytest.mark.parametrize("options", [{"store": True}, {"store": True, "metadata": {"k": "v"}}])
def test_a_server_without_a_store_refuses_it(options):
    with ScriptedServer(ANSWERS, stored=False) as server, _sdk(server) as client:
        with pytest.raises(openai.BadRequestError, match="Unrecognized request argument"):
            _ask(client, SENTENCES[0], **options)
        assert _ask(client, SENTENCES[0]).choices[0].message.content == ANSWERS[SENTENCES[0]]
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.list()


def test_requests_over_the_limit_wait_for_the_window_to_slide():
    now = [1000.0]
    with (
        ScriptedServer(ANSWERS, limits=Limits(requests=2), clock=lambda: now[0]) as server,
        _sdk(server) as client,
    ):
        _ask(client, SENTENCES[0])
        now[0] += 20
        headers = client.chat.completions.with_raw_response.create(
            model="m", messages=[{"role": "user", "content": sentence_context(SENTENCES[1])}]
        ).headers
        assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == (
            "2",
            "0",
        )
        with pytest.raises(openai.RateLimitError) as caught:
            _ask(client, SENTENCES[2])
        assert caught.value.code == "rate_limit_exceeded"
        assert caught.value.response.headers["retry-after"] == "40"
        assert caught.value.response.headers["retry-after-ms"] == "40000"
        now[0] += 40  # the first is a minute old; the second is not
        _ask(client, SENTENCES[2])
        with pytest.raises(openai.RateLimitError):
            _ask(client, SENTENCES[3])
        assert (server.bill.answers, server.bill.violations) == (3, 2)


def test_tokens_count_with_the_most_that_may_be_answered():
    now = [0.0]
    with (
        ScriptedServer(ANSWERS, limits=Limits(tokens=500), clock=lambda: now[0]) as server,
        _sdk(server) as client,
    ):
        _ask(client, SENTENCES[0], max_completion_tokens=400)
        with pytest.raises(openai.RateLimitError) as caught:
            _ask(client, SENTENCES[1], max_completion_tokens=400)
        now[0] += float(caught.value.response.headers["retry-after-ms"]) / 1000
        _ask(client, SENTENCES[1], max_completion_tokens=400)
        with pytest.raises(openai.RateLimitError) as caught:
            _ask(client, SENTENCES[2], max_completion_tokens=501)  # never fits
        assert "retry-after" not in caught.value.response.headers
