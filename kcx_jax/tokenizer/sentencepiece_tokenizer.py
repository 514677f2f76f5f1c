"""A SentencePiece model with Baichuan2's properties: text goes in and comes out unchanged.

No normalisation, no invented leading space, bytes for what has no piece: so the ids of two texts joined are
those of the parts wherever no piece crosses the border, and `decode(encode(text)) == text` for all Unicode.
"""

import json
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as sentencepiece_proto

from kcx_jax.errors import KcxError
from kcx_jax.files import atomic_write
from kcx_jax.tokenizer.face import CONFIG_FILE, SPACE, SPECIAL_TOKENS_FILE, Tokenizer, refuse_surrogates

MODEL_FILE = "tokenizer.model"

UNK_ID, BOS_ID, EOS_ID, PAD_ID = 0, 1, 2, 0

_ModelProto: Any = sentencepiece_proto.ModelProto  # type: ignore[attr-defined]  # made when imported
PieceType = _ModelProto.SentencePiece

# Symbols that carry a role rather than text. Web markup that has a piece of its own (`<b>`, `<br>`) is text.
_RESERVED = re.compile(r"<reserved_\d+>|<[A-Z]+>")


class SentencePieceTokenizer(Tokenizer):
    """Text to ids and back by a `tokenizer.model` of the Baichuan2 kind.

    `config` and `special_tokens` are the two JSON files beside the model, kept so that `save` writes what was
    read.
    """

    def __init__(
        self, model: bytes, config: dict | None = None, special_tokens: dict | None = None, where: str = ""
    ):
        self.bos_id, self.eos_id, self.pad_id = BOS_ID, EOS_ID, PAD_ID
        self.model = model
        self.config = default_config() if config is None else config
        self.special_tokens = default_special_tokens() if special_tokens is None else special_tokens
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise KcxError(
                f"{where or MODEL_FILE} is not a SentencePiece model: it is truncated or damaged."
            ) from error
        self._refuse_other_families(where or MODEL_FILE)

    def _refuse_other_families(self, where: str) -> None:
        normalizer, trainer = self.proto.normalizer_spec, self.proto.trainer_spec
        wrong = {
            "normalises its text": normalizer.name != "identity" or normalizer.precompiled_charsmap,
            "puts a space before a text": normalizer.add_dummy_prefix,
            "removes spaces": normalizer.remove_extra_whitespaces,
            "has no bytes for unknown characters": not trainer.byte_fallback,
            "has other ids than unk 0, bos 1, eos 2": [
                piece.type for piece in self.proto.pieces[:3]
            ] != [PieceType.UNKNOWN, PieceType.CONTROL, PieceType.CONTROL],
        }  # fmt: skip
        faults = [fault for fault, is_wrong in wrong.items() if is_wrong]
        if faults:
            raise KcxError(
                f"{where} {' and '.join(faults)}: it is not a tokenizer.model of the Baichuan2 kind, the "
                "only one read. A folder of another family (Llama 2, Mistral) needs a tokenizer.json beside "
                "it; transformers makes it: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)."
            )

    @cached_property
    def proto(self) -> Any:
        """The parsed model file: pieces with their types and scores, and how it was trained."""
        proto = _ModelProto()
        proto.ParseFromString(self.model)
        return proto

    @property
    def vocab_size(self) -> int:
        """Number of pieces, those of ids 0 to 2 included."""
        return self._processor.vocab_size()

    def piece(self, token_id: int) -> str:
        """The piece of one id, with "▁" for a space; `KcxError` for an id outside the vocabulary."""
        self._check_ids([token_id])
        return self._processor.id_to_piece(int(token_id))

    def token_bytes(self) -> list[bytes]:
        """The bytes of text that each id stands for; none for symbols with a role."""
        reserved = set(self.reserved)

        def text_of(piece: Any) -> bytes:
            if piece.type == PieceType.BYTE:
                return bytes.fromhex(piece.piece[3:5])
            is_text = piece.type in (PieceType.NORMAL, PieceType.USER_DEFINED) and piece.piece not in reserved
            return piece.piece.replace(SPACE, " ").encode() if is_text else b""

        return list(map(text_of, self.proto.pieces))

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """The ids of `text`, without a begin or end token.

        Text that spells a reserved symbol (`<reserved_106>`, `</s>`) becomes ordinary pieces, so nobody
        forges a role marker by typing it; it decodes to the same text. `allow_special=True` does as the
        release: a typed marker becomes its id (and "▁" a space). Raises `KcxError` on a lone surrogate.
        """
        refuse_surrogates(text)
        if allow_special:
            return self._processor.encode(text)
        ids: list[int] = []
        for number, part in enumerate(text.split(SPACE)):
            if number:  # the library would turn a typed "▁" into a space
                ids += self._space_mark_bytes
            ids += [
                token_id for whole in self._cut_reserved(part) for token_id in self._processor.encode(whole)
            ]
        return ids

    def _cut_reserved(self, text: str) -> Iterable[str]:
        """`text` in parts, cut behind the "<" of each reserved symbol, so that no part holds a whole one."""
        start = 0
        for match in self._reserved_start.finditer(text):
            yield text[start : match.end()]
            start = match.end()
        yield text[start:]

    @cached_property
    def _reserved_start(self) -> re.Pattern:
        symbols = [re.escape(symbol[1:]) for symbol in self.reserved]
        return re.compile(f"<(?={'|'.join(symbols)})" if symbols else r"(?!)")

    @cached_property
    def reserved(self) -> tuple[str, ...]:
        """The symbols that typed text never becomes, in order of their ids."""
        return tuple(
            piece.piece
            for piece in self.proto.pieces
            if piece.type == PieceType.USER_DEFINED and _RESERVED.fullmatch(piece.piece)
        )

    @cached_property
    def _space_mark_bytes(self) -> list[int]:
        return [self._processor.piece_to_id(f"<0x{byte:02X}>") for byte in SPACE.encode()]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`, ids 0, 1 and 2 left out; half a character's bytes become U+FFFD.

        Raises `KcxError` for an id outside the vocabulary.
        """
        ids = [int(token_id) for token_id in ids]
        self._check_ids(ids)
        return self._processor.decode([token_id for token_id in ids if token_id > EOS_ID])

    def save(self, folder: str | Path, overwrite: bool = False) -> None:
        """Write `tokenizer.model`, `tokenizer_config.json` and `special_tokens_map.json` into `folder`."""
        folder = Path(folder)
        with atomic_write(folder / MODEL_FILE, "wb", overwrite) as handle:
            handle.write(self.model)
        for name, content in ((CONFIG_FILE, self.config), (SPECIAL_TOKENS_FILE, self.special_tokens)):
            with atomic_write(folder / name, overwrite=overwrite) as handle:
                handle.write(json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def default_special_tokens() -> dict:
    """`special_tokens_map.json` with the release's keys."""
    contents = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<unk>", "unk_token": "<unk>"}
    return {
        name: {
            "content": content,
            "lstrip": False,
            "normalized": True,
            "rstrip": False,
            "single_word": name != "pad_token",
        }
        for name, content in contents.items()
    }


def default_config(model_max_length: int = 4096) -> dict:
    """`tokenizer_config.json` with the release's keys; its Python file is named there but not needed here."""
    tokens = {
        name: {"__type": "AddedToken", **token, "single_word": True}
        for name, token in default_special_tokens().items()
    }
    return {
        "add_bos_token": False,
        "add_eos_token": False,
        "auto_map": {"AutoTokenizer": ["tokenization_baichuan.BaichuanTokenizer", None]},
        "clean_up_tokenization_spaces": False,
        "model_max_length": model_max_length,
        "sp_model_kwargs": {},
        "tokenizer_class": "BaichuanTokenizer",
        **tokens,
    }
