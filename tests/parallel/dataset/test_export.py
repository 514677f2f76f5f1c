"""What leaves the builder: every format holds what the pairs hold, and the card says what is known and no more."""

import json
from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.corpora import ParallelRecord, Record
from kcx_jax.corpora.catalogue import Benchmark, catalogue, find_benchmark
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.parallel.dataset import card as cards
from kcx_jax.parallel.dataset.directions import directed
from kcx_jax.parallel.dataset.huggingface import write_dataset
from kcx_jax.parallel.dataset.samples import samples
from kcx_jax.prompts import alignment_tree
from kcx_jax.schema import load_schema

PROVENANCE = {"model": "m", "round": 1, "stage": "translate", "calls": 2, "rungs": {"verbatim": 3, "nfc": 1}}


@pytest.fixture
def made(pairs) -> list[ParallelRecord]:
    return [replace(pair, provenance=PROVENANCE) for pair in pairs[:6]]


def _head(text: str) -> dict:
    _, head, _ = text.split("---\n", 2)
    return yaml.safe_load(head)


def test_a_dataset_holds_the_pairs_and_where_they_come_from(made, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    odd = [replace(made[0], provenance={"stage": "people", "who": "Mo"}), *made[1:]]
    assert write_dataset(odd, tmp_path / "set", "0123") == 6
    rows = parquet.read_table(tmp_path / "set/data/train.parquet").to_pylist()
    for row, pair in zip(rows, odd, strict=True):
        for side in ("source", "target"):
            record = _without_nulls(row[side])
            record["meta"] = json.loads(record["meta"])
            assert Record.from_json(record) == getattr(pair, side)
        assert (row["id"], row["run_id"], row["stage"]) == (pair.id, "0123", pair.provenance["stage"])
        assert json.loads(row["provenance"]) == pair.provenance
    assert (rows[0]["model"], rows[0]["calls"], rows[0]["rungs"]) == (None, None, None)
    assert {entry["rung"]: entry["count"] for entry in rows[1]["rungs"]} == PROVENANCE["rungs"]
    assert (rows[1]["model"], rows[1]["round"], rows[1]["calls"]) == ("m", 1, 2)


def _without_nulls(value):
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def test_datasets_finds_the_file_by_the_card(made, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    datasets = pytest.importorskip("datasets")
    write_dataset(made, tmp_path / "set", "0123")
    loaded = datasets.load_dataset(str(tmp_path / "set"), cache_dir=str(tmp_path / "cache"))["train"]
    assert loaded["id"] == [pair.id for pair in made]
    assert [row["text"] for row in loaded["target"]] == [pair.target.text for pair in made]


@pytest.mark.parametrize(
    "provenance",
    [
        {"calls": -1},
        {"calls": True},
        {"round": 2**70},
        {"model": ["m"]},
        {"rungs": {"nfc": "1"}},
        {"rungs": [1]},
    ],
)
def test_provenance_of_another_kind_is_named(made, provenance, tmp_path):
    pytest.importorskip("pyarrow")
    with pytest.raises(KcxError, match=r"pair 'r0': provenance\."):
        write_dataset([replace(made[0], provenance=provenance)], tmp_path / "set")
    assert not list(tmp_path.iterdir())


def test_what_utf8_has_not_is_named(made, tmp_path):
    pytest.importorskip("pyarrow")
    for odd in (replace(made[0], provenance={"model": "\ud800"}), replace(made[0], id="\ud800")):
        with pytest.raises(KcxError, match="surrogate"):
            write_dataset([odd], tmp_path / "set")


def test_the_card_names_sources_licences_languages_and_models(made):
    text = cards.card(
        made, "data/x.parquet", "0123", [find_benchmark("wikineural"), find_benchmark("crossre")]
    )
    head = _head(text)
    assert head["language"] == ["en", "zh"]
    assert head["license"] == ["cc-by-nc-sa-4.0", "gpl-3.0"]
    assert head["size_categories"] == ["n<1K"]
    assert head["configs"][0]["data_files"] == [{"split": "train", "path": "data/x.parquet"}]
    assert "| CrossRE | GPL-3.0 |" in text
    assert "| translate | m | 1 | 6 |" in text
    assert "| zh | target | 6 | 18 | 6 | 6 |" in text


def test_a_licence_is_never_guessed(made):
    assert _head(cards.card(made, "d", None))["license"] == "unknown"
    unclear = [find_benchmark("crossre"), Benchmark("x", "X", ("ner",), ("en",))]
    text = cards.card(made, "d", None, unclear)
    assert _head(text)["license"] == "unknown"
    assert "| X | unknown |" in text
    stated = {entry.licence for entry in catalogue()}
    assert stated - cards._HUB_LICENCES.keys() <= {None, "none stated", "LDC User Agreement"}


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_model_name_cannot_leave_its_cell(name):
    record = Record("r", "en", "Hi")
    text = cards.card([ParallelRecord("r", record, record, {"model": name})], "d", None)
    rows = text.split("## What made it\n")[1].strip().splitlines()
    assert len(rows) == 3
    assert rows[2].replace("\\|", "").count("|") == 5


def test_directions(made):
    assert list(directed(made)) == made
    both = list(directed(made, "both"))
    assert both[::2] == made
    for pair, back in zip(made, both[1::2], strict=True):
        assert (back.source, back.target) == (pair.target, pair.source)
        assert back.id != pair.id
        assert back.provenance == PROVENANCE | {"reversed": True}
    with pytest.raises(UsageError, match="forward, both"):
        list(directed(made, "backward"))


def test_samples_are_the_prompts_of_stage_1(made, tmp_path):
    (tmp_path / "s.py").write_text("class Person(Entity):\n    pass\nclass City(Entity):\n    pass\n")
    schema = load_schema(tmp_path / "s.py")
    rows = list(samples(directed(made, "both"), schema, ["ner"]))
    assert len(rows) == 12
    for row, pair in zip(rows, directed(made, "both"), strict=True):
        tree = alignment_tree(schema, [pair], "ner")
        assert (
            row["prompt"] + row["completion"]
            == tree.prefix + tree.branches[0].context + tree.branches[0].answer
        )
        assert row["completion"].count("Person(") == 2
        assert (row["source_language"], row["target_language"]) == (
            pair.source.language,
            pair.target.language,
        )
    with pytest.raises(KcxError, match="r0"):
        list(samples([replace(made[0], target=replace(made[0].target, entities=None))], schema, ["ner"]))
