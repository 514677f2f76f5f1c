"""Files and batches of the scripted server, through the official client; time is a number here."""

import json

import openai
import pytest

from kcx_jax.prompts.extraction import sentence_context
from kcx_jax.testing.llm_server import BatchRules, ScriptedServer

SENTENCES = [f"Ada number {i} went." for i in range(20)]
ANSWERS = {sentence: f'[Person("Ada {i}")]' for i, sentence in enumerate(SENTENCES)}
TIMES = {"validating": 10.0, "in_progress": 100.0, "finalizing": 10.0, "cancelling": 10.0}


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def _sdk(server: ScriptedServer) -> openai.OpenAI:
    http_client = openai.DefaultHttpxClient(trust_env=False)
    return openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0, http_client=http_client)


def _row(i: int, **changed) -> dict:
    body = {"model": "m", "messages": [{"role": "user", "content": sentence_context(SENTENCES[i])}]}
    return {"custom_id": f"c{i}", "method": "POST", "url": "/v1/chat/completions", "body": body} | changed


def _lines(rows) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def _create(client: openai.OpenAI, content: bytes, **options):
    file = client.files.create(file=("in.jsonl", content), purpose="batch")
    return client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", **options
    )


def _read(client: openai.OpenAI, file: str | None) -> dict[str, dict]:
    if file is None:
        return {}
    rows = [json.loads(line) for line in client.files.content(file).text.splitlines()]
    return {row["custom_id"]: row for row in rows}


def test_a_batch_goes_through_its_statuses_to_all_its_answers():
    clock = Clock()
    with ScriptedServer(ANSWERS, batches=BatchRules(**TIMES), clock=clock) as server, _sdk(server) as client:
        batch = _create(client, _lines(map(_row, range(20))), metadata={"run": "a"})
        statuses = []
        for seconds in (0, 10, 50, 50, 10):
            clock.now += seconds
            batch = client.batches.retrieve(batch.id)
            statuses.append((batch.status, batch.request_counts.completed))
        assert statuses == [
            ("validating", 0),
            ("in_progress", 0),
            ("in_progress", 10),
            ("finalizing", 20),
            ("completed", 20),
        ]
        assert (batch.metadata, batch.model, batch.error_file_id) == ({"run": "a"}, "m", None)
        assert (batch.in_progress_at, batch.completed_at) == (1_000_010, 1_000_120)
        rows = _read(client, batch.output_file_id)
        order = list(rows)
    said = {name: row["response"]["body"]["choices"][0]["message"]["content"] for name, row in rows.items()}
    assert said == {f"c{i}": ANSWERS[sentence] for i, sentence in enumerate(SENTENCES)}
    assert order != sorted(order, key=lambda name: int(name[1:]))
    used = [row["response"]["body"]["usage"] for row in rows.values()]
    bill = server.bill
    assert batch.usage.input_tokens == sum(one["prompt_tokens"] for one in used) == bill.batch_input_tokens
    assert (
        batch.usage.output_tokens == sum(one["completion_tokens"] for one in used) == bill.batch_output_tokens
    )
    assert (bill.batch_answers, bill.answers, bill.input_tokens, bill.requests) == (20, 0, 0, 0)


def test_failed_rows_go_to_the_error_file():
    with ScriptedServer(ANSWERS, {"server_error": 0.5}, seed=3) as server, _sdk(server) as client:
        rows = [*map(_row, range(19)), _row(19, body={"model": "m", "messages": 7})]
        batch = _create(client, _lines(rows))
        done, failed = _read(client, batch.output_file_id), _read(client, batch.error_file_id)
        assert batch.status == "completed"
        assert (batch.request_counts.completed, batch.request_counts.failed) == (len(done), len(failed))
        assert sorted([*done, *failed]) == sorted(f"c{i}" for i in range(20))
        assert done
        assert {row["response"]["status_code"] for row in failed.values()} == {400, 500}
        assert server.bill.batch_answers == len(done)


def test_no_output_file_when_every_row_failed():
    with ScriptedServer(ANSWERS, {"server_error": 1.0}) as server, _sdk(server) as client:
        batch = _create(client, _lines(map(_row, range(3))))
        assert (batch.status, batch.output_file_id) == ("completed", None)
        assert len(_read(client, batch.error_file_id)) == batch.request_counts.failed == 3


def test_an_expired_batch_has_what_was_done_and_names_the_rest():
    rules = BatchRules(expires_after=7, shuffled=None)
    with ScriptedServer(ANSWERS, batches=rules) as server, _sdk(server) as client:
        batch = _create(client, _lines(map(_row, range(20))))
        done, failed = _read(client, batch.output_file_id), _read(client, batch.error_file_id)
        assert (batch.status, server.bill.batch_answers) == ("expired", 7)
        assert list(done) == [f"c{i}" for i in range(7)]
        assert {row["error"]["code"] for row in failed.values()} == {"batch_expired"}
        assert list(failed) == [f"c{i}" for i in range(7, 20)]


def test_a_cancelled_batch_stops_where_it_is():
    clock = Clock()
    with ScriptedServer(ANSWERS, batches=BatchRules(**TIMES), clock=clock) as server, _sdk(server) as client:
        batch = _create(client, _lines(map(_row, range(20))))
        clock.now += 10 + 25
        assert client.batches.cancel(batch.id).status == "cancelling"
        clock.now += 10
        batch = client.batches.retrieve(batch.id)
        assert (batch.status, batch.request_counts.completed) == ("cancelled", 5)
        assert len(_read(client, batch.output_file_id)) == server.bill.batch_answers == 5
        assert len(_read(client, batch.error_file_id)) == 15
        with pytest.raises(openai.BadRequestError, match="Cannot cancel"):
            client.batches.cancel(batch.id)


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        (b"\n", "empty_file", None),
        (_lines([_row(0)]) + b"{\n", "invalid_json_line", 2),
        (b"[" * 100_000, "invalid_json_line", 1),
        (b"7\n", "invalid_json_line", 1),
        (_lines([_row(0), _row(0)]), "duplicate_custom_id", 2),
        (_lines([_row(0), _row(1, url="/v1/embeddings")]), "url_mismatch", 2),
        (_lines([_row(0), _row(1, body={"model": "n"})]), "model_mismatch", 2),
        (_lines([_row(0, custom_id=7)]), "missing_required_parameter", 1),
        (_lines(map(_row, range(6))), "too_many_tasks", None),
        (_lines(map(_row, range(5))), "token_limit_exceeded", None),
    ],
)
def test_a_file_that_cannot_be_run_fails_its_batch(content, code, line):
    rules = BatchRules(requests=5, enqueued_tokens=50)
    with ScriptedServer(ANSWERS, batches=rules) as server, _sdk(server) as client:
        batch = _create(client, content)
        assert batch.status == "failed"
        assert [(error.code, error.line) for error in batch.errors.data] == [(code, line)]
        assert server.bill.batch_answers == 0


def test_enqueued_tokens_are_freed_when_a_batch_ends():
    clock = Clock()
    rules = BatchRules(in_progress=100.0, enqueued_tokens=50)
    with ScriptedServer(ANSWERS, batches=rules, clock=clock) as server, _sdk(server) as client:
        content = _lines(map(_row, range(3)))
        first, second = _create(client, content), _create(client, content)
        assert (first.status, second.status) == ("in_progress", "failed")
        clock.now += 100
        assert client.batches.retrieve(first.id).status == "completed"
        assert _create(client, content).status == "in_progress"


def test_batches_are_listed_newest_first_in_pages_with_their_metadata():
    with ScriptedServer(ANSWERS) as server, _sdk(server) as client:
        made = [_create(client, _lines([_row(i)]), metadata={"key": str(i)}).id for i in range(5)]
        listed = list(client.batches.list(limit=2))
        assert [batch.id for batch in listed] == made[::-1]
        assert [batch.metadata["key"] for batch in listed] == ["4", "3", "2", "1", "0"]


def test_files_come_back_as_they_went():
    content = bytes(range(256)) + b"\r\n--\r\n\r\n\n"
    with ScriptedServer(batches=BatchRules(file_bytes=len(content))) as server, _sdk(server) as client:
        file = client.files.create(file=("in.jsonl", content), purpose="batch")
        assert client.files.retrieve(file.id) == file
        assert (file.bytes, client.files.content(file.id).content) == (len(content), content)
        with pytest.raises(openai.BadRequestError, match="too large"):
            client.files.create(file=("in.jsonl", content + b"x"), purpose="batch")
        with pytest.raises(openai.BadRequestError, match="purpose"):
            client.files.create(file=("in.jsonl", content), purpose="vision")
        for call in (
            client.files.retrieve,
            client.files.content,
            client.batches.retrieve,
            client.batches.cancel,
        ):
            with pytest.raises(openai.NotFoundError):
                call("none")


def test_what_was_answered_online_and_in_a_batch_is_paid_twice():
    with ScriptedServer(ANSWERS) as server, _sdk(server) as client:
        client.chat.completions.create(**_row(0)["body"])
        _create(client, _lines(map(_row, range(2))))
        assert (server.bill.answers, server.bill.batch_answers, server.bill.paid_twice) == (1, 2, 1)
