"""A Hub id becomes a folder without any code being fetched, or one clear error."""

from fnmatch import fnmatch
from functools import partial

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from kcx_jax.checkpoints.hub import local_folder
from kcx_jax.errors import KcxError

NEW = ["*.json", "*.safetensors", "tokenizer.model", "chat_template.jinja", "training.yaml"]
OLD = [*NEW, "pytorch_model*.bin", "adapter_model.bin"]


@pytest.mark.parametrize(
    ("files", "asked", "fetched"),
    [
        (["model.safetensors", "pytorch_model.bin"], [NEW], ["model.safetensors"]),
        (["pytorch_model.bin", "training_args.bin"], [NEW, OLD], ["pytorch_model.bin"]),
        (["adapter_model.bin"], [NEW, OLD], ["adapter_model.bin"]),
    ],
)
def test_only_weights_settings_and_tokenizer_are_fetched(tmp_path, monkeypatch, files, asked, fetched):
    """Pickles only from where there is nothing else, and no code from anywhere."""
    calls = []

    def snapshot(name, allow_patterns):
        calls.append((name, allow_patterns))
        for file in (*files, "config.json", "modeling_baichuan.py"):
            if any(fnmatch(file, pattern) for pattern in allow_patterns):
                (tmp_path / file).touch()
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert local_folder("baichuan-inc/Baichuan2-7B-Base") == tmp_path
    assert calls == [("baichuan-inc/Baichuan2-7B-Base", patterns) for patterns in asked]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([*fetched, "config.json"])


def test_a_cached_snapshot_of_pickles_is_found_offline(tmp_path, monkeypatch):
    """The Hub's own library, with a cache that holds a repository and no network."""
    commit = "0" * 40
    snapshot = tmp_path / "models--org--name" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (tmp_path / "models--org--name" / "refs").mkdir()
    (tmp_path / "models--org--name" / "refs" / "main").write_text(commit)
    (snapshot / "pytorch_model.bin").touch()
    cached = partial(huggingface_hub.snapshot_download, cache_dir=tmp_path, local_files_only=True)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", cached)
    assert local_folder("org/name") == snapshot


def test_offline(monkeypatch):
    def snapshot(name, allow_patterns):
        raise LocalEntryNotFoundError("An error happened while trying to locate the files on the Hub.\nMore")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    with pytest.raises(
        KcxError, match=r"no folder org/name, and the Hugging Face Hub does not give org/name: An"
    ):
        local_folder("org/name")


def test_a_file_and_a_path_that_is_not_there(tmp_path):
    (tmp_path / "model.safetensors").write_text("")
    with pytest.raises(KcxError, match="is a file; name the folder"):
        local_folder(tmp_path / "model.safetensors")
    with pytest.raises(KcxError, match="there is no folder"):
        local_folder(str(tmp_path / "a" / "b"))
