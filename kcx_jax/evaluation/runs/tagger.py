"""A supervised tagger as a system of a run: a linear-chain conditional random field over tokens, for entities.

It is trained on the benchmark's own training file, with the features of the textbooks: words, their shapes, beginnings
and ends, and their neighbours'. Training is by L-BFGS, so equal data give an equal tagger. Nested mentions are beyond
it: of those that overlap, the longest is learnt.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from kcx_jax.corpora import Mention, Record
from kcx_jax.corpora.sampling import sample_records
from kcx_jax.corpora.writers.tokens import record_tokens, token_indices
from kcx_jax.errors import KcxError
from kcx_jax.evaluation.runs.benchmark import Benchmark
from kcx_jax.evaluation.runs.config import TaggerSystem
from kcx_jax.evaluation.runs.systems import CannotAnswer, Prediction, System
from kcx_jax.schema import Task

MODEL = "tagger.crfsuite"
_L1, _L2 = 0.1, 0.01  # weights of the penalties
_SEEN = 2  # tokens to either side

Tokens = list[tuple[int, int]]


class Tagger(System):
    """A tagger for each benchmark, kept in its folder."""

    def __init__(self, settings: TaggerSystem, seed: int):
        self._settings, self._seed = settings, seed

    def predict(
        self, benchmark: Benchmark, task: Task, folder: Path, records: Iterable[Record]
    ) -> Iterator[Prediction]:
        """See `System.predict`. Raises `NotThere` without a training file."""
        if task != "ner":
            raise CannotAnswer("a tagger finds entities alone")
        import pycrfsuite

        path = folder / MODEL
        if not path.exists():
            self._train(benchmark, path)
        tagger = pycrfsuite.Tagger()
        tagger.open(str(path))
        try:
            for record in records:
                tokens = _tokens(record)
                tags = tagger.tag(_features(record.text, tokens)) if tokens else []
                mentions = _mentions(record.text, tokens, tags)
                found = Record(record.id, record.language, record.text, mentions)
                yield Prediction(" ".join(tags), found)
        finally:
            tagger.close()

    def _train(self, benchmark: Benchmark, path: Path) -> None:
        import pycrfsuite

        records = benchmark.training_records()
        if self._settings.share < 1:
            records = sample_records(records, self._seed, share=self._settings.share)
        trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
        trainer.set_params({"c1": _L1, "c2": _L2, "max_iterations": self._settings.iterations})
        count = 0
        for record in records:
            tokens = _tokens(record)
            if tokens and record.entities is not None:
                trainer.append(_features(record.text, tokens), _tags(record, tokens))
                count += 1
        if not count:
            raise KcxError(f"{benchmark.train}: no record with entities to train a tagger on")
        descriptor, partial = tempfile.mkstemp(suffix=".partial", dir=path.parent)
        os.close(descriptor)
        trainer.train(partial)
        os.replace(partial, path)


def _tokens(record: Record) -> Tokens:
    """The tokens of the corpus, or a plain split that knows nothing of the mentions."""
    given = {key: record.meta[key] for key in ("source_tokens",) if key in record.meta}
    return record_tokens(Record(record.id, record.language, record.text, meta=given))


def _tags(record: Record, tokens: Tokens) -> list[str]:
    tags = ["O"] * len(tokens)
    for mention in sorted(record.entities or (), key=lambda m: (m.start - m.end, m.start)):
        place = token_indices(mention, tokens)
        if place is not None and all(tag == "O" for tag in tags[slice(*place)]):
            first, end = place
            tags[first:end] = [f"B-{mention.type}", *[f"I-{mention.type}"] * (end - first - 1)]
    return tags


def _mentions(text: str, tokens: Tokens, tags: Sequence[str]) -> tuple[Mention, ...]:
    """The mentions of a tag sequence; an I- that continues nothing begins one."""
    spans: list[tuple[str, int, int]] = []
    running = ""
    for (start, end), tag in zip(tokens, tags, strict=True):
        name = tag[2:]
        if tag.startswith("I-") and running == name:
            spans[-1] = (name, spans[-1][1], end)
        elif tag != "O":
            spans.append((name, start, end))
        running = name
    return tuple(Mention(f"e{i}", name, a, b, text[a:b]) for i, (name, a, b) in enumerate(spans))


def _features(text: str, tokens: Tokens) -> list[dict[str, str]]:
    # Features are UTF-8, which has no lone surrogates.
    words = [text[start:end].encode(errors="backslashreplace").decode() for start, end in tokens]
    own = [_own(word) for word in words]
    rows = []
    for i in range(len(words)):
        row = {f"0:{name}": value for name, value in own[i].items()}
        for step in range(-_SEEN, _SEEN + 1):
            if step and 0 <= i + step < len(words):
                row[f"{step}:word"] = own[i + step]["word"]
                row[f"{step}:shape"] = own[i + step]["shape"]
        for step in (-1, 0):
            if i + step >= 0 and i + step + 1 < len(words):
                row[f"{step}:pair"] = f"{own[i + step]['word']} {own[i + step + 1]['word']}"
        row["edge"] = "first" if i == 0 else "last" if i == len(words) - 1 else "inside"
        rows.append(row)
    return rows


def _own(word: str) -> dict[str, str]:
    folded = word.casefold()
    found = {"word": folded, "shape": _shape(word)}
    for size in (1, 2, 3, 4):
        if len(folded) > size:
            found[f"begins {size}"], found[f"ends {size}"] = folded[:size], folded[-size:]
    return found


def _shape(word: str) -> str:
    """The kinds of a word's characters, runs of one kind once: "Rome" Xx, "3rd" 0x, "B-2" X-0."""
    kinds = ("0" if c.isdigit() else "X" if c.isupper() else "x" if c.isalpha() else c for c in word)
    shape = ""
    for kind in kinds:
        if not shape.endswith(kind):
            shape += kind
    return shape
