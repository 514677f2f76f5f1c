"""Names that nobody can have memorised: stems of two or three syllables, spelled in three languages.

Every stem belongs to one split, by a digest of its English spelling, whatever type of name it ends up in;
years likewise. So no name part of the held-out split occurs in the training split.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import TypeVar

from kcx_jax.demo.corpus.tables import LANGUAGES, Form, lines, read_table

Item = TypeVar("Item")

SPLITS = ("train", "heldout")
HELDOUT_SHARE = 0.2
YEARS = range(1900, 2030)


@dataclass(frozen=True)
class Name:
    """A name in the three languages; `parts` are the stems and years it is made of (in English spelling)."""

    type: str
    parts: tuple[str, ...]
    forms: dict[str, Form]


def pick(rng: Random, items: Sequence[Item]) -> Item:
    """One of `items`, by `rng.random()` alone, which stays the same in every version of Python."""
    return items[int(rng.random() * len(items))]


def split_of(part: str) -> str:
    """The split to which a name part (a stem, a year, a whole sentence) belongs."""
    digest = int.from_bytes(hashlib.sha256(part.encode()).digest()[:4], "big")
    return "heldout" if digest < HELDOUT_SHARE * 2**32 else "train"


def make_name(kind: str, rng: Random, split: str) -> Name:
    """A new name of entity type `kind` whose parts all belong to `split`."""
    if kind == "Person":
        return _person(rng, split)
    if kind == "Date":
        return _date(rng, split)
    stem = _stem(rng, split)
    number = str(1 + int(rng.random() * 9))
    forms = {}
    for language, pattern in pick(rng, _patterns()[kind]).items():
        small = stem[language]
        text = pattern.text.format(S=small.capitalize(), s=small, n=number)
        forms[language] = Form(text, pattern.agreement, short=text)
    return Name(kind, (stem["en"],), forms)


def _person(rng: Random, split: str) -> Name:
    """A given name, most with a surname. Women's given names end in "a", men's do not: Spanish agrees."""
    woman = rng.random() < 0.5
    given = _stem(rng, split, syllables=2)
    while given["en"].endswith("a") != woman:
        given = _stem(rng, split, syllables=2)
    if rng.random() < 0.3:
        forms = {
            lang: Form(given[lang].capitalize(), int(woman), given[lang].capitalize()) for lang in LANGUAGES
        }
        return Name("Person", (given["en"],), forms)
    surname = _stem(rng, split)
    forms = {}
    for language in LANGUAGES:
        joiner = "·" if language == "zh" else " "
        short = surname[language].capitalize()
        forms[language] = Form(given[language].capitalize() + joiner + short, int(woman), short)
    return Name("Person", (given["en"], surname["en"]), forms)


def _date(rng: Random, split: str) -> Name:
    """A day, a month or a year. Form 0 is a day ("on 3 May 1987"), form 1 the others ("in May 1987")."""
    year = pick(rng, [str(year) for year in YEARS if split_of(str(year)) == split])
    month = pick(rng, _months())
    day = str(1 + int(rng.random() * 28))
    pattern = pick(
        rng,
        (
            {
                "en": "{day} {month} {year}",
                "zh": "{year}年{month}{day}日",
                "es": "{day} de {month} de {year}",
            },
            {"en": "{month} {year}", "zh": "{year}年{month}", "es": "{month} de {year}"},
            {"en": "{year}", "zh": "{year}年", "es": "{year}"},
        ),
    )
    forms = {}
    for language, words in pattern.items():
        text = words.format(day=day, month=month[language].text, year=year)
        forms[language] = Form(text, agreement=int("{day}" not in words), short=text)
    return Name("Date", (year,), forms)


def _stem(rng: Random, split: str, syllables: int | None = None) -> dict[str, str]:
    """A stem of `split` in lower case, in each language; of two syllables or three if no number is given."""
    first, later = _syllables()
    while True:
        count = syllables or (2 if rng.random() < 0.8 else 3)
        chain = [pick(rng, first), *(pick(rng, later) for _ in range(count - 1))]
        stem = {language: "".join(part[language] for part in chain) for language in LANGUAGES}
        if split_of(stem["en"]) == split and stem["en"] not in _known():
            return stem


@cache
def _syllables() -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """All syllables (any may open a name), and those that may follow another."""
    first, later = [], []
    for row in read_table("syllables.txt"):
        syllable = {language: row.forms[language].text.lstrip("+") for language in LANGUAGES}
        first.append(syllable)
        if not row.forms["en"].text.startswith("+"):
            later.append(syllable)
    return first, later


@cache
def _patterns() -> dict[str, list[dict[str, Form]]]:
    patterns = defaultdict(list)
    for row in read_table("names.txt"):
        patterns[row.label].append(row.forms)
    return dict(patterns)


@cache
def _known() -> frozenset[str]:
    return frozenset(stem for _, line in lines("known.txt") for stem in line.split())


@cache
def _months() -> list[dict[str, Form]]:
    return [row.forms for row in read_table("months.txt")]
