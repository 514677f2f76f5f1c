"""The tokenizer of a model folder, whatever family it is of."""

from pathlib import Path

from kcx_jax.errors import KcxError
from kcx_jax.tokenizer.face import CONFIG_FILE, SPECIAL_TOKENS_FILE, Tokenizer
from kcx_jax.tokenizer.json_tokenizer import TOKENIZER_FILE, JsonTokenizer
from kcx_jax.tokenizer.reading import read_object
from kcx_jax.tokenizer.sentencepiece_tokenizer import MODEL_FILE, SentencePieceTokenizer


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """The tokenizer of a model folder, with the settings files that lie beside it. No code in it is run.

    `tokenizer.model` is read when it is of the Baichuan2 kind by its own properties (no normaliser, no space
    before a text, bytes, unk 0, bos 1, eos 2), else `tokenizer.json`: so a folder with both is read from
    `tokenizer.model` for Baichuan2, and from `tokenizer.json` for Llama 2 and Mistral, whose `tokenizer.model`
    puts a space before a text.

    Raises `KcxError` naming the file when none is there, or what is there is damaged or changes its text.
    """
    folder = Path(folder)
    other = (folder / TOKENIZER_FILE).exists()
    path = folder / MODEL_FILE
    if not path.exists() and other:
        return JsonTokenizer(folder)
    try:
        model = path.read_bytes()
    except OSError as error:
        raise KcxError(
            f"cannot read {path}: {error.strerror}. A model folder holds its tokenizer there, or in "
            f"{TOKENIZER_FILE}."
        ) from error
    config, special_tokens = read_object(folder / CONFIG_FILE), read_object(folder / SPECIAL_TOKENS_FILE)
    try:
        return SentencePieceTokenizer(model, config, special_tokens, where=str(path))
    except KcxError:
        if other:
            return JsonTokenizer(folder)
        raise
