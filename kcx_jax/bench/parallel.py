"""`kcx bench parallel`: the builder against a server on this machine, beside two bare clients that keep nothing.

All send the same requests to the scripted server, a process of its own that answers after `latency` seconds: one
bare client with the `openai` package's own `post`, one with the builder's `Transport`, which goes past the
package's models. The ratio is the builder's speed, with ledger, limits and pipeline, over that of the package.
"""

import asyncio
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kcx_jax.bench.apart import apart
from kcx_jax.bench.report import Report, in_turn
from kcx_jax.corpora import Mention, ParallelRecord, Record, read_records, write_parallel, write_records
from kcx_jax.errors import KcxError
from kcx_jax.llm import ChatClient, LoopThread
from kcx_jax.llm.request import Dialect, Request
from kcx_jax.llm.transport import Answer, Transport
from kcx_jax.parallel import build
from kcx_jax.parallel.translation import prompts
from kcx_jax.parallel.translation.spans import source_spans

MODEL = "scripted"
Send = Callable[[Transport, bytes], Awaitable[bytes]]


def bench_parallel(
    records: int, concurrency: int, latency: float, rounds: int, say: Callable[[str], None]
) -> Report:
    """Translate `records` sentences with `concurrency` requests under way, each answered after `latency` seconds.

    Headline: requests a second. Raises `KcxError` when a side does not come to its end.
    """
    with tempfile.TemporaryDirectory(prefix="kcx-bench-") as name:
        folder = Path(name)
        pairs = [_pair(i) for i in range(records)]
        write_parallel(pairs, folder / "pairs.jsonl")
        write_records((pair.source for pair in pairs), folder / "records.jsonl")
        del pairs

        def side(what: str, work: Callable[..., int]) -> Mapping[str, float]:
            with _server(folder / "pairs.jsonl", latency) as url:
                found = apart(_measured, work, folder, url, concurrency)
            rate, cpu, memory = (
                found[key]
                for key in ("requests_per_second", "cpu_milliseconds_per_request", "peak_rss_megabytes")
            )
            say(f"{what}: {rate:,.0f} requests/s, {cpu:.2f} ms CPU each, peak {memory:.0f} MB")
            return found

        ours, sdk, bare = in_turn(
            rounds,
            lambda: side("kcx", _build),
            lambda: side("openai, keeping nothing", _send_by_sdk),
            lambda: side("kcx's transport, keeping nothing", _send),
        )
    settings = {
        "records": records,
        "concurrency": concurrency,
        "latency_seconds": latency,
        "rounds": rounds,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }
    ratio = ours["requests_per_second"] / sdk["requests_per_second"]
    return Report(settings, ours, {"openai": sdk, "transport": bare}, ratio)


def _pair(i: int) -> ParallelRecord:
    source, target = (
        f"Ada{i} Lovelace left London{i} in the spring.",
        f"艾达{i}·洛夫莱斯在春天离开了伦敦{i}。",
    )
    names = (
        ("e0", "Person", f"Ada{i} Lovelace", f"艾达{i}·洛夫莱斯"),
        ("e1", "City", f"London{i}", f"伦敦{i}"),
    )

    def side(language: str, text: str, column: int) -> Record:
        mentions = []
        for name in names:
            start = text.index(name[column])
            mentions.append(Mention(name[0], name[1], start, start + len(name[column]), name[column]))
        return Record(f"r{i}", language, text, tuple(mentions))

    return ParallelRecord(f"r{i}", side("en", source, 2), side("zh", target, 3))


@contextmanager
def _server(pairs: Path, latency: float) -> Iterator[str]:
    command = [sys.executable, "-m", "kcx_jax.testing.llm_server", str(pairs), "--latency", str(latency)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise KcxError("the scripted server did not start")
        yield url
    finally:
        process.terminate()
        process.wait()


def _measured(work: Callable[..., int], folder: Path, url: str, concurrency: int) -> dict[str, float]:
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    requests = work(folder, url, concurrency)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "requests_per_second": requests / seconds,
        "cpu_milliseconds_per_request": 1000 * cpu / requests,
        "peak_rss_megabytes": after.ru_maxrss / 1024,
    }


def _build(folder: Path, url: str, concurrency: int) -> int:
    records = read_records(folder / "records.jsonl", reader="jsonl")
    with tempfile.TemporaryDirectory(dir=folder) as run:
        client = ChatClient(MODEL, url, concurrency=concurrency)
        with build(records, "en", "zh", client, run) as made:
            statistics = made.statistics()
    if statistics.resolved != statistics.total:
        raise KcxError(f"{statistics.total - statistics.resolved} of {statistics.total} records failed")
    return statistics.calls


def _send(folder: Path, url: str, concurrency: int) -> int:
    with LoopThread() as loop:
        return loop.submit(_send_all(folder, url, concurrency, _by_transport)).result()


def _send_by_sdk(folder: Path, url: str, concurrency: int) -> int:
    with LoopThread() as loop:
        return loop.submit(_send_all(folder, url, concurrency, _by_sdk)).result()


async def _send_all(folder: Path, url: str, concurrency: int, send: Send) -> int:
    transport = Transport(url, "none", local=True, concurrency=concurrency, timeout=120.0)
    queue, count = read_records(folder / "records.jsonl", reader="jsonl"), 0

    async def worker() -> None:
        nonlocal count
        for record in queue:
            body = await send(transport, _body(record))
            json.loads(json.loads(body)["choices"][0]["message"]["content"])
            count += 1

    try:
        await asyncio.gather(*(worker() for _ in range(concurrency)))
    finally:
        await transport.close()
    return count


async def _by_transport(transport: Transport, body: bytes) -> bytes:
    result = await transport.post(body)
    if not isinstance(result, Answer):
        raise KcxError(f"the server failed: {result.message}")
    return result.body


async def _by_sdk(transport: Transport, body: bytes) -> bytes:
    import httpx2

    response = await transport.sdk.post("/chat/completions", cast_to=httpx2.Response, content=body)
    return response.content


def _body(record: Record) -> bytes:
    data = prompts.translate_data(record, "zh", source_spans(record))
    schema = prompts.REPLY_SCHEMAS[prompts.form(data)]
    request = Request(MODEL, tuple(prompts.messages(data)), schema, 0.0, 1000)
    body: dict[str, Any] = Dialect().body(request)
    return json.dumps(body, ensure_ascii=False).encode()
