"""A whole run from files: what it leaves behind, how it resumes, what it refuses, what the plan foretells."""

import contextlib
import hashlib
import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from kcx_jax.checkpoints import load_pretrained
from kcx_jax.cli.app import app
from kcx_jax.corpora import read_parallel, write_records
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.evaluation.while_training import decoded_f1
from kcx_jax.files import held_alone
from kcx_jax.lora import joined
from kcx_jax.tokenizer import load_tokenizer
from kcx_jax.training import load_config, plan_stages, read_metrics, train
from kcx_jax.training import run as run_module
from kcx_jax.training.config import parse_config
from kcx_jax.training.forecast import forecast
from kcx_jax.training.stages import read_stages

from .conftest import record


def arrays(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


@pytest.fixture
def quiet(silent):
    return {"report": silent, "say": lambda line: None}


def test_two_stages_leave_a_peft_adapter_and_an_account(plain_config, quiet):
    config = parse_config(plain_config)
    tuned = train(config, **quiet)
    run = Path(config.run_dir)
    lines = read_metrics(run)
    assert [line["stage"] for line in lines] == ["stage 1 (align)"] * 3 + ["stage 2 (extract)"] * 4
    assert load_config(run / "config.yaml") == config
    loaded = load_pretrained(config.model, run / "adapter", dtype="float32")
    assert loaded.lora_config == tuned.lora_config
    assert [parse_config(yaml.safe_load(run)) for run in loaded.training] == [config]
    assert all(map(np.array_equal, arrays(loaded.lora), arrays(tuned.lora)))
    assert any(np.abs(leaf).max() > 0 for leaf in arrays(tuned.lora["layers"]["W_pack"]["B"]))
    with pytest.raises(UsageError, match=r"is not empty.*--resume"):
        train(config, **quiet)
    # Resuming a finished run does nothing again.
    again = train(config, resume=True, **quiet)
    assert all(map(np.array_equal, arrays(again.lora), arrays(tuned.lora)))
    assert read_metrics(run) == lines


def test_an_interrupted_run_is_resumed_with_its_own_config_only(plain_config, silent):
    config = parse_config(plain_config)

    def interrupt(metrics):
        if metrics.step == 2:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        train(config, report=interrupt, say=lambda line: None)
    other = parse_config({**plain_config, "seed": 5})
    status = json.loads((Path(config.run_dir) / "summary.json").read_text())["status"]
    assert status == "stopped; --resume goes on"
    with pytest.raises(UsageError, match="another seed"):
        train(other, resume=True, report=silent, say=lambda line: None)
    run = Path(config.run_dir)
    lines = read_metrics(run)
    with held_alone(run / ".lock", "free"), pytest.raises(KcxError, match="another process trains into"):
        train(config, resume=True, report=silent, say=lambda line: None)
    assert read_metrics(run) == lines
    train(config, resume=True, report=silent, say=lambda line: None)
    assert [line["step"] for line in read_metrics(Path(config.run_dir))] == list(range(1, 8))


@pytest.mark.parametrize("changed", ["train.jsonl", "schema.py"])
def test_a_run_is_not_resumed_with_other_data(plain_config, quiet, material, tmp_path, changed):
    for name in ("train.jsonl", "schema.py"):
        shutil.copy(material / name, tmp_path)
    data = {"path": str(tmp_path / "train.jsonl"), "schema": str(tmp_path / "schema.py")}
    stage = {"kind": "extract", "steps": 1, "data": [data]}
    config = parse_config({**plain_config, "stages": [stage]})
    train(config, **quiet)
    summary = Path(config.run_dir) / "summary.json"
    before = summary.read_bytes()
    with (tmp_path / changed).open("a") as handle:
        handle.write("\n")
    with pytest.raises(UsageError, match=rf"^\S+{changed} changed since the run in .* began"):
        train(config, resume=True, **quiet)
    assert summary.read_bytes() == before


@pytest.mark.parametrize(
    ("ended", "refusal"), [(False, "another process trains into"), (True, r"is not empty.*--resume")]
)
def test_a_run_that_began_meanwhile_keeps_its_config(plain_config, quiet, monkeypatch, ended, refusal):
    config = parse_config({**plain_config, "seed": 5})
    run, read = Path(config.run_dir), run_module._stages
    with contextlib.ExitStack() as first:

        def stages(*arguments):
            """The other run begins while this one reads its data."""
            run.mkdir()
            (run / "config.yaml").write_text("seed: 1\n")
            if not ended:
                first.enter_context(held_alone(run / ".lock", ""))
            return read(*arguments)

        monkeypatch.setattr(run_module, "_stages", stages)
        with pytest.raises(KcxError, match=refusal):
            train(config, **quiet)
    assert (run / "config.yaml").read_text() == "seed: 1\n"


def test_a_chain_of_adapters_is_left_link_by_link_and_joined(plain_config, quiet):
    first, second = plain_config["stages"]
    config = parse_config({**plain_config, "stages": [first, second | {"adapter": "new"}]})
    tuned = train(config, **quiet)
    run = Path(config.run_dir)
    links = [load_pretrained(config.model, run / "chain" / n, dtype="float32") for n in ("1", "2")]
    assert [link.lora_config.rank for link in links] == [4, 4]
    loaded = load_pretrained(config.model, run / "adapter", dtype="float32")
    assert loaded.lora_config.rank == 8
    assert all(map(np.array_equal, arrays(loaded.lora), arrays(tuned.lora)))
    joint, _ = joined([(link.lora, link.lora_config) for link in links], tuned.config.qkv_rows)
    assert all(map(np.array_equal, arrays(joint), arrays(tuned.lora)))


def test_a_run_is_watched_on_held_out_data(plain_config, quiet, tmp_path):
    held_out = [record(n, "es") for n in range(30, 33)]
    write_records(held_out, tmp_path / "dev.jsonl")
    stage = plain_config["stages"][1]
    dev = [stage["data"][0] | {"path": str(tmp_path / "dev.jsonl")}]
    values = {
        **plain_config,
        "stages": [stage | {"validation": dev}],
        "evaluate_every": 2,
        "score_records": 2,
    }
    config = parse_config(values)
    asked = []

    def gold(model, stage):
        """As the callback of `kcx train` sees it: a whole model, and what to ask it about."""
        assert model.lora is not None
        asked.append([data.path for data in stage.validation])
        return decoded_f1(model, stage, 2)

    train(config, **quiet, score=gold)
    lines = [line for line in read_metrics(Path(config.run_dir)) if "score" in line]
    assert [line["step"] for line in lines] == [2, 4]
    summary = json.loads((Path(config.run_dir) / "summary.json").read_text())
    best = max(lines, key=lambda line: line["score"])
    told = summary["figures"]["stage 1 (extract)"]
    assert told["best_evaluation"] == {name: best[name] for name in ("step", "validation_loss", "score")}
    assert summary["status"] == "done"
    assert {"adapter", "checkpoints", "config.yaml", "metrics.jsonl"} == set(summary["contents"])
    corpora = [
        config.stages[0].data[0].path,
        str(tmp_path / "dev.jsonl"),
        config.stages[0].data[0].schema_path,
    ]
    sums = {path: {"sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest()} for path in corpora}
    assert summary["data"] == sums
    assert parse_config(summary["config"]) == config
    assert all(0 <= line["score"] <= 1 for line in lines)
    assert asked == [[str(tmp_path / "dev.jsonl")]] * 2


def test_a_loss_that_is_not_finite_leaves_the_samples_it_came_from(plain_config, quiet):
    config = parse_config({**plain_config, "optimiser": {"learning_rate": 1e36, "clip": None}})
    run = Path(config.run_dir)
    with pytest.raises(KcxError, match=r"loss of step 2 \(step 2 of stage 1 \(align\)\) is nan") as caught:
        train(config, **quiet)
    assert f"(en and es); {run / 'not_finite.json'} has their tokens" in str(caught.value)
    saved = json.loads((run / "not_finite.json").read_text())
    assert json.loads((run / "summary.json").read_text())["status"] == f"failed: {caught.value}"
    branches = [branch for row in saved["rows"] for branch in row["branches"]]
    assert all(repr(branch["record"]) in str(caught.value) for branch in branches[:5])
    tokenizer = load_tokenizer(config.model)
    pairs = {pair.id: pair for pair in read_parallel(config.stages[0].data[0].path)}
    for branch in branches:
        pair = pairs[branch["record"]]
        assert pair.source.text in branch["context"]["text"]
        assert tokenizer.decode(branch["context"]["ids"]) == branch["context"]["text"]
        assert pair.target.entities[0].text in branch["answer"]["text"]
    assert all("class Person" in row["prefix"]["text"] for row in saved["rows"])
    (stage,) = read_stages(
        config.model_copy(update={"stages": config.stages[:1]}), tokenizer, 4096, quiet["say"]
    )
    step = plan_stages([stage], config)[0].steps[1]
    assert len(branches) == step.samples
    (other,) = read_stages(
        config.model_copy(update={"stages": config.stages[1:]}), tokenizer, 4096, quiet["say"]
    )
    told = {branch.record_id: branch.language for tree in other.trees for branch in tree.branches}
    assert told == {record(n, language).id: language for n in range(20) for language in ("en", "es")}


def test_mode_full_writes_a_model_folder(plain_config, quiet):
    stages = [{**plain_config["stages"][1], "steps": 1}]
    config = parse_config({**plain_config, "mode": "full", "stages": stages})
    tuned = train(config, **quiet)
    loaded = load_pretrained(Path(config.run_dir) / "model", dtype="float32")
    assert all(map(np.array_equal, arrays(loaded.params), arrays(tuned.params)))
    before = load_pretrained(config.model, dtype="float32")
    assert not np.array_equal(before.params["lm_head"], loaded.params["lm_head"])


def test_what_cannot_be_trained_on_is_named(plain_config, tmp_path, quiet):
    def with_data(**change):
        stage = plain_config["stages"][1]
        data = {**stage["data"][0], **change}
        return parse_config({**plain_config, "stages": [{**stage, "data": [data]}]})

    with pytest.raises(KcxError, match=r"missing\.jsonl"):
        train(with_data(path=str(tmp_path / "missing.jsonl")), **quiet)
    with pytest.raises(KcxError, match="record 'en0' is not annotated with events"):
        train(with_data(tasks=["ed"]), **quiet)
    assert not Path(plain_config["run_dir"]).exists()  # nothing was begun


def test_overlong_samples_fail_the_run_unless_allowed(plain_config, tmp_path):
    base = record(0)
    long = replace(base, id="long", text=base.text + " x" * 3000)
    write_records([base, long], tmp_path / "long.jsonl")
    stage = plain_config["stages"][1]
    data = {**stage["data"][0], "path": str(tmp_path / "long.jsonl"), "tasks": ["ner"]}
    values = {**plain_config, "stages": [{**stage, "data": [data]}]}
    tokenizer = load_tokenizer(plain_config["model"])
    said = []
    with pytest.raises(KcxError, match=r"1 of 2 samples are longer than the model's 4096 positions.*'long'"):
        read_stages(parse_config(values), tokenizer, 4096, said.append)
    (stage,) = read_stages(parse_config({**values, "allow_overlong": True}), tokenizer, 4096, said.append)
    assert [b.record_id for tree in stage.trees for b in tree.branches] == ["en0"]
    assert said == [f"{data['path']}: 1 samples for ner, 1 left out as longer than 4096 tokens"]


@pytest.mark.parametrize("kind", ["align", "extract"])
def test_a_schema_too_long_for_the_model_is_split_into_class_groups(plain_config, kind):
    (stage,) = [stage for stage in plain_config["stages"] if stage["kind"] == kind]
    data = {**stage["data"][0], "tasks": ["ner"]}
    config = parse_config({**plain_config, "stages": [{**stage, "data": [data]}]})
    tokenizer, said = load_tokenizer(plain_config["model"]), []

    def lengths(trees):
        return [len(tree.prefix) + branch.inputs for tree in trees for branch in tree.branches]

    (whole,) = read_stages(config, tokenizer, 4096, said.append)
    room = max(lengths(whole.trees)) - 1
    (split,) = read_stages(config, tokenizer, room, said.append)
    assert max(lengths(split.trees)) <= room
    assert any("split into class groups" in line for line in said)
    assert len(split.trees) == 2 * len(whole.trees)
    records = sorted(branch.record_id for tree in whole.trees for branch in tree.branches)
    assert sorted(b.record_id for t in split.trees for b in t.branches) == sorted(records * 2)
    for classes in ("Person", "City"):  # each is asked for in one of the groups
        shown = [f"class {classes}(" in tokenizer.decode(tree.prefix.tolist()) for tree in split.trees]
        assert sum(shown) == len(whole.trees)


def test_a_class_too_long_for_the_model_is_named(plain_config):
    stage = plain_config["stages"][1]
    config = parse_config({**plain_config, "stages": [stage]})
    tokenizer = load_tokenizer(plain_config["model"])
    (whole,) = read_stages(config, tokenizer, 4096, lambda line: None)
    longest = max(branch.inputs for tree in whole.trees for branch in tree.branches)
    with pytest.raises(UsageError, match=r"jsonl: class \w+ with the classes it needs takes \d+ tokens"):
        read_stages(config, tokenizer, 2 * longest, lambda line: None)


def test_prompts_are_drawn_for_the_records_of_a_tree(plain_config):
    def prefixes(seed, **prompts):
        stage = plain_config["stages"][1]
        data = {**stage["data"][0], "tasks": ["ner"], "prompts": prompts}
        values = {**plain_config, "branches": 8, "seed": seed, "stages": [{**stage, "data": [data]}]}
        (read,) = read_stages(parse_config(values), tokenizer, 4096, lambda line: None)
        assert sorted(b.record_id for t in read.trees for b in t.branches) == sorted(ids * copies(prompts))
        return [tokenizer.decode(t.prefix.tolist()) for t in read.trees]

    def copies(prompts):
        return 2 if "max_classes" in prompts else 1

    tokenizer = load_tokenizer(plain_config["model"])
    ids = [record(n, language).id for n in range(20) for language in ("en", "es")]
    plain = prefixes(0)
    assert len(plain) == 2  # one a language
    assert plain[0] == plain[1]
    drawn = prefixes(0, shuffle=True, exemplars=2)
    assert len(drawn) == 6  # 20 records a language, 8 a tree
    assert len(set(drawn)) > 2
    assert drawn == prefixes(0, shuffle=True, exemplars=2) != prefixes(1, shuffle=True, exemplars=2)
    assert len(prefixes(0, max_classes=1)) == 4  # two classes in two languages


def test_the_forecast_is_what_then_happens(plain_config, quiet):
    config = parse_config(plain_config)
    told = forecast(config, quiet["say"])
    assert not Path(config.run_dir).exists()
    tuned = train(config, **quiet)
    lines = read_metrics(Path(config.run_dir))
    assert [len(plan.steps) for plan in told.stages.values()] == [3, 4]
    assert sum(plan.total("tokens") for plan in told.stages.values()) == sum(line["tokens"] for line in lines)
    assert told.trained == sum(leaf.size for leaf in arrays(tuned.lora))
    assert told.parameters == sum(leaf.size for leaf in arrays(tuned.params))
    assert told.memory.frozen == sum(leaf.nbytes for leaf in arrays(tuned.params))
    assert told.memory.state >= 3 * sum(leaf.nbytes for leaf in arrays(tuned.lora))
    assert told.memory.step > 0


def test_plan_prints_without_training(plain_config, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(plain_config))
    result = CliRunner().invoke(app, ["train", str(config), "--plan"], env={"COLUMNS": "200"})
    assert result.exception is None
    for expected in ("1 (align)", "2 (extract)", "memory a device", "trains"):
        assert expected in result.output
    assert not Path(plain_config["run_dir"]).exists()
