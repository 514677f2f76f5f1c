"""What a translated sentence has to keep of its source. `check` refuses, `notes` only remarks.

The bounds were measured on the real translations of Multi-CrossRE (docs/parallel.md gives the false alarms).
"""

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

from kcx_jax.corpora import Record
from kcx_jax.parallel.translation.checks import Draft
from kcx_jax.parallel.translation.languages import (
    CJK,
    KANA,
    letter_script,
    primary,
    same_language,
    script_of,
    words_by_script,
)
from kcx_jax.parallel.translation.numbers import is_long, lost_numbers
from kcx_jax.parallel.translation.prompts import INSTRUCTIONS
from kcx_jax.parallel.translation.refusal import Refusal
from kcx_jax.parallel.translation.spans import SourceSpan

Identify = Callable[[str], tuple[str, float]]
"""A text's language (ISO 639) and how sure that is, 0 to 1."""

# Characters of a letter of these scripts in an alphabet; of all others, 1.
_WIDTH = {CJK: 3.0, KANA: 2.0, "HANGUL": 2.2}
# A translation is at most so many times as long as its source, and as short, both of this many characters more.
LONGEST, SLACK = 2.0, 20
_MEASURED = {"LATIN", "CYRILLIC", CJK}
LONGEST_ELSEWHERE = 3.0
# Of the words outside the spans, this share is in the target's script, where there are so many words.
IN_SCRIPT, FEWEST_WORDS = 0.4, 4
# Of the Han and kana of Japanese, and of no other language, this share is kana.
KANA_SHARE = 0.1
# Of the characters that only one kind of Chinese writing has, more than this share is of the other kind.
OTHER_CHARACTERS = 0.1
# So sure an identifier has to be, and so long the text.
SURE, LONG_ENOUGH = 0.9, 40

_LINK = re.compile(r"(?:https?://|www\.)[!-~]*[\w/]|[\w.+-]+@[\w-]+(?:\.[\w-]+)+", re.ASCII)
_LEAKED = re.compile(
    r"```|\*\*|__|</?s\d+>|[\[({<【]s\d+[\])}>】]|\"(?:sentence|spans|translation|id|text)\"\s*:"
    r"|source_language|target_language|^(?:translation|translated sentence|here is\b[^:：]*|翻译|译文)\s*[:：]",
    re.IGNORECASE,
)
_PROMPT = "\n".join(INSTRUCTIONS.values())
_PROMPT_RUN = 30  # characters of the instruction that nobody writes by chance


def check(
    record: Record, target: str, spans: Sequence[SourceSpan], draft: Draft, identify: Identify | None
) -> None:
    """Raise `Refusal` unless the draft's sentence can be a translation of the record's into `target`."""
    source, sentence = record.text, draft.sentence
    if _only_words(sentence) == _only_words(source) and _only_words(
        _outside(source, [s.text for s in spans])
    ):
        raise Refusal("untranslated", "the sentence is identical to the source")
    _check_length(record, target, sentence)
    _check_script(target, _outside(_LINK.sub(" ", sentence), draft.texts.values()))
    if lost := list(filter(is_long, lost_numbers(source, sentence))):
        raise Refusal("lost_number", f"the sentence lacks the numbers {', '.join(lost)}")
    if gone := [link for link in _LINK.findall(source) if link not in sentence]:
        raise Refusal("lost_link", f"the sentence lacks {', '.join(gone)}")
    _check_leaks(source, sentence)
    if identify is not None and _size(sentence) >= LONG_ENOUGH:
        found, share = identify(sentence)
        if share >= SURE and not same_language(found, primary(target)):
            raise Refusal("wrong_language", f"the sentence seems to be in {found!r}, not in {target!r}")


def notes(record: Record, target: str, spans: Sequence[SourceSpan], draft: Draft) -> dict[str, Any]:
    """What is odd about a translation and may be right: short numbers that are gone, spans in another script."""
    found: dict[str, Any] = {}
    if lost := lost_numbers(record.text, draft.sentence):
        found["lost_numbers"] = list(lost)
    script = script_of(target)
    scripts = {CJK, KANA} if script == CJK else {script}
    words = {span.id: words_by_script(draft.texts[span.id]) for span in spans}
    foreign = [name for name, counts in words.items() if counts and script and not scripts & counts.keys()]
    if foreign:
        found["other_script"] = foreign
    return found


def _check_length(record: Record, target: str, sentence: str) -> None:
    ratio = (_size(sentence) + SLACK) / (_size(record.text) + SLACK)
    measured = {script_of(record.language), script_of(target)} <= _MEASURED
    longest = LONGEST if measured else LONGEST_ELSEWHERE
    if ratio > longest:
        raise Refusal(
            "too_long", f"the sentence is {ratio:.1f} times as long as the source; translate only it"
        )
    if ratio < 1 / longest:
        raise Refusal(
            "too_short", f"the sentence is {ratio:.2f} times as long as the source; translate all of it"
        )


def _check_script(target: str, rest: str) -> None:
    script = script_of(target)
    words = words_by_script(rest)
    total = sum(words.values())
    if script is None or total < FEWEST_WORDS:
        return  # nothing but names, which may stay as they are
    japanese = primary(target) == "ja"
    if words[script] + (words[KANA] if japanese else 0) < IN_SCRIPT * total:
        raise Refusal("wrong_script", f"the sentence is hardly in the script of {target!r}")
    if script == CJK and (words[KANA] >= KANA_SHARE * (words[KANA] + words[CJK])) != japanese:
        raise Refusal("wrong_script", f"the sentence is not in {target!r}: Japanese is written with kana")
    if primary(target) == "zh":
        _check_characters(target, rest)


def _check_characters(target: str, text: str) -> None:
    """Chinese is simplified, unless the target's tag says otherwise."""
    parts = target.replace("_", "-").lower().split("-")
    traditional = "hans" not in parts and not {"hant", "tw", "hk", "mo"}.isdisjoint(parts)
    kinds = Counter(map(_kind, text))
    wrong, right = kinds[not traditional], kinds[traditional]
    if wrong > 1 and wrong > OTHER_CHARACTERS * (wrong + right):
        name = "traditional" if traditional else "simplified"
        raise Refusal("wrong_script", f"the sentence is not in {name} characters")


@functools.lru_cache(maxsize=65536)
def _kind(char: str) -> bool | None:
    """True for a character that only traditional Chinese has, False for one that only simplified has."""
    if not "\u4e00" <= char <= "\u9fff":
        return None
    simplified, traditional = _encodes(char, "gb2312"), _encodes(char, "big5")
    return None if simplified == traditional else traditional


def _encodes(char: str, encoding: str) -> bool:
    try:
        char.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _check_leaks(source: str, sentence: str) -> None:
    known = {found.lower() for found in _LEAKED.findall(source)}
    if leaked := [found for found in _LEAKED.findall(sentence) if found.lower() not in known]:
        raise Refusal("leaked", f"the sentence holds {leaked[0]!r}; give the translation alone")
    for start in range(len(sentence) - _PROMPT_RUN + 1):
        run = sentence[start : start + _PROMPT_RUN]
        if run in _PROMPT and run not in source:
            raise Refusal("leaked", "the sentence holds words of the instruction; give the translation alone")


def _size(text: str) -> float:
    return sum(map(_width, text))


@functools.lru_cache(maxsize=65536)
def _width(char: str) -> float:
    return 0.0 if char.isspace() else _WIDTH.get(letter_script(char), 1.0)


def _outside(text: str, parts: Collection[str]) -> str:
    for part in sorted(filter(None, parts), key=len, reverse=True):
        text = text.replace(part, " ")
    return text


def _only_words(text: str) -> str:
    return "".join(filter(str.isalpha, unicodedata.normalize("NFKC", text).casefold()))
