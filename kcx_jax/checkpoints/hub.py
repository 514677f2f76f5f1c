"""From a path or a Hugging Face Hub id to a folder on this machine; no code is ever fetched."""

import re
from pathlib import Path

from kcx_jax.errors import KcxError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_WANTED = ["*.json", "*.safetensors", "tokenizer.model", "chat_template.jinja", "training.yaml"]
# Only where there is nothing else: many have both.
_WANTED_OF_OLD = ["pytorch_model*.bin", "adapter_model.bin"]


def local_folder(path_or_hub_id: str | Path) -> Path:
    """The folder itself, or the snapshot of a Hub id (ORG/NAME), downloaded once into the Hub's own cache.

    Raises `KcxError` when there is neither, or when the Hub cannot be reached and the cache is empty.
    """
    folder = Path(path_or_hub_id)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise KcxError(f"{folder} is a file; name the folder it lies in.")
    if not isinstance(path_or_hub_id, str) or not _HUB_ID.fullmatch(path_or_hub_id):
        raise KcxError(f"there is no folder {folder}.")

    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(path_or_hub_id, allow_patterns=_WANTED))
        if not any(folder.glob("*.safetensors")):
            folder = Path(snapshot_download(path_or_hub_id, allow_patterns=[*_WANTED, *_WANTED_OF_OLD]))
        return folder
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise KcxError(
            f"there is no folder {path_or_hub_id}, and the Hugging Face Hub does not give {path_or_hub_id}: {reason} "
            "Check the name and the network, or download the model's files and name their folder."
        ) from error
