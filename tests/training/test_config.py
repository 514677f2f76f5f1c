"""Configs: what is wrong is named with its key, and the resolved config reads back as itself."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.errors import UsageError
from kcx_jax.training import load_config
from kcx_jax.training.config import TrainConfig, dump_config, parse_config

SMALL = {
    "model": "base",
    "run_dir": "runs/a",
    "stages": [{"kind": "extract", "data": [{"path": "a.jsonl", "schema": "s.py", "tasks": ["ner", "re"]}]}],
}


def written(tmp_path, values):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_defaults_are_the_papers_where_it_states_them():
    config = parse_config(SMALL)
    assert config.mode == "lora"
    assert config.lora.rank == 32
    assert config.branches == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learnig_rate": 1}, "unknown key 'learnig_rate'; did you mean 'learning_rate'"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"schedule": "triangle"}, "schedule"),
        ({"zzz": 1}, "known keys: learning_rate"),
    ],
)
def test_what_is_wrong_is_named(change, message):
    with pytest.raises(UsageError, match=rf"(?s)here.yaml: optimiser.*{message}"):
        parse_config(SMALL | {"optimiser": change}, where="here.yaml")


def test_an_unknown_key_names_the_nearest():
    with pytest.raises(UsageError, match="unknown key 'stage'; did you mean 'stages'"):
        parse_config({**SMALL, "stage": []})
    stages = [{"kind": "extract", "data": [{"path": "a", "shema": "s.py"}]}]
    with pytest.raises(UsageError, match=r"stages.0.data.0: unknown key 'shema'; did you mean 'schema'"):
        parse_config({**SMALL, "stages": stages})


def test_settings_of_the_command_line_change_the_file(tmp_path):
    path = written(tmp_path, SMALL)
    config = load_config(
        path, ["optimiser.learning_rate=1e-4", "stages.0.epochs=3", "lora.targets=[W_pack]", "mode=full"]
    )
    assert config.optimiser.learning_rate == 1e-4
    assert config.stages[0].epochs == 3
    assert config.lora.targets == ("W_pack",)
    assert config.mode == "full"


@pytest.mark.parametrize(
    "setting", ["mode", "=full", "stages.7.epochs=1", "stages.x=1", "mode=[", "modee=full"]
)
def test_a_bad_setting_is_a_usage_error(tmp_path, setting):
    with pytest.raises(UsageError):
        load_config(written(tmp_path, SMALL), [setting])


@pytest.mark.parametrize("text", ["a: [", "just text", "", "a: 1\nb: &x [*y]"])
def test_a_file_that_is_no_config_names_itself(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"bad\.yaml"):
        load_config(path)
    with pytest.raises(UsageError, match=r"missing\.yaml: No such file"):
        load_config(tmp_path / "missing.yaml")


@settings(max_examples=30, deadline=None)
@given(
    rate=st.floats(1e-9, 10),
    seed=st.integers(0, 2**31),
    model=st.text(min_size=1),
    mode=st.sampled_from(["lora", "full"]),
)
def test_the_resolved_config_reads_back_as_itself(rate, seed, model, mode):
    config = parse_config(
        {**SMALL, "optimiser": {"learning_rate": rate}, "seed": seed, "model": model, "mode": mode}
    )
    assert TrainConfig.model_validate(yaml.safe_load(dump_config(config))) == config


@pytest.mark.parametrize("key", ["evaluate_every", "score_records"])
def test_evaluation_without_held_out_data_is_refused(key):
    with pytest.raises(UsageError, match=f"{key} needs held-out data: name it as validation in a stage"):
        parse_config({**SMALL, key: 5})


def test_configs_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        parse_config(SMALL).seed = 3


@pytest.mark.parametrize(
    ("kind", "prompts", "message"),
    [
        ("extract", {"negatives": -1}, r"data.0.prompts: negatives is -1: must be a whole number from 0 on"),
        ("extract", {"exemplars": "2"}, "exemplars is '2'"),
        ("extract", {"pair": [1]}, r"pair is \[1\]"),
        ("extract", {"negativ": 1}, "unknown key 'negativ'; did you mean 'negatives'"),
        ("extract", {"max_tokens": 0}, "max_tokens is 0"),
        ("align", {"pair": True}, "stages.0: prompts.pair is for stages of kind extract"),
    ],
)
def test_a_wrong_setting_of_the_prompts_is_named(kind, prompts, message):
    data = SMALL["stages"][0]["data"][0] | {"prompts": prompts}
    with pytest.raises(UsageError, match=message):
        parse_config({**SMALL, "stages": [{"kind": kind, "data": [data]}]})
