"""Answers from a model of ours. Importing this module loads JAX."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal, get_args

from kcx_jax.decoding import Constraint, ContextTooLongError, Generated, Generator, Level
from kcx_jax.errors import UsageError
from kcx_jax.extraction.answers import Answer, Question, TextTooLongError
from kcx_jax.prompts import sentence_context
from kcx_jax.tokenizer import Tokenizer

LEVELS = ("off", *get_args(Level))
_CHUNK = 512  # texts decoded between two yields: enough to keep all slots busy


def check_level(constraint: str) -> None:
    """Raise `UsageError` unless there is such a level."""
    if constraint not in LEVELS:
        raise UsageError(f"constraint is {constraint!r}: one of {', '.join(LEVELS)}")


class ModelAnswers:
    """An `AnswerSource` over a `Generator`; answers are cut off after `max_new_tokens`, and held to the level
    `constraint`, or to none at "off". Raises `UsageError` for another level.
    """

    def __init__(
        self, generator: Generator, max_new_tokens: int, constraint: Level | Literal["off"] = "schema+span"
    ):
        check_level(constraint)
        self.generator = generator
        self.max_new_tokens, self.level = max_new_tokens, constraint

    def stream(self, questions: Sequence[Question], texts: Iterable[str]) -> Iterator[tuple[Answer, ...]]:
        """See `AnswerSource`. Takes a chunk of texts and answers it task by task."""
        waiting = iter(texts)
        prefixes = [question.prefix for question in questions]
        constraints = [
            None if self.level == "off" else Constraint(each.schema, each.task, level=self.level)
            for each in questions
        ]
        while chunk := list(islice(waiting, _CHUNK)):
            contexts = list(map(sentence_context, chunk))
            try:
                columns = [
                    self.generator.generate(prefix, contexts, self.max_new_tokens, constraint, chunk)
                    for prefix, constraint in zip(prefixes, constraints, strict=True)
                ]
            except ContextTooLongError as error:
                raise TextTooLongError(
                    f"{error.context} tokens after a schema of {error.prefix} leave no room for an answer in "
                    f"the model's {error.positions} positions. Split the text, or use a smaller schema.",
                    error.index,
                ) from error
            for row in zip(*columns, strict=True):
                yield tuple(_answer(generated, self.generator.model.tokenizer) for generated in row)


def _answer(generated: Generated, tokenizer: Tokenizer) -> Answer:
    ids = generated.ids
    ends = [len(tokenizer.decode(ids[: number + 1])) for number in range(len(ids))]
    tokens = tuple(zip(ends, generated.logprobs, strict=True))
    return Answer(generated.text, generated.finish_reason, tokens=tokens)
