"""Words and names of the constructed languages, mapped injectively from those of the corpus."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from random import Random
from typing import Protocol

from kcx_jax.demo.corpus.frames import FRAME_FILES, OPENER_FILE, read_frames
from kcx_jax.demo.corpus.generate import JOINERS, everyday_frames
from kcx_jax.demo.corpus.tables import in_sections, read_table

TABLE = "invented.txt"
SHORT_WORDS = 40  # the most frequent ones have one syllable
_WORD = re.compile(r"[^\W\d_]+")


class Forms(Protocol):
    """What a word, or a number or mark, is in the new language."""

    def word(self, word: str) -> str:
        """The form of a word of the corpus. Raises `KeyError` for a word that the corpus does not use."""

    def name(self, word: str) -> str:
        """The form of a word of a name."""


@dataclass(frozen=True)
class _LatinForms:
    words: Mapping[str, str]
    in_names: frozenset[str]  # words that names are built with
    letters: dict[int, int]  # of the other words of names
    ending: str  # and what is put behind them

    def word(self, word: str) -> str:
        return _capitalised_as(word, self.words[word.lower()]) if word.isalpha() else word

    def name(self, word: str) -> str:
        small = word.lower()
        if small in self.in_names or not word.isalpha():
            return self.word(word)
        return _capitalised_as(word, small.translate(self.letters) + self.ending)


@dataclass(frozen=True)
class _ChineseForms:
    characters: Mapping[str, str]
    of_names: Mapping[str, str]

    def word(self, word: str) -> str:
        return self.characters[word] if _is_han(word) else word

    def name(self, word: str) -> str:
        return self.of_names[word] if _is_han(word) else word


def latin_forms(
    source: str, seed: str, short: Sequence[str], long: Sequence[str], letters: dict[int, int], ending: str
) -> Forms:
    """Invented words for those of `source`, and names spelled in other letters.

    `short` and `long` name the sections of the table from which words of one and of more syllables are made.
    `ending` stands behind every word of a name that is no word otherwise: no name of the source ends so, and no
    invented word does. No invented word is an English or a Spanish one of the corpus.
    """
    natural = {word for language in ("en", "es") for word in _words(language)}
    rng = Random(seed)

    def usable(sections: Sequence[str]) -> list[str]:
        made = map("".join, product(*(_table()[section] for section in sections)))
        found = [form for form in dict.fromkeys(made) if form not in natural and not form.endswith(ending)]
        return rng.sample(found, len(found))

    words = [word for word, _ in sorted(_words(source).items(), key=lambda pair: (-pair[1], pair[0]))]
    forms = [*usable(short)[:SHORT_WORDS], *usable(long)]
    invented = dict(zip(words, forms[: len(words)], strict=True))
    return _LatinForms(invented, _words_of_names(source), letters, ending)


def chinese_forms(seed: str) -> Forms:
    """Other characters for the Chinese ones; those of names become none that a Chinese name has."""
    patterns = "".join(row.forms["zh"].text for row in (*read_table("names.txt"), *read_table("months.txt")))
    stems = "".join(row.forms["zh"].text.lstrip("+") for row in read_table("syllables.txt"))
    named = sorted({each for each in patterns + stems + "年日" if _is_han(each)})
    usual = {each for text in _texts("zh") for each in text if _is_han(each)}
    (without_a_piece,) = _table()["without a piece"]
    rng = Random(seed)
    written = sorted((usual | set(named)) - set(without_a_piece))
    first = rng.choice([each for each in written if each not in named])
    single = [each for each in written if each != first]
    others = [each for each in single if each not in named]
    pairs = [first, *without_a_piece]  # each is written as `first` and another, and nothing else is
    characters = dict(zip(single, rng.sample(single, len(single)), strict=True))
    seconds = rng.sample(single, len(pairs))
    characters |= {each: first + second for each, second in zip(pairs, seconds, strict=True)}
    return _ChineseForms(characters, dict(zip(named, rng.sample(others, len(named)), strict=True)))


def _capitalised_as(word: str, form: str) -> str:
    return form[0].upper() + form[1:] if word[0].isupper() else form


def _is_han(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff"


@cache
def _words(language: str) -> Counter[str]:
    """Every word that the corpus has in `language` but for names' own stems, and how often its tables have it."""
    found = Counter(word for text in _texts(language) for word in _WORD.findall(text.lower()))
    return found + Counter(_words_of_names(language))


@cache
def _words_of_names(language: str) -> frozenset[str]:
    """The words that names are built with, such as the month of a date; not what is joined to a stem."""
    patterns = [row.forms[language].text.replace("{n}", "") for row in read_table("names.txt")]
    texts = [word for pattern in patterns for word in pattern.split() if "{" not in word]
    texts += [row.forms[language].text for row in read_table("months.txt")]
    texts += {"es": ["de"]}.get(language, [])  # "3 de mayo de 1987"
    return frozenset(word for text in texts for word in _WORD.findall(text.lower()))


def _texts(language: str) -> Iterator[str]:
    """All that the tables have in `language` outside names, in every variant; a tab stands for a slot."""
    for frame in read_frames(*FRAME_FILES, OPENER_FILE):
        pieces = frame.templates[language]
        triggers = next((piece.options for piece in pieces if piece.kind == "trigger"), ("",))
        for trigger, agreement in product(triggers, (0, 1)):
            forms = {"slot": "\t", "trigger": trigger}
            yield "".join(
                forms.get(piece.kind) or piece.options[agreement if piece.kind == "agree" else 0]
                for piece in pieces
            )
    for texts in everyday_frames():
        yield re.sub(r"\{\d\}", "\t", texts[language])
    for name in ("fillers.txt", "everyday.txt"):
        yield from (row.forms[language].text for row in read_table(name))
    yield from (joiner[language] for joiner in JOINERS)


@cache
def _table() -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    for section, _, line in in_sections(TABLE):
        sections.setdefault(section, []).extend(line.split())
    return sections
