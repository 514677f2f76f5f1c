"""Three constructed languages: records of the corpus, written out in words, names and an order of their own.

Each is made of one of `LANGUAGES` and keeps ids, types and layers; every span stays true. Their tags are of the range
that ISO 639 leaves to private use.

- ``qaa``, of English: invented words in the same order.
- ``qab``, of Spanish: other invented words, the sentence's words and mentions in reverse order, and no capitals but
  in names.
- ``qac``, of Chinese, unspaced: other characters, and a clause's first constituent comes last, behind a particle.

Words and names are mapped injectively. Names get a spelling of their own that no name of the language it is made of
has: so a name of one split is none of the other's, in any of these languages.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

from kcx_jax.corpora import Argument, EventMention, Mention, Record, Span, make_span, text_order
from kcx_jax.demo.corpus.generate import schema
from kcx_jax.demo.corpus.invented import Forms, chinese_forms, latin_forms
from kcx_jax.demo.corpus.tables import LANGUAGES
from kcx_jax.errors import KcxError, UsageError

CONSTRUCTED = ("qaa", "qab", "qac")
UNSPACED = ("zh", "qac")
_ATOM = re.compile(r"[^\W\d_]+|\d+|\s+|.")
_HAN_ATOM = re.compile(r"[a-zA-Z]+|\d+|.")
# The letters of names, in the order of the alphabet below; no accent is lost.
_ALPHABET = "aeiouáéíóúübcdfghjklmnpqrstvwxyzñ"
_LETTERS = {
    tag: str.maketrans(_ALPHABET, letters)
    for tag, letters in {
        "qaa": "oaeuióáéúíütwmpbslndvrgckzhfyqxjñ",
        "qab": "ioaeuíóáéúültncbwphgdsvkmrfjxqyzñ",
    }.items()
}
_PARTICLE = "了"  # whose form stands before a constituent that was moved to the end
_CLAUSE_END = frozenset("，；：。？")
_NO_SPACE_BEFORE = frozenset(",;:.?")


@dataclass(frozen=True)
class _Atom:
    """A word, a number or a mark of a record's text, `text[start:end]`, and its form in the new language."""

    start: int
    end: int
    form: str


@dataclass(frozen=True)
class _Group:
    """What stays together in its order: a mention, a trigger or an argument (`whole`), or one atom outside these."""

    atoms: list[_Atom]
    whole: bool

    def opens_with(self, marks: Collection[str]) -> bool:
        return not self.whole and self.atoms[0].form in marks


_Piece = _Atom | str  # a string is put between atoms


@dataclass(frozen=True)
class _Language:
    source: str
    atoms: re.Pattern[str]
    forms: Forms
    order: Callable[[Sequence[_Group]], Iterator[_Piece]]
    capitals: bool = True  # whether words have those of the source


def source_of(language: str) -> str:
    """The language of `LANGUAGES` that `language` is made of; itself where it is one of them.

    Raises `UsageError` for a language that the corpus does not have.
    """
    if language in LANGUAGES:
        return language
    return _language(language).source


def in_language(item: dict[str, Record], language: str) -> Record:
    """The record of an item of the corpus in a natural or a constructed language.

    Raises `UsageError` for a language that the corpus does not have.
    """
    if language in LANGUAGES:
        return item[language]
    return construct(item[source_of(language)], language)


def construct(record: Record, language: str) -> Record:
    """A record of the corpus in its language `source_of(language)`, written in the constructed one.

    Raises `UsageError` for an unknown language, and `KcxError` for a record of another language, a word that the
    corpus does not use, or a discontinuous span.
    """
    made = _language(language)
    if record.language != made.source:
        raise KcxError(f"{language} is made of {made.source}, and record {record.id!r} is {record.language}")
    spans = _spans(record)
    names = [(m.start, m.end) for m in record.entities or () if m.type in schema().by_name]
    text = ""
    starts: dict[int, int] = {}  # of the source's edges, where they went
    ends: dict[int, int] = {}
    for piece in made.order(_groups(_atoms(record, made, spans, names), spans)):
        if isinstance(piece, str):
            text += piece
            continue
        starts[piece.start] = len(text)
        text += piece.form
        ends[piece.end] = len(text)

    def moved(start: int, end: int) -> tuple[int, int]:
        return starts[start], ends[end]

    return _moved(record, language, text, moved)


def phrase(words: str, language: str) -> str:
    """Words of the corpus that stand for one thing, in `language`; they must be those of `source_of(language)`.

    Raises `UsageError` for an unknown language and `KcxError` for a word that the corpus does not use.
    """
    if language in LANGUAGES:
        return words
    made = _language(language)
    return "".join(_word_form(made, found[0]) for found in made.atoms.finditer(words))


def _spans(record: Record) -> list[tuple[int, int]]:
    found: list[Mention | Span | Argument] = list(record.entities or ())
    for event in record.events or ():
        found += [event.trigger, *(argument for argument in event.arguments if argument.entity is None)]
    if any(each.spans for each in found):
        raise KcxError(f"record {record.id!r} has a discontinuous span, which has no place in another order")
    return [each.span() if isinstance(each, Argument) else (each.start, each.end) for each in found]


def _atoms(
    record: Record, made: _Language, spans: Sequence[tuple[int, int]], names: Sequence[tuple[int, int]]
) -> list[_Atom]:
    """The text in atoms, none of which reaches over the edge of a span."""
    edges = sorted({0, len(record.text), *(place for span in spans for place in span)})
    atoms = []
    for begin, stop in pairwise(edges):
        named = any(start <= begin and stop <= end for start, end in names)
        for found in made.atoms.finditer(record.text, begin, stop):
            form = made.forms.name(found[0]) if named else _word_form(made, found[0])
            atoms.append(_Atom(found.start(), found.end(), form))
    return atoms


def _word_form(made: _Language, word: str) -> str:
    try:
        form = made.forms.word(word)
    except KeyError:
        raise KcxError(
            f"the corpus has no word {word!r} in {made.source}, so there is no form of it"
        ) from None
    return form if made.capitals else form.lower()


def _groups(atoms: Sequence[_Atom], spans: Sequence[tuple[int, int]]) -> list[_Group]:
    """Atoms of overlapping or nested spans together, every other one for itself."""
    groups: list[_Group] = []
    reach = 0
    for atom in atoms:
        covering = [end for start, end in spans if start <= atom.start < end]
        if atom.start < reach:
            groups[-1].atoms.append(atom)
        else:
            groups.append(_Group([atom], bool(covering)))
        reach = max([reach, *covering])
    return groups


def _moved(record: Record, language: str, text: str, moved: Callable[[int, int], tuple[int, int]]) -> Record:
    """`record` on `text`, with every span where it went."""

    def mention(old: Mention) -> Mention:
        start, end = moved(old.start, old.end)
        return Mention(old.id, old.type, start, end, text[start:end])

    def argument(old: Argument) -> Argument:
        if old.entity is not None:
            return old
        start, end = moved(*old.span())
        return Argument(old.role, start=start, end=end, text=text[start:end])

    def event(old: EventMention) -> EventMention:
        trigger = make_span(text, *moved(old.trigger.start, old.trigger.end))
        return EventMention(old.type, trigger, tuple(map(argument, old.arguments)))

    entities, events = record.entities, record.events
    return replace(
        record,
        language=language,
        text=text,
        entities=None if entities is None else tuple(sorted(map(mention, entities), key=text_order)),
        events=None if events is None else tuple(map(event, events)),
    )


def _same_order(groups: Sequence[_Group]) -> Iterator[_Piece]:
    for group in groups:
        yield from group.atoms


def _mirrored(groups: Sequence[_Group]) -> Iterator[_Piece]:
    """The last comes first; the marks that open and close the sentence stay where they are."""
    kept = [group for group in groups if not group.opens_with(" ")]
    opening = [group for group in kept[:1] if group.opens_with("¿")]
    closing = [group for group in kept[-1:] if group.opens_with(_NO_SPACE_BEFORE)]
    yield from _same_order(opening)
    for place, group in enumerate(reversed(kept[len(opening) : len(kept) - len(closing)])):
        if place and not group.opens_with(_NO_SPACE_BEFORE):
            yield " "
        yield from group.atoms
    yield from _same_order(closing)


def _first_constituent_last(groups: Sequence[_Group]) -> Iterator[_Piece]:
    """In every clause; what lies between two spans is one constituent."""
    clause: list[list[_Atom]] = []
    open_run = False  # whether the last constituent is of single atoms
    for group in groups:
        if group.opens_with(_CLAUSE_END):
            yield from _rotated(clause)
            yield from group.atoms
            clause, open_run = [], False
            continue
        if open_run and not group.whole:
            clause[-1].extend(group.atoms)
        else:
            clause.append(list(group.atoms))
        open_run = not group.whole
    yield from _rotated(clause)


def _rotated(clause: Sequence[Sequence[_Atom]]) -> Iterator[_Piece]:
    for atoms in clause[1:]:
        yield from atoms
    if len(clause) > 1:
        yield _language("qac").forms.word(_PARTICLE)
    yield from (atom for atoms in clause[:1] for atom in atoms)


@cache
def _language(tag: str) -> _Language:
    match tag:
        case "qaa":
            forms = latin_forms("en", tag, ("closed",), ("open", "closed"), _LETTERS[tag], "k")
            return _Language("en", _ATOM, forms, _same_order)
        case "qab":
            forms = latin_forms("es", tag, ("vowel first",), ("vowel first", "open"), _LETTERS[tag], "m")
            return _Language("es", _ATOM, forms, _mirrored, capitals=False)
        case "qac":
            return _Language("zh", _HAN_ATOM, chinese_forms(tag), _first_constituent_last)
    known = ", ".join((*LANGUAGES, *CONSTRUCTED))
    raise UsageError(f"no language {tag!r} in the demo's corpus; it has {known}")
