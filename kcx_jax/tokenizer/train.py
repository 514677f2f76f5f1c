"""Training a small SentencePiece model with Baichuan2's properties."""

import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import sentencepiece

from kcx_jax.errors import KcxError
from kcx_jax.files import refuse_existing
from kcx_jax.tokenizer.face import SPACE, refuse_surrogates
from kcx_jax.tokenizer.sentencepiece_tokenizer import (
    BOS_ID,
    EOS_ID,
    MODEL_FILE,
    UNK_ID,
    SentencePieceTokenizer,
)

# In the release <reserved_k> has id k + 89 from k = 12 on, which puts the user marker <reserved_106> at 195
# and the assistant marker <reserved_107> at 196; ids 7 to 100 hold symbols of its own choice.
_RESERVED_OFFSET = 89
_FIRST_CHOICE, _FIRST_RESERVED, _LAST_RESERVED = 7, 12, 107
_INDENT = SPACE * 4
_UNSPACED_SCRIPT = re.compile("[\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")  # Han and kana


def train_tokenizer(
    texts: Iterable[str],
    vocab_size: int,
    out_dir: str | Path,
    *,
    extra_pieces: Sequence[str] = (),
    stable_spans: bool = True,
    character_coverage: float = 0.9998,
    overwrite: bool = False,
) -> SentencePieceTokenizer:
    """Train a byte-fallback BPE model of exactly `vocab_size` pieces on `texts` and save it in `out_dir`.

    Identity normaliser, no invented leading space, digits apart, unk 0, bos 1, eos 2, newline 5, tab 6, role
    markers 195 and 196: the properties of Baichuan2's `tokenizer.model`. The same texts give the same bytes.

    `stable_spans` gives a name the same pieces wherever it stands, which a small model needs in order to copy
    it: a space is always a piece of its own (four of them, an indent, are one), and Han and kana never merge.
    `extra_pieces` always stay whole. Raises `KcxError` when `out_dir` holds a tokenizer and `overwrite` is
    false, or when the texts cannot fill (or their characters overfill) the vocabulary.
    """
    out_dir = Path(out_dir)
    refuse_existing(out_dir / MODEL_FILE, overwrite)
    chosen = [
        *([_INDENT, SPACE] if stable_spans else []),
        *(piece.replace(" ", SPACE) for piece in extra_pieces),
    ]
    sentences = [_UNSPACED_SCRIPT.sub(r" \g<0> ", text) if stable_spans else text for text in texts]
    for sentence in sentences:
        refuse_surrogates(sentence)
    writer = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=writer,
            model_type="bpe",
            vocab_size=vocab_size,
            character_coverage=character_coverage,
            user_defined_symbols=_user_defined(chosen),
            unk_id=UNK_ID,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            pad_id=-1,
            byte_fallback=True,
            split_digits=True,
            allow_whitespace_only_pieces=True,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            max_sentencepiece_length=32,
            max_sentence_length=2**30,  # the default drops longer texts without a word
            num_threads=1,
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        reason = str(error).rpartition("] ")[2]  # the library's own source line comes before it
        raise KcxError(f"cannot train a tokenizer of {vocab_size} pieces on these texts: {reason}") from error
    tokenizer = SentencePieceTokenizer(writer.getvalue())
    tokenizer.save(out_dir, overwrite=True)
    return tokenizer


def _user_defined(chosen: Sequence[str]) -> list[str]:
    """The symbols from id 3 on: the release's first four, `chosen`, reserved ones up to the role markers."""
    room = _FIRST_RESERVED + _RESERVED_OFFSET - _FIRST_CHOICE
    spare = [f"<reserved_{1000 + number}>" for number in range(room - len(chosen))]
    reserved = [f"<reserved_{number}>" for number in range(_FIRST_RESERVED, _LAST_RESERVED + 1)]
    return ["<SEP>", "<CLS>", "\n", "\t", *chosen[:room], *spare, *reserved, *chosen[room:]]
