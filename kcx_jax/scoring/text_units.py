"""What the modes that know no offsets count: tuples of class names and texts."""

import re
from collections.abc import Callable, Iterator, Sequence

from kcx_jax.corpora import Argument, Mention, Record
from kcx_jax.scoring.units import Measure, Unit, mentioned

_QUOTES = re.compile("[\"'`“”‘’«»「」『』]")
_BESIDE_PUNCTUATION = re.compile(r"\s*([^\w\s])\s*")

Normal = Callable[[str], str]


def verbatim(text: str) -> str:
    """The text as it is."""
    return text


def plain(text: str) -> str:
    """Folded case, no quotes, no space beside punctuation, single spaces elsewhere."""
    closed = _BESIDE_PUNCTUATION.sub(r"\1", _QUOTES.sub("", text.casefold()))
    return " ".join(closed.split())


def text_measures(
    of_entities: Normal, of_others: Normal, of_labels: Normal = verbatim, attached: bool = False
) -> tuple[Measure, ...]:
    """The four measures over texts.

    Args:
        of_entities: what makes two entity texts equal. of_others: the same for the texts of relations,
            triggers and arguments. of_labels: the same for class and role names.
        attached: an argument also holds the text of its trigger.
    """

    def entity(label: str, texts: Sequence[str]) -> Unit:
        name = of_labels(label)
        return name, (name, *map(of_entities, texts))

    def entities(record: Record) -> Iterator[Unit]:
        for mention in record.entities or ():
            yield entity(mention.type, [mention.text])

    def other(label: str, texts: Sequence[str]) -> Unit:
        name = of_labels(label)
        return name, (name, *map(of_others, texts))

    def relations(record: Record) -> Iterator[Unit]:
        texts = {mention.id: mention.text for mention in record.entities or ()}
        for link in record.relations or ():
            yield other(link.type, [texts[link.head], texts[link.tail]])

    def triggers(record: Record) -> Iterator[Unit]:
        for written, start, end in mentioned(record):
            yield other(written, [record.text[start:end]])

    def arguments(record: Record) -> Iterator[Unit]:
        mentions = {mention.id: mention for mention in record.entities or ()}
        for event in record.events or ():
            trigger = (of_others(event.trigger.text),) if attached else ()
            for argument in event.arguments:
                names = of_labels(event.type), of_labels(argument.role)
                text = of_others(_text(argument, record, mentions))
                yield ".".join(names), (*names, text, *trigger)

    under = ", under a trigger of the same text" if attached else ""
    return (
        Measure("ner", "ner", "entity: type and text", entities, of_labels, entity),
        Measure("re", "re", "relation: type, head text and tail text", relations, of_labels, other),
        Measure("ed", "ed", "trigger: event type and text", triggers, of_labels, other),
        Measure("eae", "eae", f"argument: event type, role and text{under}", arguments, of_labels),
    )


def _text(argument: Argument, record: Record, mentions: dict[str, Mention]) -> str:
    if argument.entity is not None:
        return mentions[argument.entity].text
    start, end = argument.span()
    return record.text[start:end]
