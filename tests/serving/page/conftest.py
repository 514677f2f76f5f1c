"""A real browser at the page of a real server, whose answers a test may write itself."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

Reply = tuple[int, Mapping[str, str], Any]  # status, headers, body (of JSON, or text as it is)


class Canned:
    """Answers written by a test: schemas, and for each text what `reply` gives for the request's body and headers."""

    def __init__(self) -> None:
        self.schemas: Reply = (200, {}, {"schemas": []})
        self.reply: Callable[[dict[str, Any], Mapping[str, str]], Reply]
        self.asked: list[dict[str, Any]] = []
        self.says()

    def says(self, **fields: Any) -> None:
        """Every text has this result; see `result`."""
        self.reply = lambda body, _: (200, {}, answer(result(body["text"], **fields)))

    def fails(self, status: int, message: str = "", param: str | None = None, **headers: str) -> None:
        """Every request meets this error; `Retry_After` stands for the header of that name."""
        error = {"error": {"message": message, "type": "any", "param": param, "code": None}}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.reply = lambda *_: (status, named, error)

    def answers(self, context: Any) -> None:
        """In this context of a browser it is what answers, and not the server."""
        context.route("**/v1/schemas", lambda route: _fulfil(route, *self.schemas))
        context.route("**/v1/extract", self._extract)

    def _extract(self, route: Any) -> None:
        self.asked.append(route.request.post_data_json)
        _fulfil(route, *self.reply(self.asked[-1], route.request.headers))


def _fulfil(route: Any, status: int, headers: Mapping[str, str], body: Any) -> None:
    content = body if isinstance(body, str) else json.dumps(body)
    route.fulfill(status=status, headers={"Content-Type": "application/json", **headers}, body=content)


def answer(*results: dict[str, Any]) -> dict[str, Any]:
    """The body of an answer to POST /v1/extract."""
    return {
        "results": list(results or [result("")]),
        "model": "scripted",
        "seconds": 1.234,
        "queued_seconds": 0.05,
    }


def result(
    text: str, entities=(), relations=(), events=(), problems=(), answers=None, loose=()
) -> dict[str, Any]:
    """A result from (label, start, end[, score]) and the like: Python's own offsets, which are code points."""

    def mention(label: str, start: int, end: int, score: float | None = None) -> dict[str, Any]:
        return {"label": label, "text": text[start:end], "start": start, "end": end, "score": score}

    def argument(role: str, label: str | None, start: int, end: int) -> dict[str, Any]:
        return {"role": role, "label": label, "text": text[start:end], "start": start, "end": end}

    return {
        "text": text,
        "entities": [mention(*each) for each in entities],
        "relations": [
            {"label": label, "head": mention(*head), "tail": mention(*tail), "score": score}
            for label, head, tail, score in relations
        ],
        "events": [
            {**mention(*trigger), "arguments": [argument(*each) for each in arguments]}
            for trigger, arguments in events
        ],
        "problems": [
            dict(zip(("task", "kind", "detail", "window"), (*each, None), strict=False)) for each in problems
        ],
        "answers": answers or {},
        "record": {
            "id": "0",
            "language": "und",
            "text": text,
            "meta": {"loose": list(loose)} if loose else {},
        },
    }


@pytest.fixture
def site() -> Canned:
    """What the page hears, unless it is opened at a server of its own."""
    return Canned()


@pytest.fixture
def opened(chromium, serving, site):
    """The page as it opens: `opened(width=360, color_scheme="dark")`. It must not fail or break its policy.

    `at` is a server which answers itself; without one, `site` does.
    """
    contexts, broken = [], []

    def open_page(width: int = 1280, height: int = 900, at: str | None = None, **settings: Any):
        context = chromium.new_context(viewport={"width": width, "height": height}, **settings)
        contexts.append(context)
        context.set_default_timeout(60_000)
        if at is None:
            site.answers(context)
        page = context.new_page()
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.on("console", lambda line: broken.append(line.text) if _is_broken(line) else None)
        with page.expect_response("**/v1/schemas"):
            page.goto(at or serving().url)
        return page

    open_page.broken = broken  # for a test that breaks it on purpose
    yield open_page
    for context in contexts:
        context.close()
    assert not broken, broken


def _is_broken(line: Any) -> bool:
    """Errors and broken policies, but not the lines in which a browser says that a server said no."""
    return line.type == "error" and not line.text.startswith("Failed to load resource")


def run(page: Any, text: str | None = None) -> None:
    """Types `text`, if given, and waits for what comes of it."""
    if text is not None:
        page.fill("#text", text)
    page.click("#run")
    page.wait_for_selector("#result[aria-busy=false]")
