"""The builder and a projection method on the same records, against a server with known translations."""

import json

import pytest
import yaml

from kcx_jax.corpora import Mention, ParallelRecord, Record, write_records
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.evaluation.runs.faithfulness import is_faithfulness, load_faithfulness, measure_faithfulness
from kcx_jax.testing.llm_server import ScriptedServer


def pair(n, target, word):
    source, said = f"Ada{n} went.", f"{word}{n} x."
    return ParallelRecord(
        f"r{n}",
        Record(f"r{n}", "en", source, (Mention("e0", "Person", 0, source.index(" "), source.split()[0]),)),
        Record(f"r{n}", target, said, (Mention("e0", "Person", 0, said.index(" "), said.split()[0]),)),
    )


PAIRS = [pair(n, target, word) for target, word in (("zh", "艾达"), ("de", "Adele")) for n in range(8)]


@pytest.fixture
def config(tmp_path):
    write_records((each.source for each in PAIRS[:8]), tmp_path / "en.jsonl")

    def make(server, name="run", **changes):
        endpoint = {"model": "m", "base_url": server.base_url, "concurrency": 2}
        values = {
            "kind": "faithfulness",
            "results": str(tmp_path / name),
            "source": {"name": "en", "path": str(tmp_path / "en.jsonl"), "language": "en"},
            "targets": ["zh", "de"],
            "systems": [
                {"kind": "builder", "name": "builder", **endpoint},
                {"kind": "projection", "name": "CLaP", "method": "clap", **endpoint},
            ],
            "published": "wikiann_faithfulness/mean",
        }
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(values | changes))
        assert is_faithfulness(path)
        return load_faithfulness(path)

    return make


def test_both_are_measured_once_and_the_published_mean_stands_beside(config):
    with ScriptedServer(pairs=PAIRS) as server:
        folder, missing = measure_faithfulness(config(server))
        assert not missing
        table = json.loads((folder / "table.json").read_text())
        for system in ("builder", "CLaP"):
            assert {t: (c["count"], c["of"]) for t, c in table["measured"][system].items()} == {
                "zh": (8, 8),
                "de": (8, 8),
            }
        assert table["published_percent"]["KnowCoder-X's pipeline"]["figure"] == 99
        before, asked = (folder / "table.md").read_bytes(), server.bill.requests
        assert measure_faithfulness(config(server))[0] == folder
        assert ((folder / "table.md").read_bytes(), server.bill.requests) == (before, asked)
        with pytest.raises(KcxError, match="another config"):
            measure_faithfulness(config(server, targets=["zh"]))


def test_spans_in_other_words_are_lost_to_one_method_and_mended_by_the_builder(config):
    with ScriptedServer(pairs=PAIRS, faults={"paraphrased_span": 1.0}) as server:
        folder, _ = measure_faithfulness(config(server))
    table = json.loads((folder / "table.json").read_text())
    assert table["means"] == {"builder": 1.0, "CLaP": 0.0}


def test_systems_of_one_name_are_refused(config):
    with ScriptedServer(pairs=PAIRS) as server:
        endpoint = {"model": "m", "base_url": server.base_url, "kind": "projection", "method": "clap"}
        with pytest.raises(UsageError, match="systems with the same name: s"):
            config(server, systems=[{"name": "s", **endpoint}, {"name": "s", **endpoint, "model": "other"}])


def test_what_is_not_there_is_said_in_the_table(config, tmp_path):
    with ScriptedServer(pairs=PAIRS) as server:
        made = config(server)
        (tmp_path / "en.jsonl").unlink()
        folder, missing = measure_faithfulness(made)
    assert set(missing) == {"builder", "CLaP"}
    assert "not run" in (folder / "table.md").read_text()
