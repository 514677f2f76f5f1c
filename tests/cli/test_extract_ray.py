"""``kcx extract --ray``: shards as tasks on a real Ray cluster of this machine, joined in the order of the input."""

import os
import shutil
import subprocess
import sys

import pytest

from kcx_jax.cli.extract import on_ray
from kcx_jax.corpora import read_records
from kcx_jax.testing.llm_server import ScriptedServer

from ..ray_cluster import KEY, ROOT, needs_ray, ray_cluster

KCX = [sys.executable, "-c", "from kcx_jax.cli import main; main()"]
TEXTS = [f"Ada{number} was born in London." for number in range(11)]
ANSWERS = {text: {"ner": f'[Person("{text.split()[0]}"), City("London")]'} for text in TEXTS}


@pytest.fixture(scope="module")
def cluster():
    with ray_cluster() as (address, _):
        yield address


def _kcx(folder, url, *more, address=None):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "RAY_"))
    }
    environment |= {"PYTHONPATH": str(ROOT)} | (
        {"RAY_ADDRESS": address} if address else {"OPENAI_API_KEY": KEY}
    )
    words = [
        "extract",
        "--input",
        "in.txt",
        "--labels",
        "person,city",
        "--chat-model",
        "m",
        "--base-url",
        url,
    ]
    done = subprocess.run(
        [*KCX, *words, *more],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stderr


@needs_ray
def test_without_a_cluster_one_message_says_how_to_start_one(tmp_path):
    (tmp_path / "in.txt").write_text(TEXTS[0])
    code, told = _kcx(tmp_path, "http://127.0.0.1:9/v1", "--output", "out.jsonl", "--ray", "2")
    assert code == 1
    assert "ray start --head" in told.splitlines()[-1]
    assert "--shard" in told.splitlines()[-1]


@needs_ray
@pytest.mark.slow
def test_shards_on_a_cluster_are_the_whole_and_failed_ones_are_read_again(cluster, tmp_path):
    (tmp_path / "in.txt").write_text("\n".join(TEXTS))
    with ScriptedServer(ANSWERS, api_key=KEY) as server:
        code, told = _kcx(tmp_path, server.base_url, "--output", "whole.jsonl")
        assert code == 0, told
        asked = server.bill.answers
        (tmp_path / "in.txt").write_text("\n".join([*TEXTS[:5], "\x80", *TEXTS[5:]]), encoding="latin-1")
        more = ["--output", "out.jsonl", "--ray", "3"]
        code, told = _kcx(tmp_path, server.base_url, *more, address=cluster)
        assert code == 1, told
        assert told.count("in.txt:6: not UTF-8") == 3
        assert "3 of 3 shards are not done" in told
        (tmp_path / "in.txt").write_text("\n".join(TEXTS))
        before = server.bill.answers
        code, told = _kcx(tmp_path, server.base_url, *more, address=cluster)
        assert code == 0, told
        assert server.bill.answers - before == len(TEXTS) - (before - asked), (
            "what was done is not asked again"
        )
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "out.jsonl", "whole.jsonl"]


@pytest.fixture
def without_ray(monkeypatch):
    """Shards are read in this process, all but those whose names are in the set."""
    lost = set()

    def run(shards):
        ends = {
            each["shard"]: "lost" if each["shard"] in lost else on_ray._extract_shard(each) for each in shards
        }
        return [(shard, message) for shard, message in ends.items() if message]

    monkeypatch.setattr(on_ray, "_run", run)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return lost


@pytest.mark.parametrize("changed", [["New.", *TEXTS], [*TEXTS, "New.", "New."], TEXTS[:-2], TEXTS[::-1]])
def test_shards_of_an_input_that_has_changed_are_not_joined(kcx, without_ray, tmp_path, changed):
    given, out = tmp_path / "in.txt", tmp_path / "out.jsonl"
    with ScriptedServer(ANSWERS | {"New.": {}}, api_key=KEY) as server:
        words = ["extract", "--input", given, "--output", out, "--labels", "person,city", "--ray", "2"]
        words += ["--chat-model", "m", "--base-url", server.base_url]
        given.write_text("\n".join(TEXTS))
        without_ray.add("1/2")
        assert kcx(*words)[0] == 1
        given.write_text("\n".join(changed))
        without_ray.clear()
        code, _, told = kcx(*words)
        assert (code, "the input has changed" in told, out.exists()) == (1, True, False)
        (folder,) = tmp_path.glob("out.jsonl.parts-*")
        assert f"{folder} has results of other texts" in told
        shutil.rmtree(folder)
        assert kcx(*words)[0] == 0
    assert [record.text for record in read_records(out)] == changed


def test_shards_of_a_schema_that_has_changed_are_read_again(kcx, without_ray, tmp_path):
    (tmp_path / "in.txt").write_text("\n".join(TEXTS))
    out, schema = tmp_path / "out.jsonl", tmp_path / "schema.py"
    with ScriptedServer(ANSWERS, api_key=KEY) as server:
        words = ["extract", "--input", tmp_path / "in.txt", "--output", out, "--schema", schema, "--ray", "2"]
        words += ["--chat-model", "m", "--base-url", server.base_url]
        schema.write_text("class Person(Entity): pass\nclass City(Entity): pass\n")
        without_ray.add("1/2")
        assert kcx(*words)[0] == 1
        schema.write_text("class City(Entity): pass\n")
        without_ray.clear()
        assert kcx(*words)[0] == 0
    assert {found.type for record in read_records(out) for found in record.entities} == {"City"}
