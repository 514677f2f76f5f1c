"""`conll`: `token TAB tag`, sentences parted by blank lines, each under its `# sent_id = ID`.

A tag a token holds neither mentions that overlap nor discontinuous ones, no relations and no events. White space is
not written: a reader joins the tokens as the language is written, so a text that is not its tokens joined so is a loss.
"""

from collections.abc import Iterable
from pathlib import Path

from kcx_jax.corpora.jsonl import open_output
from kcx_jax.corpora.readers.columns import join_tokens
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.record import Record
from kcx_jax.corpora.writers.fitting import Holds, Loss, fit
from kcx_jax.corpora.writers.options import WriteOptions, utf8
from kcx_jax.corpora.writers.tokens import record_tokens, token_indices
from kcx_jax.errors import KcxError

# The prefixes of a mention's first, middle and last token, and of its only one.
TAG_SCHEMES = {"bio": "BIIB", "iobes": "BIES", "bilou": "BILU", "bmes": "BMES"}
_HOLDS = Holds(overlapping=False, relations=False, events=False)


def write_conll(records: Iterable[Record], path: Path, options: WriteOptions) -> int:
    """Write the records as columns; `KcxError` naming the record for a token that no column can hold."""
    count = 0
    with open_output(path, options.overwrite) as handle:
        for record in records:
            count += 1
            handle.write(utf8(_block(record, options), record))
    return count


def _block(record: Record, options: WriteOptions) -> str:
    loss = options.loss
    places = record_tokens(record)
    fitted = fit(record, _HOLDS, loss, lambda mention: token_indices(mention, places) is not None)
    if record.entities is None:
        loss.add(record, "records whose entities are not annotated")
    if not places:
        loss.add(record, "texts without a token")
        return ""
    tokens = [record.text[start:end] for start, end in places]
    for token in tokens:
        unlike = token == "-DOCSTART-" or token.startswith("\ufeff")  # at a file's start, a byte order mark
        if unlike or any(char in token for char in "\t\n\r"):
            raise KcxError(f"record {record.id!r}: the token {token!r} has no place in a row of conll")
    _note_spacing(record, tokens, loss)
    rows = [f"{token}\t{tag}\n" for token, tag in zip(tokens, _tags(fitted, places, options), strict=True)]
    identifier = "" if any(char.isspace() for char in record.id) else f"# sent_id = {record.id}\n"
    return f"{identifier}{''.join(rows)}\n"


def _note_spacing(record: Record, tokens: list[str], loss: Loss) -> None:
    joiner = Options(record.language).between_tokens
    if join_tokens(tokens, joiner)[0] != record.text:
        loss.add(record, "the white space of texts that are not their tokens joined")


def _tags(record: Record, places: list[tuple[int, int]], options: WriteOptions) -> list[str]:
    begin, inside, last, only = tuple(TAG_SCHEMES[options.tag_scheme])
    tags = ["O"] * len(places)
    for mention in record.entities or ():
        indices = token_indices(mention, places)
        assert indices is not None  # `fit` has left only those
        first, end = indices
        prefixes = only if end - first == 1 else begin + inside * (end - first - 2) + last
        tags[first:end] = [f"{prefix}-{mention.type}" for prefix in prefixes]
    return tags
