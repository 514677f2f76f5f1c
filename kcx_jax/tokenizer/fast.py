"""The same tokenizer as a `tokenizer.json`, which transformers reads without remote code.

`tokenizers` merges by rank where SentencePiece merges by score, so every way of joining two pieces to a third
becomes a merge, ranked by the third one's score. Nothing is put before a text (the old trouble with
`add_prefix_space`).
"""

import json
from pathlib import Path
from typing import Any

from kcx_jax.files import atomic_write
from kcx_jax.tokenizer.face import CONFIG_FILE, SPACE, SPECIAL_TOKENS_FILE, Tokenizer
from kcx_jax.tokenizer.json_tokenizer import TOKENIZER_FILE
from kcx_jax.tokenizer.sentencepiece_tokenizer import MODEL_FILE, PieceType, SentencePieceTokenizer


def save_fast(tokenizer: Tokenizer, folder: str | Path, overwrite: bool = False) -> None:
    """Write the tokenizer for transformers into `folder`: `tokenizer.json` with its two settings files, and
    `tokenizer.model` for programs that read that.

    Typed text that spells a reserved symbol becomes that symbol there, as in the release. A tokenizer that
    was read from a `tokenizer.json` is written as it was read.
    """
    if not isinstance(tokenizer, SentencePieceTokenizer):
        tokenizer.save(folder, overwrite)
        return
    folder = Path(folder)
    specials = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<unk>"}
    config = {
        "add_bos_token": False,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": tokenizer.config.get("model_max_length", 4096),
        "tokenizer_class": "PreTrainedTokenizerFast",
        **specials,
    }
    for name, content in (
        (TOKENIZER_FILE, tokenizer_json(tokenizer)),
        (CONFIG_FILE, config),
        (SPECIAL_TOKENS_FILE, specials),
    ):
        with atomic_write(folder / name, overwrite=overwrite) as handle:
            handle.write(json.dumps(content, ensure_ascii=False) + "\n")
    with atomic_write(folder / MODEL_FILE, "wb", overwrite) as binary:
        binary.write(tokenizer.model)


def tokenizer_json(tokenizer: SentencePieceTokenizer) -> dict[str, Any]:
    """The content of `tokenizer.json`: a BPE with bytes for unknown characters and no pre-tokeniser."""
    pieces = tokenizer.proto.pieces
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            _added_token(token_id, piece.piece, special=piece.type != PieceType.USER_DEFINED)
            for token_id, piece in enumerate(pieces)
            if piece.type in (PieceType.UNKNOWN, PieceType.CONTROL, PieceType.USER_DEFINED)
        ],
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {piece.piece: token_id for token_id, piece in enumerate(pieces)},
            "merges": _merges(pieces),
        },
    }


def _added_token(token_id: int, content: str, special: bool) -> dict[str, Any]:
    """A symbol that is never split. The special ones count in typed text only where they stand alone."""
    return {
        "id": token_id,
        "content": content,
        "single_word": special,
        "lstrip": False,
        "rstrip": False,
        "normalized": not special,
        "special": special,
    }


def _merges(pieces: Any) -> list[list[str]]:
    scores = {piece.piece: piece.score for piece in pieces if piece.type == PieceType.NORMAL}
    return [
        [text[:cut], text[cut:]]
        for text in sorted(scores, key=lambda text: -scores[text])
        for cut in range(1, len(text))
        if text[:cut] in scores and text[cut:] in scores
    ]
