"""`kcx train`: exit codes and what it prints; the runs themselves are tested in tests/training."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from kcx_jax.cli.app import app
from kcx_jax.errors import UsageError

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))


def run(*arguments):
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


def test_a_bad_call_is_a_usage_error(tmp_path):
    assert isinstance(run(tmp_path / "missing.yaml").exception, UsageError)
    config = tmp_path / "config.yaml"
    config.write_text("model: base\nrun_dir: run\nstagse: []\n")
    assert "did you mean 'stages'" in str(run(config).exception)
    assert isinstance(run(config, "--plan", "--resume").exception, UsageError)
    assert run().exit_code == 2


def test_help_has_an_example():
    result = run("--help")
    assert result.exit_code == 0
    assert "kcx train configs/" in result.output


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_shipped_configs_are_valid_and_name_only_what_differs(path):
    import yaml

    from kcx_jax.training import load_config

    config = load_config(path)
    named = yaml.safe_load(path.read_text())
    for key, value in named.items():
        default = type(config).model_fields[key]
        assert default.is_required() or getattr(config, key) != default.default, (
            f"{key} is {value} by default"
        )
    for stage in config.stages:
        for data in stage.data:
            if data.schema_path.startswith("configs/"):
                assert (path.parent.parent / data.schema_path).exists()
