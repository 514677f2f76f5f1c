"""Answers from a model of ours. Importing this module loads JAX."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from kcx_jax.decoding import Constraint, ContextTooLongError, Generated, Generator
from kcx_jax.extraction.answers import Answer, Question, TextTooLongError
from kcx_jax.prompts import sentence_context
from kcx_jax.tokenizer import Tokenizer

_CHUNK = 512  # texts decoded between two yields: enough to keep all slots busy


class ModelAnswers:
    """An `AnswerSource` over a `Generator`; answers are cut off after `max_new_tokens`, and, if `constrained`, name
    only classes of the schema and quote only the text.
    """

    def __init__(self, generator: Generator, max_new_tokens: int, constrained: bool = True):
        self.generator = generator
        self.max_new_tokens, self.constrained = max_new_tokens, constrained

    def stream(self, questions: Sequence[Question], texts: Iterable[str]) -> Iterator[tuple[Answer, ...]]:
        """See `AnswerSource`. Takes a chunk of texts and answers it task by task."""
        waiting = iter(texts)
        prefixes = [question.prefix for question in questions]
        constraints = [Constraint(each.schema, each.task) if self.constrained else None for each in questions]
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
