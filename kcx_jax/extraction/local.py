"""Answers from a model of ours. Importing this module loads JAX."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Literal, get_args

from kcx_jax.decoding import Constraint, Generated, Generator, Level
from kcx_jax.decoding.batch import Model
from kcx_jax.errors import UsageError
from kcx_jax.extraction.answers import Answer, Ask, Figures, Room
from kcx_jax.tokenizer import Tokenizer

LEVELS = ("off", *get_args(Level))
# What is decoded between two yields: enough texts of a question to keep all slots busy, and a bound over all questions.
_CHUNK, _MOST = 512, 4096


def check_level(constraint: str) -> None:
    """Raise `UsageError` unless there is such a level."""
    if constraint not in LEVELS:
        raise UsageError(f"constraint is {constraint!r}: one of {', '.join(LEVELS)}")


def room_of(model: Model, max_new_tokens: int) -> Room:
    """What fits one prompt of a model whose answers end after `max_new_tokens`."""
    tokenizer = model.tokenizer
    return Room.of(model.config.max_positions, max_new_tokens, lambda text: len(tokenizer.encode(text)))


class ModelAnswers:
    """An `AnswerSource` over a `Generator`; answers are cut off after `max_new_tokens`, and held to the level
    `constraint`, or to none at "off". Raises `UsageError` for another level, and for fewer tokens than one.
    """

    def __init__(
        self, generator: Generator, max_new_tokens: int, constraint: Level | Literal["off"] = "schema+span"
    ):
        check_level(constraint)
        if max_new_tokens < 1:
            raise UsageError(f"max_new_tokens must be at least 1, found {max_new_tokens}")
        self.generator = generator
        self.max_new_tokens, self.level = max_new_tokens, constraint
        self._answers = self._forwards = 0

    @property
    def room(self) -> Room:
        """See `AnswerSource`."""
        return room_of(self.generator.model, self.max_new_tokens)

    @property
    def figures(self) -> Figures:
        """See `AnswerSource`."""
        kept = self.generator.prefixes
        return Figures(self._answers, self._forwards, kept.tokens_read, kept.tokens_reused)

    def stream(self, asks: Iterable[Ask]) -> Iterator[Answer]:
        """See `AnswerSource`. Takes a chunk of asks and answers it question by question."""
        waiting = iter(asks)
        while chunk := list(_chunk(waiting)):
            yield from self._answered(chunk)

    def _answered(self, chunk: Sequence[Ask]) -> list[Answer]:
        places: defaultdict[str, list[int]] = defaultdict(list)
        for place, ask in enumerate(chunk):
            places[ask.question.prefix].append(place)
        answers: dict[int, Answer] = {}
        for prefix, own in places.items():
            for place, generated in zip(own, self._generated(prefix, [chunk[i] for i in own]), strict=True):
                answers[place] = answer_of(generated, self.generator.model.tokenizer)
                self._forwards += generated.forwards
        self._answers += len(chunk)
        return [answers[place] for place in range(len(chunk))]

    def _generated(self, prefix: str, asks: Sequence[Ask]) -> list[Generated]:
        question, texts = asks[0].question, [ask.text for ask in asks]
        constraint = None
        if self.level != "off":
            constraint = Constraint(question.schema, question.task, level=self.level)
        contexts = [ask.context for ask in asks]
        return self.generator.generate(prefix, contexts, self.max_new_tokens, constraint, texts)


def _chunk(asks: Iterator[Ask]) -> Iterator[Ask]:
    """The next of `asks`, until there are enough of one question, or of all."""
    counts: Counter[str] = Counter()
    for ask in asks:
        yield ask
        counts[ask.question.prefix] += 1
        if counts[ask.question.prefix] == _CHUNK or counts.total() == _MOST:
            return


def answer_of(generated: Generated, tokenizer: Tokenizer) -> Answer:
    """What a generator wrote, with the place of each token in its text."""
    ids = generated.ids
    # Bytes that begin a character are shown as signs of their own: the character ends with its last one.
    whole = (len(tokenizer.decode(ids[: number + 1]).rstrip("\ufffd")) for number in range(len(ids)))
    tokens = tuple(zip(accumulate(whole, max), generated.logprobs, strict=True))
    return Answer(generated.text, generated.finish_reason, tokens=tokens)
