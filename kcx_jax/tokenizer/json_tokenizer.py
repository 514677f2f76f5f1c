"""A `tokenizer.json` (byte-level BPE of Llama 3 and Qwen, "▁" BPE of Llama 2 and Mistral) behind our face."""

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import tokenizers

from kcx_jax.errors import KcxError
from kcx_jax.files import atomic_write
from kcx_jax.tokenizer.face import CONFIG_FILE, SPACE, SPECIAL_TOKENS_FILE, Tokenizer, refuse_surrogates
from kcx_jax.tokenizer.json_content import JsonContent
from kcx_jax.tokenizer.reading import json_object, read_bytes, read_object
from kcx_jax.tokenizer.special_ids import MODEL_CONFIG_FILE, special_ids

TOKENIZER_FILE = "tokenizer.json"
# What else a tokenizer may have in a model folder; kept only so that `save` writes it back.
_OTHER_FILES = (
    "tokenizer.model",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
)


class JsonTokenizer(Tokenizer):
    """Text to ids and back by a `tokenizer.json`.

    For text in Unicode's composed form (NFC) the ids are those of transformers with
    `add_special_tokens=False`, but for three things, each so that a text comes back unchanged and the ids of
    a prefix and of what stands below it are those of the joint text:

    * No space is put before a text (Llama 2, Mistral): it is encoded as in the middle of a sentence. The model
      read its texts with that space, so it has seen "▁class", not "class", at the very start; who wants that
      begins the prompt with a space, and has the ids of transformers. The space cannot be put there and taken
      away again here, because `decode` does not know an answer's ids from those of a whole text.
    * Text is not composed (Qwen's NFC normaliser is left out): an answer has to stand in the text verbatim.
      Text that is decomposed has other, less usual ids than transformers gives it.
    * Typed text never becomes a symbol of `reserved`; it becomes ordinary pieces.
    """

    def __init__(self, folder: str | Path):
        folder = Path(folder)
        path = folder / TOKENIZER_FILE
        names = (CONFIG_FILE, SPECIAL_TOKENS_FILE, *_OTHER_FILES)
        self._files = {TOKENIZER_FILE: read_bytes(path)}
        self._files |= {name: read_bytes(folder / name) for name in names if (folder / name).exists()}
        content = JsonContent(json_object(self._files[TOKENIZER_FILE], path), where=str(path))
        settings = [
            json_object(self._files[name], folder / name)
            for name in (CONFIG_FILE, SPECIAL_TOKENS_FILE)
            if name in self._files
        ]
        special = special_ids(settings, read_object(folder / MODEL_CONFIG_FILE) or {}, content.ids, folder)
        self.bos_id, self.eos_id, self.pad_id = special.begin, special.end, special.pad
        self._content = replace(content, roles=frozenset({special.begin, special.end, special.unknown}))
        self._bytes = self._content.bytes_of()
        self._where = str(path)
        self._plain = self._build(self._content.plain())

    def _build(self, content: dict[str, Any]) -> tokenizers.Tokenizer:
        try:
            return tokenizers.Tokenizer.from_str(json.dumps(content, ensure_ascii=False))
        except Exception as error:  # the library raises no class of its own
            raise KcxError(
                f"{self._where} is not a file that the tokenizers library reads: {error}. Save it again with "
                "transformers' save_pretrained, or install a newer tokenizers."
            ) from error

    @cached_property
    def _with_symbols(self) -> tokenizers.Tokenizer:
        return self._build(self._content.with_symbols())

    @cached_property
    def looks_ahead(self) -> bool:
        r"""See `Tokenizer.looks_ahead`; measured on one text of each kind of characters (Llama 3's and Qwen's
        pattern ends a word behind a newline, whatever comes; GPT-2's does not behind "  \n").
        """
        cut = self._plain.pre_tokenizer
        if cut is None or not self._content.has_pattern:
            return False

        def words(text: str) -> list[str]:
            return [word for word, _ in cut.pre_tokenize_str(text)]

        kinds = ["a", "1", "李", "#", "'", "\u0301", "😀"]
        heads = [
            "".join(pair) + "\n" for pair in product([*kinds, " ", "\t", "\r", "\n", "\u00a0"], repeat=2)
        ]
        return any(words(head + tail) != words(head) + words(tail) for head in heads for tail in kinds)

    @property
    def vocab_size(self) -> int:
        """One more than the highest id, added symbols included."""
        return len(self._bytes)

    @cached_property
    def reserved(self) -> tuple[str, ...]:
        """The symbols that typed text never becomes, in order of their ids: begin, end and unknown, all added
        tokens that the file calls special, and the others in angle or square brackets.
        """
        return tuple(self._content.reserved)

    def piece(self, token_id: int) -> str:
        """The piece of one id: as in the file, but of a byte-level vocabulary the text it stands for, with "▁"
        for a space, or its bytes (`<0xE6><0x9D>`) where they are not whole characters. "" for a gap in the
        vocabulary; `KcxError` for an id outside.
        """
        self._check_ids([token_id])
        written = self._written.get(int(token_id), "")
        if not self._content.byte_level or written in self._content.special:
            return written
        whole = self._bytes[int(token_id)]
        try:
            return whole.decode().replace(" ", SPACE)
        except UnicodeDecodeError:
            return "".join(f"<0x{byte:02X}>" for byte in whole)

    @cached_property
    def _written(self) -> dict[int, str]:
        return {token_id: piece for piece, token_id in self._content.ids.items()}

    def token_bytes(self) -> list[bytes]:
        """The bytes of text that each id stands for; none for symbols with a role, and for gaps."""
        symbols = {self._content.ids[symbol] for symbol in self.reserved}
        return [b"" if token_id in symbols else text for token_id, text in enumerate(self._bytes)]

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """The ids of `text`, without a begin or end token; see the class for how they compare with others'.

        Text that spells a reserved symbol becomes ordinary pieces, and decodes to the same text.
        `allow_special=True` does as transformers: a typed symbol becomes its id (and "▁" may become a space).
        Raises `KcxError` on a lone surrogate.
        """
        refuse_surrogates(text)
        if allow_special:
            return self._with_symbols.encode(text, add_special_tokens=False).ids
        if self._content.byte_level:
            return self._plain.encode(text, add_special_tokens=False).ids
        ids: list[int] = []
        for number, part in enumerate(text.split(SPACE)):
            if number:  # a typed "▁" would become a space
                ids += self._space_mark_bytes
            ids += self._plain.encode(part, add_special_tokens=False).ids
        return ids

    @cached_property
    def _space_mark_bytes(self) -> list[int]:
        return [self._content.ids[f"<0x{byte:02X}>"] for byte in SPACE.encode()]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`, special tokens left out (the other symbols, as `<tool_call>`, stay); half a
        character's bytes become U+FFFD. Raises `KcxError` for an id outside the vocabulary.
        """
        ids = [int(token_id) for token_id in ids]
        self._check_ids(ids)
        return b"".join(self._bytes[token_id] for token_id in ids).decode("utf-8", "replace")

    def save(self, folder: str | Path, overwrite: bool = False) -> None:
        """Write the files that were read into `folder`, byte for byte."""
        for name, content in self._files.items():
            with atomic_write(Path(folder) / name, "wb", overwrite) as handle:
                handle.write(content)
