"""SentencePiece behind one small face; no remote code.

Lives here: text -> ids -> text, training a small tokenizer with Baichuan2's properties, and the same one as a
``tokenizer.json`` for other programs. Not here: where a prompt ends and an answer starts (`prompts`, `data`).
"""

from kcx_jax.tokenizer.tokenizer import Tokenizer, load_tokenizer
from kcx_jax.tokenizer.train import train_tokenizer

__all__ = ["Tokenizer", "load_tokenizer", "train_tokenizer"]
