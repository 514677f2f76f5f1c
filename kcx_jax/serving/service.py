"""A loaded model at work: the engine, with the readers of the schemas that are asked for."""

import secrets
from collections.abc import Sequence
from functools import cached_property

from kcx_jax.corpora import Record
from kcx_jax.decoding import Constraint, Generated
from kcx_jax.decoding.live import Live, Wanted
from kcx_jax.extraction import Result
from kcx_jax.extraction.answers import Ask
from kcx_jax.extraction.local import answer_of, room_of
from kcx_jax.extraction.reading import Reader, Reading
from kcx_jax.schema import Schema, Task, load_schema
from kcx_jax.serving.errors import ApiError
from kcx_jax.serving.schemas import Ground, SchemaBook
from kcx_jax.serving.settings import Settings
from kcx_jax.tokenizer import Tokenizer

_EXAMPLE = "Ada Lovelace was born in London."


class Service:
    """What requests are answered with."""

    def __init__(self, engine: Live, settings: Settings):
        self.engine, self.settings = engine, settings
        self.schemas = SchemaBook(settings.schemas, self._reader)
        self.seed = secrets.randbits(31)  # of draws that name no seed of their own

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's."""
        return self.engine.generator.model.tokenizer

    @cached_property
    def _most_bytes(self) -> int:
        """No text of more bytes fits the model, whatever its tokens are."""
        return self.engine.generator.model.config.max_positions * max(map(len, self.tokenizer.token_bytes()))

    def check_length(self, text: str) -> None:
        """Raise `ApiError` for a prompt that cannot fit, before megabytes of it are cut into tokens."""
        size = len(text.encode())
        if size > self._most_bytes:
            message = f"A prompt of {size} bytes does not fit this model, which takes {self._most_bytes} at the most."
            raise ApiError(400, message, code="context_length_exceeded")

    def _reader(self, schema: Schema, tasks: Sequence[Task] | None, ground: Ground) -> Reader:
        room = room_of(self.engine.generator.model, self.settings.max_new_tokens)
        return Reader(schema, tasks, ground, room=room)

    def readings(self, texts: Sequence[str], reader: Reader) -> list[Reading]:
        """What has to be asked about each text."""
        return [reader.read(Record(str(number), "und", text)) for number, text in enumerate(texts)]

    def wanted(self, ask: Ask) -> Wanted:
        """An ask as a request to the engine."""
        question, level = ask.question, self.settings.constraint
        return Wanted(
            question.prefix,
            ask.context,
            self.settings.max_new_tokens,
            None if level == "off" else Constraint(question.schema, question.task, level=level),
            ask.text,
        )

    def results(self, readings: Sequence[Reading], generated: Sequence[Generated]) -> list[Result]:
        """What came of each text; `generated` answers all their asks, in order."""
        answers = iter(generated)
        return [
            reading.result([answer_of(next(answers), self.tokenizer) for _ in reading.asks])
            for reading in readings
        ]

    def warm(self) -> None:
        """Read the prefixes of the named schemas, which are kept, and compile what requests take."""
        named = [self.schemas.reader(None, name, None, "strict") for name in self.settings.schemas]
        self._warm_by(named, pin=True)
        if not named:
            self._warm_by([self._reader(load_schema(["person", "city"]), None, "strict")], pin=False)
        self.engine.warm([Wanted("", _EXAMPLE, self.settings.max_new_tokens)])

    def _warm_by(self, readers: Sequence[Reader], pin: bool) -> None:
        asks = [
            ask for reader in readers for reading in self.readings([_EXAMPLE], reader) for ask in reading.asks
        ]
        self.engine.warm(map(self.wanted, asks), pin=pin)
