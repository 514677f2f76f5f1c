"""`kcx data pack` and a run from what it wrote: the same bits as from the corpora, or a refusal that says why."""

import json
import shutil
import signal
from pathlib import Path

import jax
import numpy as np
import pytest

from kcx_jax.checkpoints import save_pretrained
from kcx_jax.corpora import Record, read_records, write_records
from kcx_jax.data import encode_tree
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.models import ModelConfig, init_params
from kcx_jax.prompts import ExemplarPool, extraction_tree, sample_trees
from kcx_jax.schema import load_schema
from kcx_jax.tokenizer import fingerprint, load_tokenizer, train_tokenizer
from kcx_jax.training import read_metrics, rendered, train
from kcx_jax.training.config import parse_config
from kcx_jax.training.pack import pack
from kcx_jax.training.packed import manifest_digest, read_manifest
from kcx_jax.training.rendered import rendered_parts
from kcx_jax.training.stages import CorpusReader, read_stages

from .conftest import SCHEMA, record

QUIET = {"report": lambda metrics: None, "say": lambda line: None}


@pytest.fixture
def values(plain_config, material, tmp_path):
    """A config whose corpora are the test's own to change, with varying prompts, a mix, a replay and held-out data."""
    for name in ("train.jsonl", "parallel.jsonl", "schema.py"):
        shutil.copy(material / name, tmp_path / name)
    write_records([record(n, "es") for n in range(30, 33)], tmp_path / "dev.jsonl")
    data = {
        "schema": str(tmp_path / "schema.py"),
        "path": str(tmp_path / "train.jsonl"),
        "tasks": ["ner", "re"],
    }
    varied = data | {"limit": 9, "weight": 3, "prompts": {"shuffle": True, "negatives": 1}}
    align = {"kind": "align", "steps": 2, "data": [data | {"path": str(tmp_path / "parallel.jsonl")}]}
    extract = {"kind": "extract", "steps": 3, "replay": 0.2, "temperature": 2, "data": [data, varied]}
    held_out = {"validation": [data | {"path": str(tmp_path / "dev.jsonl"), "tasks": ["ner"]}]}
    return plain_config | {"stages": [align, extract | held_out], "evaluate_every": 2}


def packed_into(folder: Path, values: dict, **options) -> list[str]:
    said: list[str] = []
    pack(parse_config(values), folder, options.get("overwrite", False), said.append)
    return said


def losses(run: str) -> list[tuple]:
    return [(line["loss"], line.get("validation_loss")) for line in read_metrics(Path(run))]


def test_a_run_from_packed_data_has_the_same_bits(values, tmp_path):
    tuned = train(parse_config(values), **QUIET)
    said = packed_into(tmp_path / "packed", values)
    assert said[-1].startswith(f"wrote {tmp_path / 'packed'}: ")
    for name in ("train.jsonl", "parallel.jsonl", "dev.jsonl"):  # they are not needed any more
        (tmp_path / name).rename(tmp_path / f"away-{name}")
    other = values | {"packed": str(tmp_path / "packed"), "run_dir": str(tmp_path / "again")}

    def interrupt(metrics):
        if metrics.step == 3:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        train(parse_config(other), report=interrupt, say=lambda line: None)
    again = train(parse_config(other), resume=True, **QUIET)
    assert losses(other["run_dir"]) == losses(values["run_dir"])
    for a, b in zip(jax.tree.leaves(tuned.lora), jax.tree.leaves(again.lora), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    summaries = [json.loads((Path(each["run_dir"]) / "summary.json").read_text()) for each in (values, other)]
    assert summaries[0]["data"] == summaries[1]["data"]


def test_a_line_a_corpus_and_each_corpus_once(values, tmp_path):
    twice = {**values["stages"][1], "replay": 0, "data": values["stages"][1]["data"][:1]}
    values = values | {"stages": [twice, twice | {"epochs": 2}]}
    packed_into(tmp_path / "packed", values)
    assert len(read_manifest(tmp_path / "packed").corpora) == 2  # one to learn from, one held out
    tokenizer = load_tokenizer(values["model"])
    told = []
    for packed in (None, str(tmp_path / "packed")):
        read_stages(parse_config(values | {"packed": packed}), tokenizer, 4096, (lines := []).append)
        told.append(lines)
    assert told[0] == told[1] != []


def test_what_is_not_packed_as_the_config_asks_is_named(values, tmp_path):
    packed_into(tmp_path / "packed", values)

    def refused(changed: dict) -> str:
        config = parse_config({**values, "packed": str(tmp_path / "packed"), **changed})
        with pytest.raises(UsageError) as caught:
            read_stages(config, load_tokenizer(values["model"]), 4096, lambda line: None)
        return str(caught.value)

    def with_data(**change) -> dict:
        align, extract = values["stages"]
        return {"stages": [align, extract | {"data": [extract["data"][0] | change]}]}

    assert "has " in refused(with_data(limit=3))
    assert "train.jsonl packed with another limit. Pack again" in refused(with_data(limit=3))
    assert "packed with another tasks" in refused(with_data(tasks=["ner"]))
    assert "does not have other.jsonl; it has " in refused(with_data(path="other.jsonl"))
    assert "packed with another seed" in refused({"seed": 1})  # some of the prompts vary by it
    still = parse_config({**values, "packed": str(tmp_path / "packed"), "seed": 1, **with_data(weight=2)})
    read_stages(still, load_tokenizer(values["model"]), 4096, lambda line: None)
    with pytest.raises(UsageError, match="packed with another max_positions"):
        read_stages(still, load_tokenizer(values["model"]), 2048, lambda line: None)


def test_another_tokenizer_is_refused_naming_both(values, tmp_path):
    packed_into(tmp_path / "packed", values)
    tokenizer = train_tokenizer([SCHEMA] * 4, 500, tmp_path / "tokenizer")
    config = ModelConfig(vocab_size=500, hidden_size=32, intermediate_size=48, num_layers=2, num_heads=2)
    save_pretrained(tmp_path / "other", config, init_params(config, jax.random.key(0)), tokenizer)
    marks = [fingerprint(load_tokenizer(each))[:12] for each in (values["model"], tmp_path / "other")]
    assert marks[0] != marks[1]
    wanted = (
        rf"tokenizer of {values['model']} \(fingerprint {marks[0]}\).*{tmp_path / 'other'} .*\({marks[1]}\)"
    )
    with pytest.raises(UsageError, match=wanted):
        train(
            parse_config(values | {"packed": str(tmp_path / "packed"), "model": str(tmp_path / "other")}),
            **QUIET,
        )


def test_a_corpus_or_schema_that_changed_is_refused(values, tmp_path):
    packed_into(tmp_path / "packed", values)
    config = parse_config(values | {"packed": str(tmp_path / "packed")})
    for name in ("train.jsonl", "schema.py"):
        path = tmp_path / name
        before = path.read_text()
        path.write_text(before + "\n")
        with pytest.raises(KcxError, match=rf"{name} has changed since it was packed into .*Pack again"):
            train(config, **QUIET)
        path.write_text(before)
    assert not Path(values["run_dir"]).exists()


def test_a_packed_folder_is_not_replaced_unless_asked(values, tmp_path):
    packed_into(tmp_path / "packed", values)
    before = read_manifest(tmp_path / "packed")
    with pytest.raises(KcxError, match=r"exists already.*--overwrite"):
        packed_into(tmp_path / "packed", values)
    (tmp_path / "dev.jsonl").write_text("{}\n")
    with pytest.raises(KcxError, match=r"dev\.jsonl"):
        packed_into(tmp_path / "packed", values, overwrite=True)
    assert read_manifest(tmp_path / "packed") == before
    shutil.copy(tmp_path / "train.jsonl", tmp_path / "dev.jsonl")
    packed_into(tmp_path / "packed", values, overwrite=True)
    assert read_manifest(tmp_path / "packed") != before
    assert read_manifest(tmp_path / "packed.replaced") == before
    assert not list(tmp_path.glob(".*partial"))


def rewritten(path: Path, change: dict) -> None:
    values = json.loads(path.read_text()) | change
    path.write_text(json.dumps(values | {"digest": manifest_digest(values)}))


def test_a_manifest_that_is_not_whole_is_named(values, tmp_path):
    folder = tmp_path / "packed"
    with pytest.raises(KcxError, match=r"cannot read .*packed\.json"):
        read_manifest(folder)
    packed_into(folder, values)
    path = folder / "packed.json"
    text = path.read_text()
    for damaged in (text.replace("train", "trian", 1), "[1]", text[:-9], '{"a":' * 9999, '{"digest": 3}'):
        path.write_text(damaged)
        with pytest.raises(KcxError, match=r"packed\.json"):
            read_manifest(folder)
    path.write_text(text)
    rewritten(path, {"format": 2})
    with pytest.raises(KcxError, match=r"packed\.json is of format 2; this version reads 1. Pack again"):
        read_manifest(folder)
    for change in ({"format": 1, "corpora": {"a": 1}}, {"corpora": [{"rendering": 3}]}, {"corpora": [None]}):
        rewritten(path, change)
        with pytest.raises(KcxError, match=r"packed\.json was not written by kcx data pack: corpora"):
            read_manifest(folder)


ASKED = {
    "one prompt": {},
    "class groups": {"max_classes": 1},
    "prompts of their own": {"shuffle": True, "negatives": 1, "exemplars": 1},
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("part", [1, 7, 1000])
def test_parts_make_up_the_trees_of_all_records_at_once(material, plain_config, monkeypatch, asked, part):
    """Beside trees made of a list of the records, for any size of parts; none has more samples than that."""
    monkeypatch.setattr(rendered, "PART", part)
    data = plain_config["stages"][1]["data"][0] | {"prompts": asked}
    config = parse_config(plain_config | {"stages": [{"kind": "extract", "steps": 1, "data": [data]}]})
    tokenizer, settings = load_tokenizer(material / "base"), config.stages[0].data[0]
    prompts = settings.prompts.config(config.seed)
    records, schema = list(read_records(settings.path)), load_schema(Path(settings.schema_path))
    wanted = []
    for task in settings.tasks:
        for language in ("en", "es"):
            own = [each for each in records if each.language == language]
            size = config.branches if prompts.varies else len(own)
            for start in range(0, len(own), size):
                key, pool = f"{task}:{language}:{start}", ExemplarPool(records)
                for tree in sample_trees(own[start : start + size], schema, task, prompts, key, pool):
                    wanted.append(encode_tree(tokenizer, tree, language))
    reader = CorpusReader(config, tokenizer, 4096, lambda line: None)
    assert list(map(content, reader.trees(settings, "extract"))) == list(map(content, wanted))
    parts = list(rendered_parts(settings, "extract", prompts, config.branches, tokenizer))
    assert max(len(each.tree.branches) for each in parts) <= max(part, config.branches)


def content(tree):
    branches = [(b.context.tolist(), b.answer.tolist(), b.record_id, b.language) for b in tree.branches]
    return tree.name, tree.prefix.tolist(), branches


class Joining:
    """Characters, but for one piece that joins the end of a schema with the sentences that begin with A."""

    eos_id, vocab_size, looks_ahead = 2, 1 << 16, True

    def encode(self, text: str) -> list[int]:
        return list(map(ord, text.replace('\nsentence = "A', "\uffff")))


@pytest.mark.parametrize("part", [1, 2, 100])
def test_a_later_part_that_shortens_the_prefix(material, plain_config, tmp_path, monkeypatch, part):
    monkeypatch.setattr(rendered, "PART", part)
    texts = ["Bo sang.", "Cy sang.", "Di sang.", "Al sang.", "Ed sang."]
    records = [Record(str(n), "en", text, entities=()) for n, text in enumerate(texts)]
    write_records(records, tmp_path / "soft.jsonl")
    data = {"path": str(tmp_path / "soft.jsonl"), "schema": str(material / "schema.py"), "tasks": ["ner"]}
    config = parse_config(plain_config | {"stages": [{"kind": "extract", "steps": 1, "data": [data]}]})
    reader = CorpusReader(config, Joining(), 4096, lambda line: None)
    (tree,) = reader.trees(config.stages[0].data[0], "extract")
    whole = encode_tree(Joining(), extraction_tree(load_schema(material / "schema.py"), records, "ner"), "en")
    assert content(tree) == content(whole)
    assert tree.prefix[-1] != ord("\n")


def test_of_a_run_that_is_interrupted_nothing_is_left(values, tmp_path):
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(parse_config(values), tmp_path / "packed", False, interrupt)
    assert not list(tmp_path.glob("*packed*"))
    assert not list(tmp_path.glob(".*partial"))
