"""``python -m kcx_jax.testing.llm_server PAIRS.jsonl``: the scripted server as a process of its own.

Prints its URL, and its bill as one line of JSON when it is ended (SIGTERM, Ctrl-C).
"""

import argparse
import asyncio
import importlib
import signal
import sys
from collections.abc import Sequence

from kcx_jax.corpora import read_parallel
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.testing.llm_server.limits import Limits
from kcx_jax.testing.llm_server.server import ScriptedServer


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes; the exit code."""
    given = _parser().parse_args(arguments)
    try:
        server = ScriptedServer(
            pairs=read_parallel(given.pairs),
            faults=_rates(given.faults),
            seed=given.seed,
            port=given.port,
            passes=given.passes,
            stored=not given.no_store,
            api_key=given.api_key,
            limits=Limits(given.rpm, given.tpm),
            latency=given.latency,
        )
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(server))
    except KcxError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    print(server.bill.to_json(), flush=True)
    return 0


async def _serve(server: ScriptedServer) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await server.listen()
    print(server.base_url, flush=True)
    await ended.wait()
    await server.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kcx_jax.testing.llm_server", description=__doc__)
    parser.add_argument("pairs", help="parallel records (JSON Lines): what it translates, and how")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--faults", default="", help="shares of all contents: drop=0.01,html=0.02")
    parser.add_argument("--seed", type=int, default=0, help="which contents the faults befall")
    parser.add_argument(
        "--passes", type=int, default=1, help="tries until a fault of transport or body passes"
    )
    parser.add_argument("--no-store", action="store_true", help="refuse store and metadata")
    parser.add_argument("--api-key", help="ask this key of every request")
    parser.add_argument("--rpm", type=int, help="requests a minute")
    parser.add_argument("--tpm", type=int, help="tokens a minute")
    return parser


def _rates(text: str) -> dict[str, float]:
    rates = {}
    for item in filter(None, text.split(",")):
        name, _, share = item.partition("=")
        try:
            rates[name] = float(share)
        except ValueError:
            raise UsageError(f"--faults {item!r}: write NAME=SHARE, such as drop=0.01") from None
    return rates


def _loop_factory():
    """uvloop's where it is installed: the server has to be faster than what it measures."""
    try:
        return importlib.import_module("uvloop").new_event_loop
    except ImportError:
        return None


if __name__ == "__main__":
    sys.exit(main())
