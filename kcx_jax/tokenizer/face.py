"""The face every tokenizer shows: text to ids and back, whatever family its vocabulary is of."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from kcx_jax.errors import KcxError

CONFIG_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"
SPACE = "▁"  # how SentencePiece, and `piece` for every family, writes a space


class Tokenizer(ABC):
    """Text to ids and back. `load_tokenizer` and `train_tokenizer` make one.

    For every family `decode(encode(text)) == text` for all Unicode text, typed text never becomes a symbol
    with a role, and nothing is put before or behind a text.
    """

    bos_id: int | None  # None: the family begins a text with nothing
    eos_id: int
    pad_id: int

    @property
    def looks_ahead(self) -> bool:
        """Whether what follows a text that ends in a newline can change its last ids though no piece crosses
        the border: where a pattern that looks past a word's end first cuts the text into words.
        """
        return False

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """One more than the highest id, added symbols included."""

    @property
    @abstractmethod
    def reserved(self) -> tuple[str, ...]:
        """The symbols that typed text never becomes, in order of their ids."""

    @abstractmethod
    def piece(self, token_id: int) -> str:
        """The piece of one id, with "▁" for a space; `KcxError` for an id outside the vocabulary."""

    @abstractmethod
    def token_bytes(self) -> list[bytes]:
        """The bytes of text that each id stands for; none for symbols with a role, and for ids that nothing has."""

    @cached_property
    def shown_bytes(self) -> list[bytes]:
        """The bytes that `decode` writes for each id: those of `token_bytes`, and of symbols that it writes out."""
        return [text or self.decode([token]).encode() for token, text in enumerate(self.token_bytes())]

    @abstractmethod
    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """The ids of `text`, without a begin or end token; with `allow_special` a typed symbol becomes its id.

        Raises `KcxError` on a lone surrogate.
        """

    @abstractmethod
    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids` without begin, end and other special tokens; half a character becomes U+FFFD.

        Raises `KcxError` for an id outside the vocabulary.
        """

    @abstractmethod
    def save(self, folder: str | Path, overwrite: bool = False) -> None:
        """Write the tokenizer's files into `folder` as they were read; `KcxError` where one exists already."""

    def _check_ids(self, ids: Iterable[int]) -> None:
        for token_id in ids:
            if not 0 <= token_id < self.vocab_size:
                raise KcxError(
                    f"token id {token_id} is outside the tokenizer's vocabulary of {self.vocab_size} pieces."
                )


def refuse_surrogates(text: str) -> None:
    """Raise `KcxError` where `text` is not Unicode text: half a surrogate pair, from a wrong decoding."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        found = f"U+{ord(text[error.start]):04X} at character {error.start}"
        raise KcxError(
            f"cannot encode text: lone surrogate {found}. It was decoded wrongly; read it as UTF-8 again."
        ) from error
