"""Which ids begin, end and fill a text, from the settings files beside a `tokenizer.json`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kcx_jax.errors import KcxError
from kcx_jax.tokenizer.face import CONFIG_FILE

MODEL_CONFIG_FILE = "config.json"


class SpecialIds(NamedTuple):
    """The ids of symbols with a role; None where a family has none."""

    begin: int | None
    end: int
    unknown: int | None
    pad: int


def special_ids(
    settings: Sequence[Mapping[str, Any]],
    model_config: Mapping[str, Any],
    ids: Mapping[str, int],
    folder: Path,
) -> SpecialIds:
    """The ids that `settings` (the contents of the settings files, the first one first) name by their symbols,
    else those that `model_config`, the content of config.json, gives; of several end ids there the first.

    Without a pad token it is the unknown token's id, and where there is none either (Llama 3) the end token's.
    Raises `KcxError` for a symbol outside the vocabulary, and where no end token is named.
    """

    def find(role: str) -> int | None:
        for content in settings:
            token = content.get(role)
            symbol = token.get("content") if isinstance(token, Mapping) else token
            if isinstance(symbol, str):
                if symbol not in ids:
                    raise KcxError(
                        f"{folder}: {role} {symbol!r} of the tokenizer's settings is not in tokenizer.json. "
                        "The files are not of one tokenizer; save them again together."
                    )
                return ids[symbol]
        number = model_config.get(f"{role}_id")
        number = number[0] if isinstance(number, list) and number else number
        return int(number) if type(number) is int and number in ids.values() else None

    begin, end, unknown, pad = (find(f"{role}_token") for role in ("bos", "eos", "unk", "pad"))
    if end is None:
        raise KcxError(
            f'{folder}: no end token is named. Write "eos_token": "SYMBOL" into {folder / CONFIG_FILE}, with '
            "the symbol that ends an answer."
        )
    filling = next(token_id for token_id in (pad, unknown, end) if token_id is not None)
    return SpecialIds(begin, end, unknown, filling)
