"""Requests sent through the Batch API: half the price, an answer within a day.

A request waits until no more come, or a file is full; then a batch is created, and every request gets its
answer when the batch ends. Before anything else a start collects the batches that an earlier one left at the
endpoint, found by their metadata: otherwise a crash would pay for all of a file twice. What is too little for
a file is sent by itself.
"""

import asyncio
import json
import random
import time
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

from kcx_jax.llm import retry as on
from kcx_jax.llm.batch_files import ENDPOINT, read_results, request_line
from kcx_jax.llm.crash import crash_point
from kcx_jax.llm.ledger import Ledger
from kcx_jax.llm.reply import EndpointError, ReplyError, Stopped, Usage
from kcx_jax.llm.request import Request
from kcx_jax.llm.retry import Failure, classify
from kcx_jax.llm.sending import Sender, Sent
from kcx_jax.llm.stored import ledger_name
from kcx_jax.llm.transport import Answer

ENDED = ("completed", "failed", "expired", "cancelled")
NEVER_CREATED = Failure("not_served", "its batch was never created")


class _Refused(EndpointError):
    """The endpoint said no, with `status`, and has done nothing of what was asked."""

    def __init__(self, told: str, status: int | None):
        super().__init__(told)
        self.status = status


class _NeverCreated(EndpointError):
    """The batch is not at the endpoint, and costs nothing."""


@dataclass(frozen=True)
class BatchSettings:
    """How files are cut. ``smallest``: fewer requests than this are sent by themselves. ``quiet``: seconds
    without a new request after which a file is closed; ``poll``: seconds between two looks at a batch."""

    most_requests: int = 50_000
    most_bytes: int = 190 * 2**20
    enqueued_tokens: int | None = None
    smallest: int = 500
    quiet: float = 3.0
    poll: float = 30.0


@dataclass
class _Waiting:
    request: Request
    key: bytes
    stage: str
    record: str
    future: "asyncio.Future[Sent]"
    body: dict[str, Any]
    size: int
    reserved: int
    sends: int = 0


class BatchSender:
    """`Sender`'s face over batches; `online` sends what is not worth one. Needs a ledger."""

    def __init__(self, online: Sender, ledger: Ledger, settings: BatchSettings, say: Callable[[str], None]):
        self.loop, self.transport = online.loop, online.transport
        self._online, self._ledger, self._settings, self._say = online, ledger, settings, say
        self._queue: list[_Waiting] = []
        self._changed = asyncio.Event()
        self._last = 0.0
        self._enqueued = 0.0
        self._work: set[asyncio.Task[None]] = set()
        self._alone: set[asyncio.Task[None]] = set()  # these come to their end after a stop too
        self._ready = self.loop.create_task(self._adopt_all())
        self._spawn(self._cut_files(), self._work)

    @property
    def stopping(self) -> bool:
        """Whether nothing more is sent; batches under way stay at the endpoint, for the next start."""
        return self._online.stopping

    @stopping.setter
    def stopping(self, value: bool) -> None:
        self._online.stopping = value
        for task in self._work:
            task.cancel()
        self._ready.cancel()
        self._changed.set()

    async def fetch(self, request: Request, key: bytes, stage: str, record: str) -> Sent:
        """The body for a request, when its batch ends. Raises as `Sender.fetch`."""
        if not self._ready.done():
            known = len(self._ledger.answers(key))
            await self._until_ready()
            if len(bodies := self._ledger.answers(key)) > known:  # an adopted batch had it
                call = self._ledger.call_of(key)
                return Sent(call, bodies[-1], 0, 0.0, self._online.take_back(call), batch=True)
        await self._until_ready()
        body = self._online.body(request)
        size = len(json.dumps(body, ensure_ascii=False).encode())
        reserved = await self._online.reserve(request, size, batch=True)
        if self.stopping:  # nobody would ever take it from the queue
            self._online.settle(reserved, 0)
            raise Stopped("stopped before this request was sent")
        waiting = _Waiting(request, key, stage, record, self.loop.create_future(), body, size, reserved)
        self._put(waiting)
        return await waiting.future

    def judge(self, sent: Sent, usage: Usage, error_class: str | None, finish_reason: str | None) -> None:
        """As `Sender.judge`."""
        self._online.judge(sent, usage, error_class, finish_reason)

    def _put(self, waiting: _Waiting) -> None:
        self._queue.append(waiting)
        self._last = self.loop.time()
        self._changed.set()

    async def _until_ready(self) -> None:
        try:
            await asyncio.shield(self._ready)
        except asyncio.CancelledError:
            if self.stopping:
                raise Stopped("stopped while batches of an earlier start were waited for") from None
            raise

    def _spawn(self, coroutine: Coroutine[Any, Any, None], tasks: "set[asyncio.Task[None]]") -> None:
        task = self.loop.create_task(coroutine)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _cut_files(self) -> None:
        """Close a file when it is full, or when no request has come for a while."""
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                while self._queue and not self._full():
                    quiet = self._settings.quiet - (self.loop.time() - self._last)
                    if quiet <= 0:
                        break
                    await asyncio.sleep(quiet)
                while self._queue:
                    part = self._take()
                    if not part:  # as many tokens as may be are enqueued: wait for a batch to end
                        break
                    self._serve(part)
        except asyncio.CancelledError:
            self._give_up(self._queue)
            raise

    def _full(self) -> bool:
        total = sum(waiting.size for waiting in self._queue)
        return len(self._queue) >= self._settings.most_requests or total >= self._settings.most_bytes

    def _take(self) -> list[_Waiting]:
        part: list[_Waiting] = []
        size, tokens, most = 0, 0.0, self._settings.enqueued_tokens
        for waiting in self._queue:
            size += waiting.size + 200
            tokens += self._online.expected_tokens(waiting.size)
            too_many = most is not None and self._enqueued + tokens > most and (part or self._enqueued)
            if (
                len(part) == self._settings.most_requests
                or (part and size > self._settings.most_bytes)
                or too_many
            ):
                break
            part.append(waiting)
        del self._queue[: len(part)]
        return part

    def _give_up(self, part: list[_Waiting]) -> None:
        for waiting in part:
            self._online.settle(waiting.reserved, 0)
            if not waiting.future.done():
                waiting.future.set_exception(Stopped("stopped while a batch was waited for"))

    def _serve(self, part: list[_Waiting]) -> None:
        if len(part) >= self._settings.smallest:
            self._spawn(self._serve_together(part), self._work)
            return
        self._say(f"{len(part)} requests are too few for a batch and go by themselves, at the full price")
        for waiting in part:
            self._spawn(self._send_alone(waiting), self._alone)

    async def _serve_together(self, part: list[_Waiting]) -> None:
        try:
            await self._send_together(part)
        except asyncio.CancelledError:
            self._give_up(part)
            raise
        except Exception as error:
            for waiting in part:
                if not waiting.future.done():
                    # Once created, its batch may be served all the same.
                    self._online.settle(waiting.reserved, 0 if isinstance(error, _NeverCreated) else None)
                    waiting.future.set_exception(error)

    async def _send_alone(self, waiting: _Waiting) -> None:
        self._online.settle(waiting.reserved, 0)
        try:
            sent = await self._online.fetch(waiting.request, waiting.key, waiting.stage, waiting.record)
        except Exception as error:
            if not waiting.future.done():
                waiting.future.set_exception(error)
        else:
            if not waiting.future.done():
                waiting.future.set_result(sent)

    async def _send_together(self, part: list[_Waiting]) -> None:
        name = uuid.uuid4().hex
        model = part[0].request.model
        self._ledger.new_batch(name, model, len(part))
        calls: dict[int, _Waiting] = {}
        for waiting in part:
            call = self._ledger.intend(
                waiting.key,
                stage=waiting.stage,
                record=waiting.record,
                model=model,
                request=json.dumps(waiting.body, ensure_ascii=False),
                reserved=waiting.reserved,
                batch=name,
            )
            calls[call] = waiting
        await self._ledger.committed()
        crash_point("batch_creating")
        tokens = sum(self._online.expected_tokens(waiting.size) for waiting in part)
        self._enqueued += tokens
        try:
            lines = b"".join(request_line(call, waiting.body) for call, waiting in calls.items())
            batch_id = await self._create(name, lines)
            await self._collect(name, batch_id)
        except _NeverCreated:
            await self._close(name, NEVER_CREATED)
            raise
        finally:
            self._enqueued -= tokens
            self._changed.set()
        await self._hand_out(calls)

    async def _create(self, name: str, lines: bytes) -> str:
        sdk = self.transport.sdk
        files, batches = sdk.files.with_raw_response, sdk.batches.with_raw_response
        try:
            file = await self._ask(lambda: files.create(file=(f"{name}.jsonl", lines), purpose="batch"))
        except EndpointError as error:
            raise _NeverCreated(str(error)) from error
        self._ledger.batch_is(name, "uploaded", file_id=file.id)
        await self._ledger.committed()
        crash_point("batch_uploaded")
        metadata = {"kcx_run": ledger_name(self._ledger), "kcx_batch": name}
        try:
            batch = await self._ask(
                lambda: batches.create(
                    input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h", metadata=metadata
                ),
                made=partial(self._find, name),
            )
        except _Refused as error:
            raise _NeverCreated(str(error)) from error
        self._ledger.batch_is(name, "created", batch_id=batch.id)
        await self._ledger.committed()
        crash_point("batch_created")
        return batch.id

    async def _collect(self, name: str, batch_id: str) -> None:
        """Wait for a batch to end and keep its results; a call without one was not served."""
        sdk, said = self.transport.sdk, ""
        while True:
            batch = await self._ask(lambda: sdk.batches.with_raw_response.retrieve(batch_id))
            counts = batch.request_counts
            told = f"batch {batch_id}: {batch.status}"
            told += f", {counts.completed} of {counts.total} done" if counts else ""
            if told != said:
                self._say(told)
                said = told
            if batch.status in ENDED:
                break
            await asyncio.sleep(self._settings.poll * random.uniform(0.7, 1.3))
        await self._keep_results(name, batch)
        usage = getattr(batch, "usage", None)
        self._ledger.batch_is(name, "collected", usage=usage.model_dump_json() if usage else None)
        await self._ledger.committed()
        if batch.status == "failed" and not batch.output_file_id:
            raise EndpointError(f"the batch {batch_id} failed: {_why_failed(batch)}")

    async def _keep_results(self, name: str, batch: Any) -> None:
        open_calls, strange = self._ledger.open_calls(name), 0
        for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):
            content = await self._ask(partial(self.transport.sdk.files.with_raw_response.content, file_id))
            for each in read_results(content.content):
                if each.call not in open_calls:
                    strange += 1
                    continue
                open_calls.discard(each.call)
                if isinstance(each.result, Answer):
                    self._ledger.answer(each.call, each.result)
                else:
                    self._ledger.fail(each.call, each.result)
        if strange:
            self._say(
                f"batch {batch.id}: lines of its results that name no waiting request of it: {strange}, passed over; "
                f"requests without a result: {len(open_calls)}"
            )
        for call in open_calls:
            self._ledger.fail(call, Failure(on.SERVER, _why_failed(batch)))

    async def _hand_out(self, calls: dict[int, _Waiting]) -> None:
        for call, waiting in calls.items():
            if waiting.future.done():
                continue
            body, error_class = self._ledger.outcome(call)
            if body is not None:
                waiting.future.set_result(Sent(call, body, waiting.size, 0.0, waiting.reserved, batch=True))
                continue
            waiting.sends += 1
            if error_class == on.BAD_REQUEST or waiting.sends >= self._online.policy.sends:
                self._online.settle(waiting.reserved, 0)
                waiting.future.set_exception(ReplyError(error_class or on.SERVER, "no answer in a batch"))
            else:
                self._put(waiting)

    async def _adopt_all(self) -> None:
        """Collect the batches of this model that an earlier start left."""
        for name, batch_id in self._ledger.open_batches(self._online.model):
            calls = self._ledger.open_calls(name)
            if batch_id is None and (batch := await self._find(name)) is not None:
                batch_id = batch.id
            if batch_id is None:  # it was never created: its requests are asked anew
                await self._close(name, NEVER_CREATED)
            else:
                self._ledger.batch_is(name, "created", batch_id=batch_id)
                self._say(f"batch {batch_id} of an earlier start is waited for")
                try:
                    await self._collect(name, batch_id)
                except _Refused as error:
                    if error.status != 404:
                        raise
                    self._say(
                        f"batch {batch_id} or its results are not there any more; its cost is not known"
                    )
                    await self._close(name, Failure(on.CONNECTION, "its batch is gone"))
                    continue
            for call in calls:  # what an answer cost is known once it is read
                if self._ledger.outcome(call)[0] is None:
                    self._online.settle(self._online.take_back(call), 0)

    async def _close(self, name: str, failure: Failure) -> None:
        """Nothing more comes of a batch: `failure` is the end of its calls, and they are asked anew."""
        await self._ledger.committed()  # the results it had
        for call in self._ledger.open_calls(name):
            self._ledger.fail(call, failure)
        self._ledger.batch_is(name, "collected")
        await self._ledger.committed()

    async def _find(self, name: str) -> Any:
        """The batch `name` as the endpoint has it, or None."""
        run, sdk, after = ledger_name(self._ledger), self.transport.sdk, None
        while True:
            options: dict[str, Any] = {"limit": 100} if after is None else {"limit": 100, "after": after}
            page = await self._ask(partial(sdk.batches.with_raw_response.list, **options))
            for batch in page.data:
                metadata = batch.metadata or {}
                if metadata.get("kcx_run") == run and metadata.get("kcx_batch") == name:
                    return batch
            if not page.data or not getattr(page, "has_more", False):
                return None
            after = page.data[-1].id

    async def _ask(
        self, request: Callable[[], Any], made: Callable[[], Coroutine[Any, Any, Any]] | None = None
    ) -> Any:
        """What a raw response of the SDK holds, asked again while the trouble may pass. `made`: looks for what an
        earlier try has made, whose response was lost."""
        import openai

        begun = time.monotonic()
        for sends in count(1):
            if sends > 1 and made is not None:
                try:
                    found = await made()
                except _Refused as error:  # a look was; what is looked for may be there
                    raise EndpointError(str(error)) from error
                if found is not None:
                    return found
            try:
                response = await request()
            except openai.APIError as error:
                failure = classify(error)
            else:
                if not response.content.lstrip().startswith(b"<"):
                    return response.parse()
                failure = Failure(on.SERVER, f"HTTP {response.status_code} with a page in place of JSON")
            patient = time.monotonic() - begun < self._online.policy.patience
            told = f"the Batch API of {self._online.endpoint} does not serve ({failure.message})"
            if failure.error_class in (on.BAD_REQUEST, on.REFUSED, on.QUOTA):
                raise _Refused(told, failure.http_status)
            if not patient:
                raise EndpointError(told)
            await asyncio.sleep(failure.retry_after or self._online.policy.wait(sends))


def _why_failed(batch: Any) -> str:
    """Why a request of an ended batch has no result."""
    errors = getattr(batch.errors, "data", None) if batch.errors else None
    told = "; ".join(str(error.message or error.code) for error in (errors or [])[:3])
    return told or f"the batch ended {batch.status} without an answer to it"
