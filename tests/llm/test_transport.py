"""What a connection says to an endpoint, and through which door."""

import asyncio

import pytest

from kcx_jax.llm.transport import Answer, Transport


async def _first_lines(local: bool, monkeypatch) -> dict[str, str]:
    """What one request to the endpoint (of this machine, if `local`) says, with a proxy in the environment."""
    heads = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9" if local else f"http://127.0.0.1:{port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        url = f"http://127.0.0.1:{port}/v1" if local else "http://far.example/v1"
        transport = Transport(url, "sk-1", local=local, concurrency=1, timeout=5.0)
        assert await transport.post(b"{}") == Answer(b"{}", 200, None)
        await transport.close()
    first, *lines = heads[0].strip().split("\r\n")
    return {"": first, **{line.partition(": ")[0].lower(): line.partition(": ")[2] for line in lines}}


def test_what_the_environment_names_is_sent_and_nothing_of_this_machine(monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.delenv("OPENAI_PROJECT_ID", raising=False)
    sent = asyncio.run(_first_lines(True, monkeypatch))
    assert (sent["authorization"], sent["openai-organization"]) == ("Bearer sk-1", "org-1")
    assert sent.keys() - {"", "authorization", "openai-organization"} == {
        *("accept", "accept-encoding", "content-length", "content-type", "host", "user-agent")
    }


@pytest.mark.parametrize("local", [False, True])
def test_a_proxy_of_the_environment_is_used_but_for_this_machine(local, monkeypatch):
    sent = asyncio.run(_first_lines(local, monkeypatch))
    assert sent[""] == f"POST {'' if local else 'http://far.example'}/v1/chat/completions HTTP/1.1"
