"""Tokenizers of two kinds of files behind one small face; no remote code.

Lives here: text -> ids -> text, from Baichuan2's `tokenizer.model` (SentencePiece) and from the `tokenizer.json`
of Llama, Qwen and Mistral; training a small tokenizer with Baichuan2's properties, and the same one as a
`tokenizer.json` for other programs. Not here: where a prompt ends and an answer starts (`prompts`, `data`).
"""

from kcx_jax.tokenizer.face import Tokenizer
from kcx_jax.tokenizer.fingerprint import fingerprint
from kcx_jax.tokenizer.load import load_tokenizer
from kcx_jax.tokenizer.train import train_tokenizer

__all__ = ["Tokenizer", "fingerprint", "load_tokenizer", "train_tokenizer"]
