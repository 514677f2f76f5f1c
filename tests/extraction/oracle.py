"""A source that knows what is said in texts, and lists all of it that stands in what it is given."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from kcx_jax.extraction import Answer, Figures, Room
from kcx_jax.schema import render_answer


@dataclass(frozen=True)
class Fact:
    """What a sentence says. `label` is a relation between its first two parts, or an event with the first part as
    trigger. A part is (role, class or None, its words); words stand once in the sentence.
    """

    sentence: str
    label: str
    parts: tuple[tuple[str, str | None, str], ...]
    task: str

    def spans(self, at):
        """Where the parts stand, the sentence being at `at`."""
        starts = [at + self.sentence.index(words) for _, _, words in self.parts]
        return [(start, start + len(part[2])) for start, part in zip(starts, self.parts, strict=True)]

    def places(self, text) -> Iterator[int]:
        """Where the sentence begins in the text, before it or near its end too, where it was cut."""
        length = len(self.sentence)
        for cut in range(1, length):
            if text.startswith(self.sentence[cut:]):
                yield -cut
                break
        yield from (found.start() for found in re.finditer(re.escape(self.sentence), text))
        for cut in range(length - 1, 0, -1):
            if text.endswith(self.sentence[:cut]):
                yield len(text) - cut
                break


def occurrences(text, name):
    """The spans of a name, from left to right, not overlapping."""
    return [found.span() for found in re.finditer(re.escape(name), text)]


@dataclass
class Oracle:
    """`names`: words -> the name of their class."""

    names: dict[str, str] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    room: Room | None = None
    asked: list = field(default_factory=list)

    @property
    def figures(self):
        return Figures(len(self.asked))

    def stream(self, asks):
        for ask in asks:
            self.asked.append(ask)
            yield Answer(f" {self.answer(ask)}")

    def answer(self, ask):
        """The code of all that stands in the text."""
        classes, text, task = ask.question.classes.classes, ask.text, ask.question.task
        if task == "ner":
            found = [
                (span, classes[label](words))
                for words, label in self.names.items()
                if label in classes
                for span in occurrences(text, words)
            ]
        else:
            found = [
                told
                for fact in self.facts
                if fact.task == task and fact.label in classes
                for at in fact.places(text)
                for told in self._told(fact, at, text, classes)
            ]
        return render_answer([each[-1] for each in sorted(found, key=lambda each: each[0])])

    def _told(self, fact, at, text, classes):
        seen = [start >= 0 and end <= len(text) for start, end in fact.spans(at)]
        parts = [
            (role, words if label is None else classes[label](words)) for role, label, words in fact.parts
        ]
        if fact.task == "re":
            if all(seen):
                yield fact.spans(at), classes[fact.label](parts[0][1], parts[1][1])
        elif seen[0]:
            arguments = {}
            for (role, value), visible in zip(parts[1:], seen[1:], strict=True):
                if visible:
                    arguments.setdefault(role, []).append(value)
            yield fact.spans(at), classes[fact.label](parts[0][1], **arguments)
