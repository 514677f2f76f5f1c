"""The Batch API: a file of requests, answered over scripted times, into a file of answers and one of errors.

The times pass by the server's clock; the work is done, and billed, when somebody asks how a batch stands.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kcx_jax.testing.llm_faults import TRANSPORT
from kcx_jax.testing.llm_server.files import Files
from kcx_jax.testing.llm_server.http import Refused, Response, found, refusal
from kcx_jax.testing.llm_server.model import Model, prompt_tokens
from kcx_jax.testing.llm_server.stored import check_metadata, page

ENDPOINT = "/v1/chat/completions"
DAY = 24 * 3600
ENDED = ("completed", "failed", "expired", "cancelled")
EXPIRED = "This request could not be executed before the completion window expired."
CANCELLED = "This request was not executed because the batch was cancelled."


@dataclass(frozen=True)
class BatchRules:
    """How batches go. ``validating`` to ``cancelling``: seconds in each status. ``requests``, ``file_bytes``:
    the most of one file; ``enqueued_tokens``: the most of all batches that have not ended, None for no limit.
    ``expires_after``: a batch expires when so many of its requests are done. ``shuffled``: the output's order is
    drawn by this seed, None for that of the input."""

    validating: float = 0.0
    in_progress: float = 0.0
    finalizing: float = 0.0
    cancelling: float = 0.0
    requests: int = 50_000
    file_bytes: int = 200_000_000
    enqueued_tokens: int | None = None
    expires_after: int | None = None
    shuffled: int | None = 0


@dataclass
class _Batch:
    id: str
    file: str
    metadata: dict[str, str] | None
    began: float  # when the present status began
    status: str = "validating"
    times: dict[str, int] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    tokens: int = 0
    used: list[int] = field(default_factory=lambda: [0, 0])
    done: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    output: str | None = None
    error: str | None = None

    def enter(self, status: str, when: float) -> None:
        self.status, self.began = status, when
        self.times[f"{status}_at"] = int(when)

    @property
    def worked(self) -> int:
        return len(self.done) + len(self.failed)


class Batches:
    """Batches of chat completions by `model`, read from and written to `files`."""

    def __init__(self, rules: BatchRules, model: Model, files: Files, clock: Callable[[], float]):
        self._rules, self._model, self._files, self._clock = rules, model, files, clock
        self._batches: dict[str, _Batch] = {}

    def create(self, body: Mapping[str, Any]) -> Response:
        """``POST /v1/batches``; what is wrong with the file itself shows once it is validated."""
        if body.get("endpoint") != ENDPOINT:
            raise Refused(refusal(400, f"'endpoint' has to be {ENDPOINT}.", param="endpoint"))
        if body.get("completion_window") != "24h":
            raise Refused(refusal(400, "'completion_window' has to be 24h.", param="completion_window"))
        check_metadata(body.get("metadata"))
        file = body.get("input_file_id")
        self._files.content(str(file))  # it is there
        now = self._clock()
        batch = _Batch(f"batch_{len(self._batches):08d}", str(file), body.get("metadata"), now)
        batch.times = {"created_at": int(now), "expires_at": int(now) + DAY}
        self._batches[batch.id] = batch
        return self.get(batch.id)

    def get(self, name: str) -> Response:
        """``GET /v1/batches/{name}``."""
        return found(self._described(self._batch(name)))

    def listed(self, query: Mapping[str, str]) -> Response:
        """``GET /v1/batches``: the newest first."""
        return page([self._described(batch) for batch in reversed(self._batches.values())], query)

    def cancel(self, name: str) -> Response:
        """``POST /v1/batches/{name}/cancel``."""
        batch = self._batch(name)
        self._advance(batch)
        if batch.status not in ("validating", "in_progress", "cancelling"):
            raise Refused(refusal(400, f"Cannot cancel a batch with status '{batch.status}'."))
        if batch.status == "validating":
            self._validate(batch)
        if batch.status != "cancelling":
            batch.enter("cancelling", self._clock())
        return self.get(name)

    def _batch(self, name: str) -> _Batch:
        if name not in self._batches:
            raise Refused(refusal(404, f"No batch found with id '{name}'.", param="batch_id"))
        return self._batches[name]

    def _advance(self, batch: _Batch) -> None:
        """Let `batch` become what it has become by now."""
        rules, now = self._rules, self._clock()
        if batch.status == "validating" and now >= batch.began + rules.validating:
            self._validate(batch)
            batch.enter("failed" if batch.errors else "in_progress", batch.began + rules.validating)
        if batch.status == "in_progress":
            end = batch.began + rules.in_progress
            total = len(batch.rows)
            most = total if rules.expires_after is None else min(total, rules.expires_after)
            due = total if now >= end else int(total * (now - batch.began) / rules.in_progress)
            self._work(batch, min(due, most))
            if now >= end and most < total:
                self._close(batch, "expired", end)
            elif now >= end:
                batch.enter("finalizing", end)
        if batch.status == "finalizing" and now >= batch.began + rules.finalizing:
            self._close(batch, "completed", batch.began + rules.finalizing)
        if batch.status == "cancelling" and now >= batch.began + rules.cancelling:
            self._close(batch, "cancelled", batch.began + rules.cancelling)

    def _validate(self, batch: _Batch) -> None:
        """Read the rows of the input file and note what is wrong with them."""
        content = self._files.content(batch.file)
        lines = [(n, line) for n, line in enumerate(content.split(b"\n"), 1) if line.strip()]
        most = self._rules.requests
        if not lines:
            batch.errors.append(_fault("empty_file", "The batch input file has no requests."))
        if len(lines) > most:
            message = f"The batch input file has {len(lines)} requests; at most {most} may be in one."
            batch.errors.append(_fault("too_many_tasks", message))
            return
        seen: set[str] = set()
        for number, line in lines:
            row = _row(line)
            batch.errors += [error | {"line": number} for error in _faults(row, batch.rows, seen)]
            if row is not None:
                batch.rows.append(row)
                seen.add(str(row.get("custom_id")))
        if not batch.errors:
            batch.tokens = sum(_asked(row["body"]) for row in batch.rows)
            self._enqueue(batch)

    def _enqueue(self, batch: _Batch) -> None:
        limit = self._rules.enqueued_tokens
        others = (b for b in self._batches.values() if b.status not in ENDED and b is not batch)
        if limit is not None and sum(other.tokens for other in others) + batch.tokens > limit:
            model = batch.rows[0]["body"].get("model")
            message = (
                f"Enqueued token limit reached for {model}. Limit: {limit:,} enqueued tokens. "
                "Please try again once some in_progress batches have been completed."
            )
            batch.errors.append(_fault("token_limit_exceeded", message))

    def _work(self, batch: _Batch, until: int) -> None:
        """Do the requests up to number `until`."""
        for index in range(batch.worked, until):
            row = batch.rows[index]
            bill = self._model.bill
            before = bill.batch_input_tokens, bill.batch_output_tokens
            status, body = self._answer(row["body"])
            batch.used[0] += bill.batch_input_tokens - before[0]
            batch.used[1] += bill.batch_output_tokens - before[1]
            name = f"{batch.id}_{index}"
            answer = {
                "id": f"batch_req_{name}",
                "custom_id": row["custom_id"],
                "response": {"status_code": status, "request_id": f"req_{name}", "body": body},
                "error": None,
            }
            (batch.done if status == 200 else batch.failed).append(answer)

    def _answer(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """One request's status and body. A fault of transport fails it: there is no wire to spoil."""
        try:
            ask, fault = self._model.take(self._model.read(body))
            if fault in TRANSPORT:
                raise Refused(refusal(500, "The server had an error while processing your request."))
            return 200, self._model.complete(ask, body, fault, batch=True)
        except Refused as error:
            return error.response.status, json.loads(error.response.body)

    def _close(self, batch: _Batch, status: str, when: float) -> None:
        """Write both files, each only if something is in it; what was not done is an error of its own."""
        undone = {"expired": EXPIRED, "cancelled": CANCELLED}.get(status, "")
        errors = list(batch.failed)
        for index in range(batch.worked, len(batch.rows)):
            errors.append(
                {
                    "id": f"batch_req_{batch.id}_{index}",
                    "custom_id": batch.rows[index]["custom_id"],
                    "response": None,
                    "error": {"code": f"batch_{status}", "message": undone},
                }
            )
        done = list(batch.done)
        if self._rules.shuffled is not None:
            random.Random(self._rules.shuffled).shuffle(done)
        batch.output = self._write(f"{batch.id}_output.jsonl", done)
        batch.error = self._write(f"{batch.id}_error.jsonl", errors)
        batch.enter(status, when)

    def _write(self, filename: str, rows: list[dict[str, Any]]) -> str | None:
        if not rows:
            return None
        return self._files.add(
            filename, "batch_output", b"".join(json.dumps(r).encode() + b"\n" for r in rows)
        )

    def _described(self, batch: _Batch) -> dict[str, Any]:
        self._advance(batch)
        read, written = batch.used
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": ENDPOINT,
            "model": batch.rows[0]["body"].get("model") if batch.rows and not batch.errors else None,
            "errors": {"object": "list", "data": batch.errors} if batch.errors else None,
            "input_file_id": batch.file,
            "completion_window": "24h",
            "status": batch.status,
            "output_file_id": batch.output,
            "error_file_id": batch.error,
            **batch.times,
            "request_counts": {
                "total": 0 if batch.errors else len(batch.rows),
                "completed": len(batch.done),
                "failed": len(batch.failed),
            },
            "metadata": batch.metadata,
            "usage": {
                "input_tokens": read,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": written,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": read + written,
            },
        }


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _faults(
    row: dict[str, Any] | None, rows: list[dict[str, Any]], seen: set[str]
) -> Iterator[dict[str, Any]]:
    """What is wrong with one row, after those before it."""
    if row is None:
        yield _fault("invalid_json_line", "This line is not parseable as valid JSON.")
        return
    for name, kind in (("custom_id", str), ("method", str), ("url", str), ("body", dict)):
        if not isinstance(row.get(name), kind):
            message = f"Missing required parameter: '{name}'."
            yield _fault("missing_required_parameter", message, name)
            return
    if row["custom_id"] in seen:
        yield _fault("duplicate_custom_id", f"custom_id {row['custom_id']!r} stands twice.", "custom_id")
    if row["method"] != "POST":
        yield _fault("invalid_method", f"method {row['method']!r} has to be POST.", "method")
    if row["url"] != ENDPOINT:
        yield _fault("url_mismatch", f"url {row['url']!r} is not the batch's endpoint, {ENDPOINT}.", "url")
    first = rows[0].get("body") if rows else row["body"]
    if isinstance(first, dict) and row["body"].get("model") != first.get("model"):
        message = f"model {row['body'].get('model')!r} is not that of the first request."
        yield _fault("model_mismatch", message, "body.model")


def _fault(code: str, message: str, param: str | None = None) -> dict[str, Any]:
    return {"code": code, "message": message, "param": param, "line": None}


def _asked(body: Mapping[str, Any]) -> int:
    """The tokens of a row's messages; none for one that will be refused."""
    messages = body.get("messages")
    well_formed = isinstance(messages, list) and all(isinstance(message, dict) for message in messages)
    return prompt_tokens(body) if well_formed else 0
