"""``POST /v1/extract``: texts and a schema in, what was found out, with offsets."""

import asyncio
import time
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from kcx_jax.errors import KcxError
from kcx_jax.extraction import Result
from kcx_jax.extraction.reading import Reading
from kcx_jax.schema import Task
from kcx_jax.serving.asking import answers
from kcx_jax.serving.errors import ApiError, documented
from kcx_jax.serving.json_body import JsonRoute
from kcx_jax.serving.requests import count, service_of
from kcx_jax.serving.service import Service

MOST_TEXTS = 1_000

router = APIRouter(route_class=JsonRoute)


class ExtractRequest(BaseModel):
    """What to read, and what to look for: one of `schema`, `labels` and `schema_name`."""

    model_config = ConfigDict(strict=True, extra="forbid", title="ExtractRequest")

    text: str | Annotated[list[str], Field(min_length=1, max_length=MOST_TEXTS)] = Field(
        description="A text of any length, or several.", examples=["Ada Lovelace was born in London."]
    )
    schema_: str | dict[str, Any] | None = Field(
        None,
        alias="schema",
        description="Classes as Python source, which is read and never run; or a mapping from label to a description, "
        "or to description, examples, parent and name.",
    )
    labels: list[str] | None = Field(
        None, description="Plain entity labels in any language.", examples=[["person"]]
    )
    schema_name: str | None = Field(None, description="A schema of /v1/schemas.")
    tasks: Annotated[list[Task], Field(min_length=1)] | None = Field(
        None, description="Default: ner, re and eae, where the schema has classes for them."
    )
    ground: Literal["strict", "ladder"] = Field(
        "strict", description="strict: what stands in the text as it is; ladder: looser forms too."
    )

    @model_validator(mode="after")
    def _one_schema(self) -> "ExtractRequest":
        given = [each for each in (self.schema_, self.labels, self.schema_name) if each is not None]
        if len(given) != 1:
            raise ValueError("say what to find by one of schema, labels and schema_name")
        return self

    @property
    def texts(self) -> list[str]:
        """The texts, one or several."""
        return [self.text] if isinstance(self.text, str) else self.text


class Span(BaseModel):
    """A part of the text; offsets are half-open, in Unicode code points."""

    text: str
    start: int
    end: int


class EntityFound(Span):
    """An entity; `score` is the probability that the model writes it there, null where it is not known."""

    label: str
    score: float | None


class RelationFound(BaseModel):
    """A relation between two entities."""

    label: str
    head: EntityFound
    tail: EntityFound
    score: float | None


class ArgumentFound(Span):
    """An argument; `label` is null for a plain span."""

    role: str
    label: str | None


class EventFound(Span):
    """An event by its trigger, with its arguments."""

    label: str
    arguments: list[ArgumentFound]
    score: float | None


class ProblemFound(BaseModel):
    """Something of an answer that is not in the result, or may be missing from it; `window` of a long text's answer."""

    task: str
    kind: str
    detail: str
    window: tuple[int, int] | None


class TextResult(BaseModel):
    """What was found in one text. `answers` are the model's own, by task; `record` is the result in a corpus."""

    text: str
    entities: list[EntityFound]
    relations: list[RelationFound]
    events: list[EventFound]
    problems: list[ProblemFound]
    answers: dict[str, str]
    record: dict[str, Any]


class ExtractResponse(BaseModel):
    """A result for each text, in order; `queued_seconds` of `seconds` went by before the first answer was begun."""

    results: list[TextResult]
    model: str
    seconds: float
    queued_seconds: float


@router.post(
    "/v1/extract",
    summary="Entities, relations and events in texts",
    responses={
        200: {"model": ExtractResponse},
        **documented(400, 401, 404, 408, 413, 415, 429, 500, 503, 504),
    },
)
async def extract(body: ExtractRequest, request: Request) -> JSONResponse:
    """Find what a schema names in texts, of any length and in any language."""
    begun, service = time.monotonic(), service_of(request)
    first_signs: list[float] = []
    readings = await asyncio.to_thread(_readings, service, body)
    wanted = [service.wanted(ask) for reading in readings for ask in reading.asks]
    generated = await answers(service.engine, wanted, lambda _: first_signs.append(time.monotonic()))
    results = await asyncio.to_thread(service.results, readings, generated)
    counts = {"texts": len(readings), "asks": len(wanted)}
    count(request, **counts, completion_tokens=sum(len(each.ids) for each in generated))
    ended = time.monotonic()
    return JSONResponse(
        {
            "results": [_as_json(result) for result in results],
            "model": service.settings.model,
            "seconds": ended - begun,
            "queued_seconds": min(first_signs, default=ended) - begun,
        }
    )


def _readings(service: Service, body: ExtractRequest) -> list[Reading]:
    source = body.schema_ if body.schema_ is not None else body.labels
    reader = service.schemas.reader(source, body.schema_name, body.tasks, body.ground)
    try:
        return service.readings(body.texts, reader)
    except KcxError as error:  # a text that is none, or that has no room beside this schema
        raise ApiError(400, str(error), param="text") from error


def _as_json(result: Result) -> dict[str, Any]:
    return {
        "text": result.text,
        "entities": [asdict(entity) for entity in result.entities],
        "relations": [asdict(relation) for relation in result.relations],
        "events": [asdict(event) for event in result.events],
        "problems": [asdict(problem) for problem in result.problems],
        "answers": result.answers,
        "record": result.record.to_json(),
    }
