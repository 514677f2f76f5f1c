"""The OpenAPI document is true: requests made out of it, and around it, get what it says."""

import json
import re

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from kcx_jax.serving import ServerState, Settings
from kcx_jax.serving.app import create_app

from .stand_in import StandIn

load_all_checks()
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance, not_a_server_error]
BOUNDED = settings(max_examples=60, suppress_health_check=list(HealthCheck), database=None)
PATHS = [
    "/v1/extract",
    "/v1/completions",
    "/v1/chat/completions",
    "/v1/models",
    "/v1/schemas",
    "/health",
    "/ready",
]


def document() -> dict:
    return create_app(ServerState(Settings(model="tiny"))).app.openapi()


@pytest.mark.parametrize("path", PATHS)
def test_whatever_is_sent_is_answered_as_the_document_says(serving, path):
    running = serving(StandIn(lambda wanted: ' [Person("Ada")]'), api_key="key")
    found = sent(running, path, GenerationMode.POSITIVE)
    assert 200 in found


@pytest.mark.parametrize("path", PATHS[:3])
def test_whatever_the_document_does_not_allow_is_refused(serving, path):
    running = serving(StandIn(lambda wanted: " []"))
    found = sent(running, path, GenerationMode.NEGATIVE)
    assert found <= set(range(400, 500))
    assert not running.engine.asked


def sent(running, path: str, mode: GenerationMode) -> set[int]:
    """The statuses of requests made out of the document, each checked against it."""
    described = running.client.get("/openapi.json").json()
    operation = schemathesis.openapi.from_dict(described)[path][next(iter(described["paths"][path])).upper()]
    headers = {"Authorization": "Bearer key"}
    found = set()

    @BOUNDED
    @given(case=operation.as_strategy(generation_mode=mode))
    def each(case):
        if mode == GenerationMode.POSITIVE and isinstance(case.body, dict):
            # What the document cannot say: which model is there, and that one of three keys says what to find.
            if "model" in case.body:
                case.body["model"] = "tiny"
            elif len(case.body["text"]) % 2:
                case.body = {"text": case.body["text"], "labels": ["person"]}
        response = case.call(base_url=running.url, headers=headers)
        found.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    each()
    return found


def test_the_document_has_every_route_and_failure():
    described = document()
    assert set(PATHS) | {"/metrics"} == set(described["paths"])
    for path in PATHS[:3]:
        answers = described["paths"][path]["post"]["responses"]
        assert {"200", "400", "401", "408", "413", "415", "429", "500", "503", "504"} <= set(answers)
        assert "422" not in answers
    assert not re.search("ValidationError", json.dumps(described))
