"""``kcx parallel projection``: a table, the same figures as JSON, and nothing paid twice."""

import json

import pytest

from kcx_jax.corpora import write_parallel, write_records
from kcx_jax.testing.llm_server import ScriptedServer

pytestmark = pytest.mark.usefixtures("no_endpoint")


@pytest.fixture
def words(tmp_path, numbered):
    """The arguments that all calls here share, but for the input and the endpoint."""
    pairs = [numbered(n) for n in range(6)]
    write_parallel(pairs, tmp_path / "pairs.jsonl")
    write_records((pair.source for pair in pairs), tmp_path / "en.jsonl")
    return pairs, ("--source", "en", "--target", "zh", "--model", "m", "--run", tmp_path / "run")


def test_a_table_and_json(kcx, words, tmp_path):
    pairs, shared = words
    methods = ("--method", "clap", "--method", "markers", "--json", tmp_path / "out.json")
    with ScriptedServer(pairs=pairs) as server:
        call = (*shared, "--base-url", server.base_url)
        code, out, told = kcx("parallel", "projection", tmp_path / "pairs.jsonl", *call, *methods)
        assert (code, told) == (0, "")
        assert out.count("100.0 (61.0-100.0)") == 6
        paid = server.bill.answers
        first = (tmp_path / "out.json").read_text()
        again = kcx("parallel", "projection", tmp_path / "pairs.jsonl", *call, *methods, "--overwrite")
        assert again == (0, out, "")
        assert server.bill.answers == paid == 6 + 6 + 6 + 6
        assert (tmp_path / "out.json").read_text() == first
        code, out, _ = kcx(
            "parallel", "projection", tmp_path / "en.jsonl", *call, "--method", "clap", "--limit", "4"
        )
        assert code == 0
    clap, markers = json.loads(first)
    assert [row["faithful_resolved"] for row in (clap, markers)] == [
        {"count": 6, "of": 6, "share": 1.0, "interval_95": clap["faithful_resolved"]["interval_95"]}
    ] * 2
    assert clap["faithful_resolved"]["interval_95"][0] == pytest.approx(0.6097, abs=1e-4)
    assert clap["span_f1"]["f1"] == 1


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--method", "magic"], 2, "translate-find, clap, markers, align"),
        (["--method", "clap", "--source", "de"], 2, "also has the languages en"),
        (["--method", "clap", "--target", "fr"], 2, "also has the languages zh"),
        (["--method", "clap", "--json", "there"], 1, "exists already"),
        (["--method", "clap"], 1, "cannot reach"),
    ],
)
def test_mistakes_are_one_message(kcx, words, tmp_path, more, code, message):
    (tmp_path / "there").write_text("")
    more = [tmp_path / word if word == "there" else word for word in more]
    call = (*words[1], "--base-url", "http://127.0.0.1:9/v1", *more)
    found, _, told = kcx("parallel", "projection", tmp_path / "pairs.jsonl", *call)
    assert (found, told.count("\n")) == (code, 1)
    assert message in told
