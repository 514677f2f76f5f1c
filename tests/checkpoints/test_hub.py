"""A Hub id becomes a folder without any code being fetched, or one clear error."""

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from kcx_jax.checkpoints.hub import local_folder
from kcx_jax.errors import KcxError


def test_only_weights_settings_and_tokenizer_are_fetched(tmp_path, monkeypatch):
    asked = {}

    def snapshot(name, allow_patterns):
        asked[name] = allow_patterns
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert local_folder("baichuan-inc/Baichuan2-7B-Base") == tmp_path
    wanted = ["*.json", "*.safetensors", "tokenizer.model", "chat_template.jinja"]
    assert asked == {"baichuan-inc/Baichuan2-7B-Base": wanted}


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
