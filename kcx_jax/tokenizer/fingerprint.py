"""What tells one tokenizer from another: the files it is saved as."""

import hashlib
import tempfile
from pathlib import Path

from kcx_jax.tokenizer.face import Tokenizer


def fingerprint(tokenizer: Tokenizer) -> str:
    """SHA-256 of the names and contents of the tokenizer's files, which are saved as they were read."""
    total = hashlib.sha256()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(folder)
        for path in sorted(Path(folder).iterdir()):
            total.update(f"{path.name}:{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()
