"""``kcx export`` and ``kcx inspect``: whole commands, on the golden checkpoint."""

import json
import re
import shutil
import sys

import pytest

from kcx_jax.cli import app as module
from kcx_jax.cli import main


@pytest.fixture
def tiny(shared):
    return shared / "fixtures" / "baichuan2_tiny"


@pytest.fixture
def kcx(monkeypatch, capsys):
    """Run the command line in this process; -> (exit code, stdout, stderr)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["kcx", *map(str, arguments)])
        with pytest.raises(SystemExit) as leaving:
            main()
        captured = capsys.readouterr()
        return leaving.value.code or 0, captured.out, captured.err

    return run


def test_both_commands_are_in_the_table():
    assert {"export", "inspect"} <= set(module.COMMANDS)


def test_export_then_inspect(kcx, tiny, tmp_path):
    out = tmp_path / "out"
    source = ["--model", tiny / "base_fp32", "--adapter", tiny / "adapter"]
    code, printed, told = kcx("export", *source, "--format", "peft", "--out", out)
    assert (code, printed) == (0, f"{out}\n")
    assert "loading" in told
    code, printed, _ = kcx("inspect", out, "--json")
    assert (code, json.loads(printed)["kind"], json.loads(printed)["settings"]["r"]) == (0, "adapter", 4)
    code, printed, told = kcx("export", *source, "--format", "peft", "--out", out)
    assert (code, printed) == (1, "")
    assert told == f"kcx: {out} exists already. Choose another path, or pass --overwrite to replace it.\n"


def test_dtype_and_shards(kcx, tiny, tmp_path):
    options = ["--format", "llama", "--dtype", "bfloat16", "--shard-size", "200KB"]
    code, _, _ = kcx("export", "--model", tiny / "base_fp32", *options, "--out", tmp_path / "out")
    assert code == 0
    description = json.loads(kcx("inspect", tmp_path / "out", "--json")[1])
    assert (description["layout"], len(description["files"])) == ("llama", 4)
    assert description["parameters_by_dtype"] == {"bfloat16": 443_584}


def test_inspect_tells_the_base(kcx, tiny):
    code, printed, _ = kcx("inspect", tiny / "base_bf16_safetensors_sharded")
    assert code == 0
    for expected in (
        "baichuan layout",
        "443,584",
        "bfloat16",
        "num_hidden_layers",
        "model-00003-of-00003.safetensors",
    ):
        assert expected in printed


@pytest.mark.parametrize(
    ("option", "code"), [(["--dtype", "int8"], 2), (["--shard-size", "big"], 2), (["--format", "gguf"], 2)]
)
def test_usage(kcx, tiny, tmp_path, option, code):
    arguments = ["--model", tiny / "base_fp32", "--format", "baichuan", "--out", tmp_path / "out", *option]
    assert kcx("export", *arguments)[0] == code
    assert not (tmp_path / "out").exists()


def test_a_damaged_folder_is_one_line(kcx, tiny, tmp_path):
    folder = shutil.copytree(tiny / "base_fp32", tmp_path / "model", copy_function=shutil.copyfile)
    (folder / "model.safetensors").write_bytes(b"12345678")
    code, printed, told = kcx("inspect", folder)
    assert (code, printed) == (1, "")
    assert told.count("\n") == 1
    assert str(folder / "model.safetensors") in told


def test_an_export_is_checked_by_its_logits_when_asked(kcx, tiny, tmp_path):
    source = [
        "--model",
        tiny / "base_fp32",
        "--adapter",
        tiny / "adapter",
        "--dtype",
        "float32",
        "--check-logits",
    ]
    for number, options in enumerate((["llama"], ["baichuan"], ["peft", "--qkv", "split"])):
        code, _, told = kcx("export", *source, "--out", tmp_path / str(number), "--format", *options)
        assert code == 0
        assert float(re.search(r"logit difference (\S+)", told)[1]) < 1e-4
        assert re.search(r"wrote \d+\.\d MB in \d+ s", told)
    targets = json.loads(kcx("inspect", tmp_path / "2", "--json")[1])["settings"]["target_modules"]
    assert {"q_proj", "k_proj", "v_proj"} < set(targets)


def test_inspect_tells_the_memory_of_each_device(kcx, tiny):
    whole, parts = (
        json.loads(kcx("inspect", tiny / "base_fp32", "--json", *mesh)[1])["bytes_per_device"]
        for mesh in ([], ["--fsdp", 2, "--tensor", 2])
    )
    assert whole == 4 * 443_584
    assert whole / 4 < parts < whole / 3.9
    code, _, told = kcx("inspect", tiny / "base_fp32", "--tensor", 7)
    assert (code, "does not divide" in told) == (2, True)
