"""Real sentences with their gold answers, as work for decoders: below a corpus's own schema with exemplars."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from kcx_jax.bench.answer_work import Work
from kcx_jax.bench.beside_decoders import DecodeBench, shape
from kcx_jax.bench.own_answers import Constrained
from kcx_jax.corpora import Record, read_records
from kcx_jax.data import encode_tree
from kcx_jax.decoding import Constraint
from kcx_jax.errors import UsageError
from kcx_jax.prompts import ExemplarPool, PromptConfig, extraction_prefix, extraction_tree, sample_schema
from kcx_jax.schema import Schema
from kcx_jax.schema.ontology import schema_for
from kcx_jax.tokenizer import Tokenizer, load_tokenizer

LEAST_PREFIX = 1024  # tokens
_MOST_EXEMPLARS = 256


class Case(NamedTuple):
    """An inventory and, below the folder of corpora, files of its sentences and those that exemplars come from."""

    inventory: str
    sentences: str
    exemplars: str


CASES = {
    "wikineural-en": Case("wikineural", "**/wikineural/en/val*.conllu", "**/wikineural/en/test*.conllu"),
    "crossner-science": Case(
        "crossner-science", "**/crossner/science/test.txt", "**/crossner/science/train.txt"
    ),
}


def gold_bench(
    corpora: Path, case: str, tokenizer: Path, sentences: int, rows: int, memory_sentences: int = 0
) -> DecodeBench:
    """The first `sentences` of a case, by a model with the vocabulary of `tokenizer`.

    Each class shows as many exemplars as make the prefix `LEAST_PREFIX` tokens long. Raises `UsageError` for an unknown
    case, and where the corpora have no such files, not so many sentences or not so many exemplars.
    """
    if case not in CASES:
        raise UsageError(f"no sentences called {case!r}; there are {', '.join(CASES)}.")
    chosen, pieces = CASES[case], load_tokenizer(tokenizer)
    records = _records(corpora, chosen.sentences, chosen.inventory)
    if len(records) < sentences:
        raise UsageError(f"{case} has {len(records)} sentences in {corpora}: ask for no more.")
    some = records[:sentences]
    pool = ExemplarPool(_records(corpora, chosen.exemplars, chosen.inventory))
    schema = _long_enough(schema_for(chosen.inventory), some, pool, pieces)
    tree = extraction_tree(schema, some, "ner")
    ids = encode_tree(pieces, tree)
    gold = [branch.answer.tolist() for branch in ids.branches]
    work = Work(
        ids.prefix.tolist(),
        [branch.context.tolist() for branch in ids.branches],
        max(map(len, gold)),
        rows,
        gold,
    )
    texts = [record.text for record in some]
    constrained = Constrained(tokenizer, Constraint(tree.schema, "ner"), texts)
    return DecodeBench(shape(pieces.vocab_size), work, constrained, memory_sentences)


def _records(corpora: Path, pattern: str, inventory: str) -> list[Record]:
    files = sorted(corpora.glob(pattern))
    if not files:
        raise UsageError(f"{corpora}: no file {pattern} in it. docs/data.md says where corpora come from.")
    return [record for file in files for record in read_records(file, inventory=inventory)]


def _long_enough(
    schema: Schema, records: Sequence[Record], pool: ExemplarPool, tokenizer: Tokenizer
) -> Schema:
    """The schema with the fewest exemplars a class that make a prefix of `LEAST_PREFIX` tokens."""
    drawn = (
        sample_schema(records, schema, "ner", PromptConfig(exemplars=count), "bench", pool)
        for count in range(1, _MOST_EXEMPLARS)
    )
    enough = (each for each in drawn if len(tokenizer.encode(extraction_prefix(each, "ner"))) >= LEAST_PREFIX)
    for found in islice(enough, 1):
        return found
    raise UsageError(f"{_MOST_EXEMPLARS} exemplars a class make no schema of {LEAST_PREFIX} tokens.")
