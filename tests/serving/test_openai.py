"""The OpenAI-compatible routes, called by OpenAI's own client; what they do not support they refuse by name."""

import asyncio
import json

import openai
import pytest

from kcx_jax.decoding import ContextTooLongError, Stops
from kcx_jax.decoding.live import QueueFullError
from kcx_jax.ops.sampling import GREEDY
from kcx_jax.tokenizer.chat import ASSISTANT_ID, USER_ID

from .stand_in import TOKENIZER, StandIn

PROMPT = "Ada Lovelace was"
ANSWER = " born in 碎叶城 😀 with a café."
TURNS = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": "Who?"},
    {"role": "assistant", "content": "Ada."},
    {"role": "user", "content": "Where?"},
]


@pytest.fixture
def running(serving):
    return serving(StandIn(lambda wanted: ANSWER), max_new_tokens=64)


@pytest.fixture
def client(running):
    return openai.OpenAI(base_url=f"{running.url}/v1", api_key="any", max_retries=0)


def test_a_completion(client, running):
    reply = client.completions.create(
        model="tiny",
        prompt=PROMPT,
        max_tokens=9,
        temperature=0.5,
        top_p=0.9,
        seed=7,
        stop=["\n", "x"],
        logprobs=0,
    )
    assert reply.choices[0].text == ANSWER
    assert reply.choices[0].finish_reason == "stop"
    ids = TOKENIZER.encode(ANSWER)
    assert reply.usage.prompt_tokens == len(TOKENIZER.encode(PROMPT))
    assert reply.usage.completion_tokens == len(ids) == len(reply.choices[0].logprobs.tokens)
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    offsets = reply.choices[0].logprobs.text_offset
    assert offsets == [len(TOKENIZER.decode(ids[:number]).rstrip("\ufffd")) for number in range(len(ids))]
    wanted = running.engine.asked[0][0]
    assert (wanted.prefix, wanted.context) == ("", PROMPT)
    assert (wanted.max_new_tokens, wanted.stops, wanted.number) == (9, Stops(texts=("\n", "x")), 0)
    assert (wanted.sampling.temperature, wanted.sampling.top_p, wanted.sampling.seed) == (0.5, 0.9, 7)


def test_the_tokens_of_an_answer_spell_its_text_symbols_too(serving):
    """A model may write symbols that nobody types, and its answer's text shows them."""
    text = "Ada<reserved_106> was<SEP>there"
    client = openai.OpenAI(base_url=f"{serving(StandIn(lambda wanted: text)).url}/v1", api_key="any")
    said = client.completions.create(model="tiny", prompt=PROMPT, max_tokens=9, logprobs=0).choices[0]
    assert "".join(said.logprobs.tokens) == said.text == text
    ends = [*said.logprobs.text_offset[1:], len(text)]
    spans = zip(said.logprobs.text_offset, ends, strict=True)
    assert [text[start:end] for start, end in spans] == said.logprobs.tokens
    said = client.chat.completions.create(model="tiny", messages=TURNS, max_tokens=9, logprobs=True)
    assert b"".join(bytes(token.bytes) for token in said.choices[0].logprobs.content).decode() == text


def test_a_conversation(client, running):
    reply = client.chat.completions.create(
        model="tiny", messages=TURNS, temperature=0, max_completion_tokens=5, logprobs=True, user="me"
    )
    assert reply.choices[0].message.content == ANSWER
    assert reply.choices[0].message.role == "assistant"
    said = b"".join(bytes(token.bytes) for token in reply.choices[0].logprobs.content)
    assert said.decode() == ANSWER
    wanted = running.engine.asked[0][0]
    assert wanted.sampling == GREEDY
    before = [*TOKENIZER.encode("Be short."), USER_ID, *TOKENIZER.encode("Who?"), ASSISTANT_ID]
    assert list(wanted.prefix) == [*before, *TOKENIZER.encode("Ada.")]
    assert list(wanted.context) == [USER_ID, *TOKENIZER.encode("Where?"), ASSISTANT_ID]
    assert reply.usage.prompt_tokens == len(wanted.prefix) + len(wanted.context)


def test_streams_say_the_same_in_pieces(client):
    options = {"model": "tiny", "stream": True, "stream_options": {"include_usage": True}}
    *chunks, last = client.completions.create(prompt=PROMPT, **options)
    assert len(chunks) >= 2
    assert "".join(chunk.choices[0].text for chunk in chunks) == ANSWER
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [*[None] * (len(chunks) - 1), "stop"]
    assert last.usage.completion_tokens == len(TOKENIZER.encode(ANSWER))
    *chunks, last = client.chat.completions.create(messages=TURNS, **options)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ANSWER
    assert last.choices == []
    assert len({chunk.id for chunk in [*chunks, last]}) == 1


def test_the_asynchronous_client_at_once(running):
    async def ask():
        async with openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key="any") as client:

            async def one(number: int) -> str:
                if number % 2:
                    reply = await client.completions.create(model="tiny", prompt=f"{PROMPT} {number}")
                    return reply.choices[0].text
                stream = await client.chat.completions.create(model="tiny", messages=TURNS, stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

            return await asyncio.gather(*map(one, range(40)))

    assert asyncio.run(ask()) == [ANSWER] * 40


def test_the_models(client):
    assert [model.id for model in client.models.list()] == ["tiny"]
    with pytest.raises(openai.NotFoundError, match="there is 'tiny'"):
        client.completions.create(model="gpt", prompt=PROMPT)


def test_draws_without_a_seed_differ_and_share_their_sampling(client, running):
    for _ in range(3):
        client.completions.create(model="tiny", prompt=PROMPT)
    wanted = [each[0] for each in running.engine.asked]
    assert len({each.number for each in wanted}) == 3
    assert len({each.sampling for each in wanted}) == 1
    assert wanted[0].sampling.temperature == 1


def test_prompts_of_ours_share_what_stands_before_their_sentence(client, running):
    prefix = "class Person(Entity):\n    pass\n# NER: list every entity in the sentence, in order.\n"
    for rest in ('sentence = "Ada"\nresults =', ""):
        client.completions.create(model="tiny", prompt=prefix + rest)
    first, second = (each[0] for each in running.engine.asked)
    assert (first.prefix, first.context) == (prefix, 'sentence = "Ada"\nresults =')
    assert (second.prefix, second.context) == ("", prefix)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 2), ("best_of", 2), ("echo", True), ("suffix", "x"), ("logprobs", 5), ("frequency_penalty", 0.5),
        ("presence_penalty", -1), ("logit_bias", {"5": 1}), ("max_tokens", 65), ("max_tokens", 0), ("temperature", 3),
        ("temperature", "1"), ("top_p", 0),
        ("seed", 2**40), ("stop", ""), ("stop", ["a"] * 17),
        ("guided_json", {}), ("top_k", 4), ("prompt", ""), ("prompt", [1, 2]), ("prompt", None),
        ("stream_options", {"include_usage": True}), ("messages", []),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_refused_by_name(running, name, value):
    found = running.post("/v1/completions", {"model": "tiny", "prompt": PROMPT, name: value})
    error = found.json()["error"]
    assert found.status_code == 400
    assert name in (error["param"] or error["message"])
    assert not running.engine.asked


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tools", [{}]), ("tool_choice", "required"), ("response_format", {"type": "json_object"}),
        ("top_logprobs", 3), ("modalities", ["audio"]), ("functions", []), ("reasoning_effort", "high"),
        ("messages", []), ("messages", [{"role": "tool", "content": "x"}]),
        ("messages", [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "/etc/passwd"}}]}]),
        ("messages", [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]),
    ],
)  # fmt: skip
def test_what_conversations_do_not_support(running, name, value):
    found = running.post("/v1/chat/completions", {"model": "tiny", "messages": TURNS, name: value})
    assert found.status_code == 400
    assert name.rstrip("s") in str(found.json()["error"])
    assert not running.engine.asked


def test_neutral_and_harmless_values_are_taken(running):
    neutral = {
        "n": 1, "frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "user": "u", "metadata": {"a": "b"},
        "store": False, "service_tier": "auto", "stop": None, "seed": None, "stream": False, "temperature": 0,
    }  # fmt: skip
    for path, own in [
        ("completions", {"prompt": PROMPT, "best_of": 1, "echo": False, "suffix": None}),
        (
            "chat/completions",
            {"messages": TURNS, "tools": [], "response_format": {"type": "text"}, "tool_choice": "none"},
        ),
    ]:
        found = running.post(f"/v1/{path}", {"model": "tiny"} | neutral | own)
        assert found.status_code == 200, found.text


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ContextTooLongError(0, 10, 5000, 4096), 400, "context_length_exceeded"),
        (QueueFullError(5), 429, "queue_full"),
    ],
)
def test_an_error_before_a_stream_begins_is_its_status(serving, monkeypatch, error, status, code):
    def refuse(*_):
        raise error

    running = serving()
    monkeypatch.setattr(running.engine, "submit", refuse)
    for path, own in (("completions", {"prompt": PROMPT}), ("chat/completions", {"messages": TURNS})):
        found = running.post(f"/v1/{path}", {"model": "tiny", "stream": True, **own})
        assert (found.status_code, found.json()["error"]["code"]) == (status, code)


def test_an_error_in_a_stream_is_an_event(serving):
    engine = StandIn(held=True)
    running = serving(engine)
    with running.client.stream(
        "POST", "/v1/chat/completions", json={"model": "tiny", "messages": TURNS, "stream": True}
    ) as stream:
        lines = (line for line in stream.iter_lines() if line)
        assert "assistant" in next(lines)
        engine.until(lambda it: it.waiting == 1)
        engine.asked[0][1]("Hel")
        assert json.loads(next(lines)[6:])["choices"][0]["delta"]["content"] == "Hel"
        engine.asked[0][2].future.set_exception(RuntimeError("secret"))
        rest = list(lines)
    assert json.loads(rest[-1][6:])["error"]["type"] == "server_error"
    assert "secret" not in "".join(rest)
