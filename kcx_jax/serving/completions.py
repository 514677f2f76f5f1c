"""``POST /v1/completions`` and ``POST /v1/chat/completions``, as OpenAI's clients call them."""

import asyncio
import random
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from kcx_jax.decoding import Generated, Stops
from kcx_jax.decoding.live import Wanted
from kcx_jax.ops.sampling import GREEDY, Sampling
from kcx_jax.prompts.extraction import TASK_LINES
from kcx_jax.serving.asking import answer, pieces
from kcx_jax.serving.errors import ApiError, documented
from kcx_jax.serving.json_body import JsonRoute
from kcx_jax.serving.openai_replies import (
    ChatReply,
    CompletionReply,
    Form,
    chat_logprobs,
    completion_logprobs,
    usage_of,
)
from kcx_jax.serving.openai_requests import ChatRequest, CompletionRequest, OpenAIRequest
from kcx_jax.serving.requests import count, service_of
from kcx_jax.serving.service import Service
from kcx_jax.serving.streaming import END, EventStream, event
from kcx_jax.tokenizer.conversations import conversation_ids

router = APIRouter(route_class=JsonRoute)
_FAILURES = documented(400, 401, 404, 408, 413, 415, 429, 500, 503, 504)
_EVENT = {"type": "object", "properties": {"data": {"type": "string"}}, "required": ["data"]}
_STREAM = {"text/event-stream": {"schema": _EVENT}}
_TASK_LINE = re.compile("|".join(f"^{re.escape(line)}\n" for line in TASK_LINES.values()), re.MULTILINE)


@dataclass(frozen=True)
class _Asked:
    """A request for an answer, ready for the engine."""

    wanted: Wanted
    prompt_tokens: int
    logprobs: bool


@router.post(
    "/v1/completions",
    summary="A text goes on",
    responses={200: {"model": CompletionReply, "content": _STREAM}, **_FAILURES},
)
async def completions(body: CompletionRequest, request: Request) -> Response:
    """OpenAI-compatible: go on with a prompt, as it stands, under no constraint."""
    service = service_of(request, body.model)
    asked = await asyncio.to_thread(_completion, service, body)
    return await _answered(request, service, body, asked, Form(False, service.settings.model))


@router.post(
    "/v1/chat/completions",
    summary="A conversation goes on",
    responses={200: {"model": ChatReply, "content": _STREAM}, **_FAILURES},
)
async def chat(body: ChatRequest, request: Request) -> Response:
    """OpenAI-compatible: the assistant's next turn, in the chat format of the model's tokenizer."""
    service = service_of(request, body.model)
    asked = await asyncio.to_thread(_turn, service, body)
    return await _answered(request, service, body, asked, Form(True, service.settings.model))


def _completion(service: Service, body: CompletionRequest) -> _Asked:
    service.check_length(body.prompt)
    # Prompts of ours share what stands before their sentence: the schema and the line of the task.
    border = max((found.end() for found in _TASK_LINE.finditer(body.prompt)), default=0)
    if border == len(body.prompt):
        border = 0
    wanted = Wanted(
        body.prompt[:border],
        body.prompt[border:],
        _limit(service, body.max_tokens, "max_tokens"),
        sampling=_sampling(service, body),
        stops=Stops(texts=body.stops),
        number=_number(body),
    )
    return _Asked(wanted, len(service.tokenizer.encode(body.prompt)), body.logprobs is not None)


def _turn(service: Service, body: ChatRequest) -> _Asked:
    if body.max_tokens is not None and body.max_completion_tokens not in (None, body.max_tokens):
        raise ApiError(400, "max_tokens and max_completion_tokens differ: send one.", param="max_tokens")
    messages = [message.plain for message in body.messages]
    service.check_length("".join(message["content"] for message in messages))
    found = conversation_ids(service.tokenizer, messages)
    given = body.max_tokens or body.max_completion_tokens
    wanted = Wanted(
        found.before,
        found.last,
        _limit(service, given, "max_tokens" if body.max_tokens else "max_completion_tokens"),
        sampling=_sampling(service, body),
        stops=Stops(found.end_ids, body.stops),
        number=_number(body),
    )
    return _Asked(wanted, len(found.before) + len(found.last), bool(body.logprobs))


def _limit(service: Service, given: int | None, name: str) -> int:
    most = service.settings.max_new_tokens
    if given is not None and given > most:
        raise ApiError(400, f"{name} is {given}; this server writes at most {most}.", param=name)
    return given or most


def _sampling(service: Service, body: OpenAIRequest) -> Sampling:
    """Requests without a seed share the server's, so that they are decoded together; their numbers differ."""
    temperature = 1.0 if body.temperature is None else body.temperature
    if temperature == 0:
        return GREEDY
    seed = service.seed if body.seed is None else body.seed % (1 << 32)
    return Sampling(temperature, top_p=None if body.top_p == 1 else body.top_p, seed=seed)


def _number(body: OpenAIRequest) -> int:
    return random.getrandbits(31) if body.seed is None else 0


async def _answered(
    request: Request, service: Service, body: OpenAIRequest, asked: _Asked, form: Form
) -> Response:
    if body.stream:
        if asked.logprobs:
            raise ApiError(400, "logprobs are not sent in a stream: leave one of them out.", param="logprobs")
        return EventStream(_events(request, service, body, asked, form))
    if body.stream_options is not None:
        raise ApiError(400, "stream_options go with stream: true.", param="stream_options")
    generated = await answer(service.engine, asked.wanted)
    usage = usage_of(asked.prompt_tokens, generated)
    _count(request, usage)
    logprobs = None
    if asked.logprobs:
        written = chat_logprobs if form.chat else completion_logprobs
        logprobs = written(generated, service.tokenizer.shown_bytes)
    return JSONResponse(form.whole(generated, logprobs, usage))


async def _events(
    request: Request, service: Service, body: OpenAIRequest, asked: _Asked, form: Form
) -> AsyncGenerator[bytes]:
    async with aclosing(pieces(service.engine, asked.wanted)) as growing:
        async for piece in growing:
            if isinstance(piece, Generated):
                usage = usage_of(asked.prompt_tokens, piece)
                _count(request, usage)
                yield event(form.last(piece.finish_reason))
                if body.stream_options is not None and body.stream_options.include_usage:
                    yield event(form.counts(usage))
            elif piece:
                yield event(form.piece(piece))
            elif (first := form.first()) is not None:
                yield event(first)
    yield END


def _count(request: Request, usage: dict[str, Any]) -> None:
    count(request, prompt_tokens=usage["prompt_tokens"], completion_tokens=usage["completion_tokens"])
