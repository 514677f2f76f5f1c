"""Configs: what is refused, and benchmarks written out."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from kcx_jax.corpora import EventMention, Mention, Record, RelationLink, make_span, write_records
from kcx_jax.corpora.catalogue import find_benchmark
from kcx_jax.errors import UsageError
from kcx_jax.evaluation.runs.config import EvaluateConfig, dump_config, load_config
from kcx_jax.evaluation.runs.faithfulness import is_faithfulness, load_faithfulness
from kcx_jax.evaluation.runs.published import find_cells, published_tables
from kcx_jax.evaluation.runs.resolving import resolve_one, resolved
from kcx_jax.evaluation.runs.table import check_rows

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = sorted((ROOT / "configs" / "evaluate").glob("*.yaml"))


def made(*benchmarks, **more):
    systems = [{"kind": "outputs", "name": "s", "path": "x.jsonl"}]
    return EvaluateConfig.model_validate(
        {"results": "r", "systems": systems, "benchmarks": benchmarks, **more}
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("benchmark: []", "unknown key 'benchmark'; did you mean 'benchmarks'?"),
        ("benchmarks: [{name: a, limt: 3}]", "did you mean 'limit'?"),
        ("systems: [{kind: chat, name: a, model: m, modle: m}]", "did you mean 'model'?"),
        ("systems: [{kind: oracle, name: a}]", "systems.0"),
        ("mode: stric", "unknown mode 'stric'"),
        ("benchmarks: [{name: a/b, path: x}]", "benchmarks.0.name"),
        ("systems: [{kind: outputs, name: ../x, path: x}]", "name"),
        ("systems: [{kind: outputs, name: a, path: x, format: xml}]", "unknown format of outputs 'xml'"),
        ("systems: [{kind: tagger, name: a}, {kind: tagger, name: a}]", "systems with the same name: a"),
        ("benchmarks: [{name: a, path: x, tasks: [ner, re, ner]}]", "tasks with the same name: ner"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    whole = {
        "results": "r",
        "benchmarks": [{"name": "a", "path": "x"}],
        "systems": [{"kind": "tagger", "name": "a"}],
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(whole | yaml.safe_load(text)))
    with pytest.raises(UsageError) as refused:
        load_config(path)
    assert message in str(refused.value)


@pytest.mark.parametrize("value", ["2026-30-11", "[", "[" * 5000])
def test_a_value_that_is_no_yaml_is_named(value):
    with pytest.raises(UsageError, match=r"^--set title=.*: the value is not YAML: "):
        load_config(CONFIGS[0], [f"title={value}"])


@pytest.mark.parametrize(
    ("benchmark", "message"),
    [
        ({"name": "a"}, "name its path"),
        ({"name": "a", "catalogue": "clueners"}, "did you mean cluener"),
        ({"name": "a", "catalogue": "cluener", "split": "tset"}, "knows no split 'tset'"),
        ({"name": "a", "catalogue": "multiconer22", "split": "dev"}, "does not know the files"),
        ({"name": "a", "catalogue": "masakhaner2", "languages": ["en"]}, "no language en"),
        ({"name": "a", "path": "{language}.txt"}, "name its languages"),
        ({"name": "a", "path": "x.txt", "reader": "conl"}, "unknown reader 'conl'"),
    ],
)
def test_a_benchmark_that_cannot_be_is_refused(benchmark, message):
    with pytest.raises(UsageError) as refused:
        resolved(made(benchmark))
    assert message in str(refused.value)


def test_languages_and_parts_of_the_catalogue_become_benchmarks_of_their_own():
    written = resolved(made({"name": "masakhaner2", "catalogue": "masakhaner2"}), "data").benchmarks
    entry = find_benchmark("masakhaner2")
    assert [each.name for each in written] == [f"masakhaner2-{tag}" for tag in entry.languages]
    assert {each.path for each in written} == {path for split, path in entry.files() if split == "test"}
    assert {each.train for each in written} == {path for split, path in entry.files() if split == "train"}
    assert {(each.reader, each.inventory, each.tasks) for each in written} == {
        ("conll", "masakhaner2", ("ner",))
    }
    parts = resolved(made({"name": "crossre", "catalogue": "crossre"})).benchmarks
    assert [each.name for each in parts] == [f"crossre-{part}" for part in find_benchmark("crossre").parts]


def test_each_file_of_a_pattern_is_a_benchmark(tmp_path, monkeypatch):
    for name in ("ai/test.txt", "ai/dev.txt", "music/test.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("Ada B-Person\nleft O\n\n")
    monkeypatch.chdir(tmp_path)
    for path in ("./*/*.txt", "*/*.txt", f"{tmp_path}/*/*.txt"):
        written = resolved(made({"name": "x", "path": path, "inventory": None})).benchmarks
        assert all((tmp_path / each.path).is_file() for each in written)
        assert [each.name for each in written] == ["x-ai-dev.txt", "x-ai-test.txt", "x-music-test.txt"]
        assert {(each.reader, each.tasks) for each in written} == {("conll", ("ner",))}


def test_a_task_that_shows_late_is_a_task(tmp_path):
    """Of a file that does not say its tasks, all records are looked at."""
    ada, bob = Mention("e0", "Person", 0, 3, "Ada"), Mention("e1", "Person", 10, 13, "Bob")
    records = [Record(str(n), "en", "Ada knows Bob.", (ada, bob)) for n in range(300)]
    for task, layers in (
        ("re", {"relations": (RelationLink("Knows", "e0", "e1"),)}),
        ("ed", {"events": (EventMention("Know", make_span("Ada knows Bob.", 4, 9), ()),)}),
    ):
        write_records([*records, replace(records[0], id="last", **layers)], tmp_path / f"{task}.jsonl")
        (written,) = resolved(made({"name": task, "path": str(tmp_path / f"{task}.jsonl")})).benchmarks
        assert written.tasks == ("ner", task)
    untyped = [replace(each, entities=(replace(ada, type="Entity"),)) for each in records]
    for last, tasks in ((untyped[0], None), (records[0], ("ner",))):
        write_records([*untyped, replace(last, id="last")], tmp_path / "untyped.jsonl", overwrite=True)
        (written,) = resolved(made({"name": "u", "path": str(tmp_path / "untyped.jsonl")})).benchmarks
        assert written.tasks == tasks


def test_a_written_out_config_is_a_config_and_writes_out_to_itself(tmp_path):
    config = resolved(
        made({"name": "uner", "catalogue": "uner-en-ewt"}, {"name": "m", "catalogue": "masakhaner2"}), "data"
    )
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config), encoding="utf-8")
    assert load_config(path) == config == resolved(load_config(path))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_configs_of_the_papers_tables_are_whole(path):
    if is_faithfulness(path):
        config = load_faithfulness(path)
        assert find_cells(config.published)
        assert resolve_one(config.source)[0].reader == "panx"
        return
    config = resolved(load_config(path))
    check_rows(config)
    assert len({benchmark.name for benchmark in config.benchmarks}) == len(config.benchmarks)


def test_published_rows_are_found_and_others_refused():
    cells = find_cells("multiconer22/mean of 9 unseen")
    assert (cells["KnowCoder-X"].figure, cells["ReasoningNER"].note[:8]) == (39.53, "Qwen3-8B")
    assert all(table.source for table in published_tables().values())
    with pytest.raises(UsageError, match="did you mean 'multiconer22/en'"):
        check_rows(made({"name": "a", "path": "x", "published": "multiconer22/eng"}))
    with pytest.raises(UsageError, match="mean m: no benchmark is called 'b\\*'"):
        check_rows(made({"name": "a", "path": "x"}, means=[{"name": "m", "of": ["b*"]}]))
