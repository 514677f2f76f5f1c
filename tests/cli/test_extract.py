"""``kcx extract`` against the scripted server: records out, one message for each mistake, nothing lost."""

import json
import re
import socket
import subprocess
import sys

import pytest

from kcx_jax.corpora import Record, read_records
from kcx_jax.extraction.chat import ChatAnswers
from kcx_jax.extraction.resume import ResumableOutput
from kcx_jax.testing.llm_server import ScriptedServer

ADA = "Ada Lovelace was born in London."
LI = "李白出生于碎叶城。"
SHOUTED = "ADA LOVELACE wrote."
ANSWERS = {
    ADA: {"ner": '[Person("Ada Lovelace"), City("London")]', "re": "[]"},
    SHOUTED: {"ner": '[Person("Ada Lovelace")]'},
    LI: {"ner": '[Person("李白"), City("碎叶城")]', "re": '[BirthPlace(Person("李白"), City("碎叶城"))]'},
}
SCHEMA = """
class Person(Entity):
    pass
class City(Entity):
    pass
class BirthPlace(Relation):
    head: Person
    tail: City
"""


@pytest.fixture(scope="module")
def server():
    with ScriptedServer(ANSWERS) as running:
        yield running


@pytest.fixture
def chat(server):
    return "--chat-model", "any", "--base-url", server.base_url


@pytest.fixture
def schema(tmp_path):
    path = tmp_path / "schema.py"
    path.write_text(SCHEMA)
    return "--schema", path


def _spans(line):
    record = Record.from_json(json.loads(line))
    return [(m.type, m.text) for m in record.entities]


def test_labels_in_another_script_are_named_where_that_is_asked_for(kcx):
    answers = {ADA: {"ner": '[Sotrudnik("Ada Lovelace")]'}}
    with ScriptedServer(answers) as server:
        chat = "--chat-model", "any", "--base-url", server.base_url
        code, out, err = kcx("extract", ADA, "--labels", "сотрудник", *chat)
        assert (code, out) == (2, "")
        assert "--auto" in err
        code, out, err = kcx("extract", ADA, "--labels", "сотрудник", "--auto", *chat)
    assert code == 0
    assert err.startswith("сотрудник: class Sotrudnik\n")
    assert _spans(out) == [("Sotrudnik", "Ada Lovelace")]
    assert json.loads(out)["meta"]["labels"] == {"Sotrudnik": "сотрудник"}


def test_a_text_and_labels_give_a_record(kcx, chat):
    code, out, err = kcx("extract", ADA, "--labels", "person,city", *chat)
    assert code == 0
    assert _spans(out) == [("Person", "Ada Lovelace"), ("City", "London")]
    assert json.loads(out)["meta"]["answers"] == {"ner": ANSWERS[ADA]["ner"]}
    first, pace = err.splitlines()
    assert first == "1 texts, 2 entities, 0 relations, 0 events, 0 problems"
    assert re.fullmatch(r"[\d.]+ texts/s, 1 requests, [\d,]+ prompt tokens, 0 of them cached", pace)


def test_looser_forms_are_found_when_asked(kcx, chat):
    words = ["extract", SHOUTED, "--labels", "person", *chat]
    assert _spans(kcx(*words)[1]) == []
    out = kcx(*words, "--ground", "ladder")[1]
    assert _spans(out) == [("Person", "ADA LOVELACE")]
    assert json.loads(out)["meta"]["loose"][0]["rung"] == "case"


def test_a_file_in_a_file_out_can_be_scored(kcx, chat, schema, tmp_path):
    given = tmp_path / "in.jsonl"
    given.write_text("\n".join(json.dumps({"id": f"r{n}", "text": t}) for n, t in enumerate([ADA, LI])))
    out = tmp_path / "out.jsonl"
    code, printed, err = kcx("extract", "--input", given, "--output", out, *schema, *chat)
    assert (code, printed) == (0, "")
    assert f"4 entities, 1 relations, 0 events, 0 problems in {out}" in err
    first, second = read_records(out)
    assert (first.id, second.id, second.text) == ("r0", "r1", LI)
    assert [(link.type, link.head, link.tail) for link in second.relations] == [("BirthPlace", "e0", "e1")]
    code, _, err = kcx("extract", "--input", given, "--output", out, *schema, *chat)
    assert code == 1
    assert "exists already" in err
    assert kcx("extract", "--input", given, "--output", out, "--overwrite", *schema, *chat)[0] == 0


def _texts_of_stdin(server, *words, **stdin):
    """What ``kcx extract`` reads in a process of its own: ids and texts."""
    given = ["--labels", "person,city", "--chat-model", "any", "--base-url", server.base_url, *words]
    done = subprocess.run(
        [sys.executable, "-c", "from kcx_jax.cli import main; main()", "extract", *given],
        capture_output=True, check=False, **stdin,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = map(json.loads, done.stdout.splitlines())
    return [(row["id"], row["text"]) for row in rows]


def test_texts_come_from_stdin_too(server):
    assert _texts_of_stdin(server, input=f"{ADA}\n\n{LI}\n".encode()) == [("1", ADA), ("3", LI)]


def test_stdin_may_be_a_socket(server):
    here, there = socket.socketpair()
    with there:
        with here:
            here.sendall(f"{ADA}\n{LI}\n".encode())
        assert _texts_of_stdin(server, "--input", "-", stdin=there) == [("1", ADA), ("2", LI)]


def test_what_was_read_of_stdin_before_is_not_read_again(server, tmp_path):
    (tmp_path / "in.txt").write_text(f"a header\n{ADA}\n")
    with (tmp_path / "in.txt").open("rb", buffering=0) as stdin:
        stdin.readline()
        assert _texts_of_stdin(server, stdin=stdin) == [("1", ADA)]


def test_parquet_comes_from_stdin_too(server, tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"text": [ADA, LI]}), tmp_path / "in.parquet")
    content = (tmp_path / "in.parquet").read_bytes()
    assert _texts_of_stdin(server, input=content) == [("1", ADA), ("2", LI)]


def test_an_interrupted_run_goes_on(kcx, chat, tmp_path, monkeypatch):
    given, out = tmp_path / "in.txt", tmp_path / "out.jsonl"
    given.write_text(f"{ADA}\n{LI}\n{ADA}\n", encoding="utf-8")
    words = ["extract", "--input", given, "--output", out, "--labels", "person,city", *chat]
    stream = ChatAnswers.stream

    def interrupted(self, asks):
        yield next(stream(self, asks))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ChatAnswers, "stream", interrupted)
        assert kcx(*words)[0] == 130
    assert not out.exists()
    code, _, err = kcx(*words)
    assert code == 0
    assert "2 texts, 4 entities" in err
    assert "1 texts were done before" in err
    assert [record.id for record in read_records(out)] == ["1", "2", "3"]


def test_show_prints_the_text_with_its_labels(kcx, chat, schema):
    code, out, _ = kcx("extract", LI, "--show", *schema, *chat)
    assert code == 0
    assert out == "李白[Person]出生于碎叶城[City]。\n  BirthPlace: 李白 -> 碎叶城\n"


def test_problems_are_told_and_kept(kcx, tmp_path):
    with ScriptedServer({ADA: '[Person("Grace\\x1b[31m"), Person("Ada Lovelace")]'}) as server:
        code, out, err = kcx(
            "extract", ADA, "--labels", "person", "--chat-model", "any", "--base-url", server.base_url
        )
    assert code == 0
    assert _spans(out) == [("Person", "Ada Lovelace")]
    assert "text 0, ner: unresolved: 'Grace" in err
    assert "\x1b" not in err
    assert "1 problems" in err


LABELS = ("--labels", "person")
CHAT = ("--chat-model", "any", "--base-url", "http://127.0.0.1:9/v1")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((ADA, *LABELS, *CHAT), 1, "cannot reach http://127.0.0.1:9/v1"),
        (("--input", "nowhere.jsonl", *LABELS, *CHAT), 1, "cannot read nowhere.jsonl"),
        ((ADA, "--schema", "nowhere.py", *CHAT), 2, "nowhere.py"),
        ((ADA, "--schema", "broken.py", *CHAT), 2, "broken.py"),
        ((ADA, "--labels", "person,,city", *CHAT), 2, "--labels 'person,,city'"),
        ((ADA, "--labels", "ヌネヘホ", *CHAT), 2, "ヌネヘホ"),
        ((ADA, *CHAT), 2, "either --schema FILE or --labels"),
        ((ADA, *LABELS), 2, "either --model DIR or --chat-model"),
        ((ADA, *LABELS, *CHAT, "--model", "x"), 2, "either --model DIR or --chat-model"),
        ((ADA, *LABELS, *CHAT, "--adapter", "x"), 2, "--adapter goes with --model"),
        ((ADA, *LABELS, *CHAT, "--constraint", "schema"), 2, "--constraint goes with --model"),
        ((ADA, *LABELS, *CHAT, "--window", "10", "--overlap", "6"), 2, "by half of them at most"),
        ((ADA, *LABELS, *CHAT, "--window", "0", "--overlap", "6"), 2, "without windows"),
        ((ADA, *LABELS, *CHAT, "--shard", "2/2"), 2, "--shard is '2/2'"),
        ((ADA, *LABELS, *CHAT, "--context-tokens", "250"), 2, "too few"),
        ((ADA, *LABELS, *CHAT, "--ray", "2"), 2, "--ray needs --input"),
        (
            (ADA, *LABELS, "--model", "x", "--context-tokens", "300"),
            2,
            "--context-tokens goes with --chat-model",
        ),
        ((ADA, *LABELS, "--model", "x", "--base-url", "http://localhost/v1"), 2, "--base-url goes with"),
        ((ADA, *LABELS, *CHAT, "--tasks", "nre"), 2, "unknown task 'nre'"),
        ((ADA, *LABELS, *CHAT, "--tasks", "re"), 2, "relation classes"),
        ((ADA, *LABELS, *CHAT, "--input", "in.txt"), 2, "not both"),
        ((ADA, *LABELS, *CHAT, "--api-key-env", "NO_SUCH_KEY"), 2, "NO_SUCH_KEY, which is not set"),
        ((*LABELS, *CHAT), 2, "nothing to read"),
        ((ADA, *LABELS, "--chat-model", "any", "--base-url", "ftp://x"), 2, "is no endpoint"),
        ((ADA, *LABELS, "--model", "nowhere/at/all"), 1, "nowhere/at/all"),
        ((ADA, *LABELS, *CHAT, "--output", "results"), 2, "results is a folder"),
        # Before a model is loaded:
        (("--input", "nowhere.jsonl", *LABELS, "--model", "nowhere/at/all"), 1, "cannot read nowhere.jsonl"),
        (("--input", "results", *LABELS, "--model", "nowhere/at/all"), 1, "results is a folder"),
        ((ADA, *LABELS, "--model", "nowhere/at/all", "--tasks", "nre"), 2, "unknown task 'nre'"),
        ((ADA, *LABELS, "--model", "nowhere/at/all", "--overlap", "600"), 2, "by half of them at most"),
    ],
)
def test_a_mistake_is_one_message_and_its_exit_code(kcx, tmp_path, monkeypatch, words, code, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    (tmp_path / "broken.py").write_text("class Person(Entity:\n")
    (tmp_path / "results").mkdir()
    got, out, err = kcx("extract", *words)
    assert (got, out) == (code, "")
    assert err.startswith("kcx: ")
    assert message in err
    assert "Traceback" not in err
    assert err.count("\n") == 1


def test_a_bad_line_is_named_and_what_was_done_before_it_is_kept(kcx, chat, tmp_path):
    given = tmp_path / "in.jsonl"
    given.write_text(json.dumps({"text": ADA}) + "\n" + '{"text": 7}\n')
    code, out, err = kcx("extract", "--input", given, *LABELS, *chat)
    assert code == 1
    assert _spans(out) == [("Person", "Ada Lovelace")]
    assert f"{given}:2" in err
    assert "Traceback" not in err


BAD = (
    '{"text": 7}',
    "not json",
    '{"txt": "Ada"}',
    '{"text": "\\ud83d"}',
    '{"text": "Ada", "meta": {"score": NaN}}',
    '{"text": "Ada", "meta": {"score": 1e999}}',
    "\udcff",
)


def test_bad_lines_are_skipped_where_that_is_asked_for_told_and_counted(kcx, chat, tmp_path):
    given, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    lines = [json.dumps({"text": ADA}), *BAD, json.dumps({"text": LI})]
    given.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    words = ["extract", "--input", given, "--output", out, "--labels", "person,city", *chat]
    code, _, err = kcx(*words)
    assert code == 1
    assert f"{given}:2" in err
    assert "--skip-bad" in err
    code, _, err = kcx(*words, "--skip-bad")
    assert code == 0, "the run goes on that stopped at the bad line"
    assert re.findall(rf"^skipped: {re.escape(str(given))}:(\d)", err, re.MULTILINE) == list("2345678")
    assert "7 bad lines skipped" in err
    assert [record.id for record in read_records(out)] == ["1", "9"]


def test_parquet_is_read_row_by_row(kcx, chat, tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    given = tmp_path / "in.parquet"
    table = arrow.table({"id": [7, None, 9], "text": [ADA, LI, None], "page": [1, 2, 3]})
    parquet.write_table(table, given)
    words = ["extract", "--input", given, "--labels", "person,city", *chat]
    code, out, err = kcx(*words)
    assert code == 1
    assert f"{given}: row 3" in err
    code, out, err = kcx(*words, "--skip-bad")
    assert (code, "1 bad lines skipped" in err) == (0, True)
    assert [(json.loads(line)["id"], json.loads(line)["text"]) for line in out.splitlines()] == [
        ("7", ADA), ("2", LI)
    ]  # fmt: skip
    parquet.write_table(arrow.table({"body": [ADA]}), given)
    code, _, err = kcx(*words)
    assert (code, "no column is called text; there are body" in err) == (1, True)


def test_shards_together_are_the_whole_line_by_line(kcx, chat, tmp_path):
    given = tmp_path / "in.txt"
    given.write_text("\n".join([ADA, LI, "", SHOUTED, ADA, LI, LI, ADA, SHOUTED]), encoding="utf-8")
    words = ["extract", "--input", given, "--labels", "person,city", *chat, "--output"]
    assert kcx(*words, tmp_path / "whole.jsonl")[0] == 0
    parts = [tmp_path / f"part-{part}.jsonl" for part in range(3)]
    for number, part in enumerate(parts):
        assert kcx(*words, part, "--shard", f"{number}/3")[0] == 0
    pasted = subprocess.run(["paste", "-d", "\n", *parts], capture_output=True, check=True).stdout
    rows = [line for line in pasted.splitlines(keepends=True) if line.strip()]
    assert b"".join(rows) == (tmp_path / "whole.jsonl").read_bytes()
    assert len(rows) == 8


def test_a_shard_goes_on_as_that_shard_only(kcx, chat, tmp_path):
    given, out = tmp_path / "in.txt", tmp_path / "out.jsonl"
    given.write_text(f"{ADA}\n{LI}\n", encoding="utf-8")
    words = ["extract", "--input", given, "--output", out, "--labels", "person,city", *chat]
    with ResumableOutput(out, {"shard": "0/2"}) as stopped:
        stopped.write({"id": "1", "text": ADA})
    code, _, err = kcx(*words, "--shard", "1/2")
    assert (code, "shard" in err) == (2, True)


def test_a_long_text_is_read_in_windows(kcx, tmp_path):
    window = f"{ADA} {SHOUTED} "
    text = window * 3
    answers = {text: {"ner": "[]"}, window: ANSWERS[ADA], f"{SHOUTED} ": {"ner": '[Person("Lovelace")]'}}
    with ScriptedServer(answers) as server:
        words = ["--labels", "person,city", "--chat-model", "any", "--base-url", server.base_url]
        assert _spans(kcx("extract", text, *words, "--window", "0")[1]) == []
        size = str(len(window))
        code, out, err = kcx("extract", text, *words, "--window", size, "--overlap", "0")
    assert code == 0, err
    assert _spans(out) == [("Person", "Ada Lovelace"), ("City", "London")] * 3
    found = Record.from_json(json.loads(out)).entities
    assert [each.start for each in found[::2]] == [0, len(window), 2 * len(window)]


def test_without_ray_one_message_says_what_to_install(kcx, chat, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    given = tmp_path / "in.txt"
    given.write_text(ADA)
    words = ["--input", given, "--output", tmp_path / "out.jsonl", *LABELS, *chat, "--ray", "2"]
    code, _, err = kcx("extract", *words)
    assert (code, err.count("\n")) == (1, 1)
    assert "pip install 'kcx-jax[ray]'" in err
