"""What a `tokenizer.json` says: checked, and rewritten so that it leaves a text as it is.

Refused is what would lose text (a lower-caser, a splitter that drops spaces, a vocabulary without bytes). Left
out is what invents or changes text: begin and end tokens, the space before a text, NFC, cutting to a length.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kcx_jax.errors import KcxError
from kcx_jax.tokenizer.face import SPACE

_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_OTHERS = [byte for byte in range(256) if byte not in _PRINTABLE]
# How byte-level vocabularies write bytes (GPT-2's table): printable ones as themselves, others from U+0100 on.
BYTE_OF = {chr(byte): byte for byte in _PRINTABLE} | {chr(256 + n): byte for n, byte in enumerate(_OTHERS)}
BYTE_PIECES = {f"<0x{byte:02X}>": byte for byte in range(256)}

_SPACE_MARKER = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
_MARKUP = re.compile(r"<.*>|\[.*\]", re.DOTALL)


@dataclass(frozen=True)
class JsonContent:
    """The parsed content of the file `where`; `roles` are ids that begin, end or stand for unknown text.

    Raises `KcxError` when it is of a family that does not give every text back.
    """

    content: Mapping[str, Any]
    roles: Collection[int | None] = ()
    where: str = "tokenizer.json"

    def __post_init__(self) -> None:
        try:
            faults = self._faults()
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise KcxError(
                f"{self.where} has not the parts of a tokenizer.json ({type(error).__name__}: {error}): it is "
                "truncated or of another program. Save it again with transformers' save_pretrained."
            ) from error
        if faults:
            raise KcxError(
                f"{self.where} {' and '.join(faults)}. Read are byte-level BPE (Llama 3, Qwen) and BPE with "
                '"▁" for a space and bytes for unknown characters (Llama 2, Mistral).'
            )

    def _faults(self) -> list[str]:
        model = self.content["model"]
        kind = model.get("type", "BPE" if "merges" in model else None)  # old files do not say
        if kind != "BPE":
            return [f"holds a {kind} model"]
        bytes_needed = BYTE_OF if self.byte_level else BYTE_PIECES
        missing = sum(piece not in model["vocab"] for piece in bytes_needed)
        wrong = {
            "marks the ends of words": model.get("continuing_subword_prefix")
            or model.get("end_of_word_suffix"),
            "marks neither bytes nor spaces in one way": self.byte_level == self._marks_spaces,
            f"has no piece for {missing} of the 256 bytes": missing
            or not (self.byte_level or model.get("byte_fallback")),
            "looks up whole words first (ignore_merges), typed byte pieces too": not self.byte_level
            and model.get("ignore_merges"),
        }
        return [
            *(f"changes its text ({step['type']})" for step in self._normalizers if not _is_known(step)),
            *(f"may drop text ({step['type']})" for step in self._splitters if not _keeps_text(step)),
            *(fault for fault, is_wrong in wrong.items() if is_wrong),
        ]

    @cached_property
    def _normalizers(self) -> list[dict]:
        return _steps(self.content.get("normalizer"), "normalizers")

    @cached_property
    def _splitters(self) -> list[dict]:
        return _steps(self.content.get("pre_tokenizer"), "pretokenizers")

    @cached_property
    def byte_level(self) -> bool:
        """Whether pieces are written in bytes (Llama 3, Qwen), not in characters with "▁" (Llama 2, Mistral)."""
        return any(step["type"] == "ByteLevel" for step in self._splitters)

    @cached_property
    def _marks_spaces(self) -> bool:
        return _SPACE_MARKER in self._normalizers or any(
            step["type"] == "Metaspace" for step in self._splitters
        )

    @cached_property
    def has_pattern(self) -> bool:
        """Whether a pattern first cuts the text into words, which no piece crosses."""
        return any(
            step["type"] == "Split" or (step["type"] == "ByteLevel" and step.get("use_regex", True))
            for step in self._splitters
        )

    @cached_property
    def added(self) -> list[dict]:
        """The added tokens, in order of their ids."""
        return sorted(self.content.get("added_tokens") or [], key=lambda token: token["id"])

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of every piece and added token."""
        return {**self.content["model"]["vocab"], **{token["content"]: token["id"] for token in self.added}}

    @cached_property
    def special(self) -> dict[str, int]:
        """What `decode` leaves out: the added tokens marked special, and those with a role."""
        unknown = self.content["model"].get("unk_token")
        special = {token["id"] for token in self.added if token.get("special")}
        special |= {token_id for token_id in (*self.roles, self.ids.get(unknown)) if token_id is not None}
        return {symbol: token_id for symbol, token_id in self.ids.items() if token_id in special}

    @cached_property
    def reserved(self) -> dict[str, int]:
        """What typed text never becomes: the special ones, and every other added token that looks like markup.

        An added token is trained on as a signal (Qwen's `<tool_call>` and `<think>` are not marked special,
        and still mean something), so one in angle or square brackets is reserved. Other added tokens (a word,
        a run of spaces) are text.
        """
        markup = {t["content"]: t["id"] for t in self.added if _MARKUP.fullmatch(t["content"])}
        both = {**self.special, **markup}
        return dict(sorted(both.items(), key=lambda item: item[1]))

    def plain(self) -> dict[str, Any]:
        """The content in which no text can become a reserved symbol: they are no pieces there, and no merge
        makes one. (`encode_special_tokens` of the library leaves the added tokens that are not special.)
        """
        words = {
            token["content"]: {**token, "lstrip": False, "rstrip": False}
            for token in self.added
            if token["content"] not in self.reserved and self._gives_itself(token["content"])
        }
        model = self.content["model"]
        vocab = {piece: token_id for piece, token_id in model["vocab"].items() if piece not in self.reserved}
        # As pieces too, or tokenizers 0.20 would number the words anew.
        vocab |= {word: token["id"] for word, token in words.items()}
        unreachable = {*self.reserved, *(() if self.byte_level else BYTE_PIECES)}
        merges = [
            pair for pair in map(_pair, model["merges"]) if unreachable.isdisjoint([*pair, "".join(pair)])
        ]
        neutral = self.with_symbols()
        neutral["added_tokens"] = list(words.values())
        neutral["model"] = {**neutral["model"], "vocab": vocab, "merges": merges, "unk_token": None}
        return neutral

    def _gives_itself(self, word: str) -> bool:
        """Whether an added word that is a piece as well is written as itself in the vocabulary."""
        return not self.byte_level or word not in self.content["model"]["vocab"] or word.isascii()

    def with_symbols(self) -> dict[str, Any]:
        """The content in which typed symbols become their ids, with nothing put before, behind or in place of
        a text.
        """
        normalizers = [step for step in self._normalizers if step == _SPACE_MARKER]
        splitters = [_without_prefix(step) for step in self._splitters]
        return {
            **self.content,
            "truncation": None,
            "padding": None,
            "normalizer": {"type": "Sequence", "normalizers": normalizers} if normalizers else None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": splitters} if splitters else None,
            "post_processor": None,
            "model": {**self.content["model"], "dropout": None},
        }

    def bytes_of(self) -> list[bytes]:
        """The UTF-8 bytes of every id; none for the special ones and for ids that nothing has."""
        table = [b""] * (max(self.ids.values()) + 1)
        for piece, token_id in self.content["model"]["vocab"].items():
            table[token_id] = self._bytes(piece)
        for token in self.added:
            if token["content"] not in self.content["model"]["vocab"]:
                text = token["content"] if self.byte_level else token["content"].replace(SPACE, " ")
                table[token["id"]] = text.encode()
        for token_id in self.special.values():
            table[token_id] = b""
        return table

    def _bytes(self, piece: str) -> bytes:
        if not self.byte_level:
            byte = BYTE_PIECES.get(piece)
            return piece.replace(SPACE, " ").encode() if byte is None else bytes([byte])
        if all(character in BYTE_OF for character in piece):
            return bytes(BYTE_OF[character] for character in piece)
        return piece.encode()


def _steps(node: dict | None, key: str) -> list[dict]:
    """The steps of a normalizer or pre-tokenizer, in order, those of sequences too."""
    if node is None:
        return []
    return [node] if node["type"] != "Sequence" else [s for inner in node[key] for s in _steps(inner, key)]


def _is_known(normalizer: dict) -> bool:
    return normalizer["type"] in ("NFC", "Prepend") or normalizer == _SPACE_MARKER


def _keeps_text(splitter: dict) -> bool:
    kind = splitter["type"]
    if kind == "Metaspace":
        return splitter["replacement"] == SPACE
    return kind in ("ByteLevel", "Digits") or (kind == "Split" and splitter["behavior"] != "Removed")


def _without_prefix(splitter: dict) -> dict:
    """The splitter without the space it puts before a text."""
    if splitter["type"] == "Metaspace":
        rest = {key: value for key, value in splitter.items() if key != "add_prefix_space"}
        return {**rest, "prepend_scheme": "never"}
    return {**splitter, "add_prefix_space": False} if splitter["type"] == "ByteLevel" else splitter


def _pair(merge: str | Iterable[str]) -> tuple[str, str]:
    """A merge, which older files write as one string."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right
