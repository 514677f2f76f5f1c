"""Which script a language is written in, and whether a text is.

Scripts are named as Unicode names letters ("LATIN", "CJK"). A language that is not listed has no script to check.
"""

import functools
import re
import unicodedata
from collections import Counter

from kcx_jax.errors import UsageError

CJK, KANA = "CJK", "KANA"
_LANGUAGES = {
    "LATIN": "af az bam bbj br bs ca ceb cs cy da de en eo es et eu ewe fi fil fo fon fr fy ga gd gl hau hr ht hu "
    "ibo id ig is it jv kin ku la lb lt lug luo lv mg mi mos ms mt nb nl nn no nya oc pcm pl pt ro rw sk sl sn sna so "
    "sq su sv sw swa tk tl tn tr tsn twi uz vi wo wol xh xho yo yor zu zul",
    "CYRILLIC": "be bg kk ky mk mn ru tg tt uk",
    "ARABIC": "ar ckb fa ps sd ug ur",
    "HEBREW": "he yi",
    "GREEK": "el",
    "ARMENIAN": "hy",
    "GEORGIAN": "ka",
    "DEVANAGARI": "bho hi mai mr ne sa",
    "BENGALI": "as bn",
    "GURMUKHI": "pa",
    "GUJARATI": "gu",
    "ORIYA": "or",
    "TAMIL": "ta",
    "TELUGU": "te",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "SINHALA": "si",
    "THAI": "th",
    "LAO": "lo",
    "TIBETAN": "bo dz",
    "MYANMAR": "my",
    "KHMER": "km",
    "ETHIOPIC": "am ti",
    "HANGUL": "ko",
    CJK: "ja wuu yue zh",
}
_OF_LANGUAGE = {language: script for script, tags in _LANGUAGES.items() for language in tags.split()}
# Languages that no identifier tells apart in one sentence.
_KIN = (
    *({"zh", "wuu", "yue"}, {"id", "ms", "jv"}, {"no", "nb", "nn", "da"}, {"bs", "hr", "sr"}, {"fa", "tg"}),
    *({"ar", "arz", "ary"}, {"cs", "sk"}, {"gl", "pt"}, {"bg", "mk"}, {"hi", "mr", "ne"}),
)
# ISO 15924 codes in a language tag, such as sr-Latn.
_OF_CODE = {
    "Latn": "LATIN",
    "Cyrl": "CYRILLIC",
    "Arab": "ARABIC",
    "Hebr": "HEBREW",
    "Deva": "DEVANAGARI",
    "Beng": "BENGALI",
    "Guru": "GURMUKHI",
    "Hang": "HANGUL",
    "Kore": "HANGUL",
    "Grek": "GREEK",
    "Hans": CJK,
    "Hant": CJK,
    "Hani": CJK,
    "Jpan": CJK,
}
_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*")
# Words in these are not parted by spaces: each letter counts.
_UNSPACED = frozenset({CJK, KANA, "THAI", "LAO", "TIBETAN", "MYANMAR", "KHMER"})


def check_tag(language: str) -> None:
    """Raise `UsageError` unless `language` has the form of a BCP 47 tag: languages are not told by their names."""
    if not _TAG.fullmatch(language):
        raise UsageError(f"{language!r} is no language tag (BCP 47), such as en, zh or pt-BR")


def primary(language: str) -> str:
    """The language of a BCP 47 tag, without script and region."""
    return language.replace("_", "-").split("-")[0].lower()


def same_language(one: str, other: str) -> bool:
    """Whether two languages (ISO 639) are the same, or too near each other to be told apart by a sentence."""
    return one == other or any(one in kin and other in kin for kin in _KIN)


@functools.lru_cache
def script_of(language: str) -> str | None:
    """The script that a language (BCP 47) is written in; None where it is not known."""
    for part in language.replace("_", "-").split("-")[1:]:
        if part.title() in _OF_CODE:
            return _OF_CODE[part.title()]
    return _OF_LANGUAGE.get(primary(language))


def words_by_script(text: str) -> Counter[str]:
    """How many words the text has of each script; where words are not parted by spaces, how many letters."""
    counts: Counter[str] = Counter()
    before = ""
    for char in unicodedata.normalize("NFKC", text):
        script = letter_script(char)
        if script and (script in _UNSPACED or script != before):
            counts[script] += 1
        if script or not unicodedata.category(char).startswith("M"):
            before = script
    return counts


@functools.lru_cache(maxsize=65536)
def letter_script(char: str) -> str:
    """The script of a letter; "" for what is no letter."""
    if not char.isalpha():
        return ""
    name = unicodedata.name(char, "").split(" ")[0]
    return KANA if name in ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA") else name
