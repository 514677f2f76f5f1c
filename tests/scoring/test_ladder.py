"""The ladder: looser forms are found in the text's own form, each on the first rung that has it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.schema import load_schema
from kcx_jax.scoring import ground
from kcx_jax.scoring.places import _FOLDS, Places, _without_ends

Person, Meet = load_schema("""
class Person(Entity): pass
class Meet(Event):
    who: list[Person]
""").classes.values()
PIECES = [
    "Ada",
    "été",
    "e\u0301",
    "straße",
    "İ",
    "ﬁ",
    "ＡＢ",
    "ｶﾞ",
    "“",
    "”",
    "’",
    "—",
    " ",
    "  ",
    "\n",
    "李白",
    "😀",
    "عـدن",
    "\u200b",
    "\u200f",
    "•",
    "·",
    ".",
    "(",
    "）",
    "½",
    "㍿",
    "ﻼم",
    "한",
    "ㅎㅏㄴ",
    "ﾾￂ",
    "ㅏ",
]
texts = st.lists(st.sampled_from(PIECES), min_size=1, max_size=10).map("".join)


def found(surface, text):
    places = Places(text, [surface], ladder=True)[surface].places
    return [(text[p.start : p.end], p.rung) for p in places]


@pytest.mark.parametrize(
    ("surface", "text", "expected"),
    [
        ("Ada", "ada Ada", [("Ada", None)]),
        ("ada", "Ada ADA", [("Ada", "case"), ("ADA", "case")]),
        ("STRASSE", "die straße!", [("straße", "case")]),
        ("ABC", "ＡＢＣ社", [("ＡＢＣ", "width")]),
        ("ガス", "ｶﾞｽ", [("ｶﾞｽ", "width")]),
        ("find", "ﬁnd", [("ﬁnd", "case")]),
        ('Ada\'s "x"', "Ada’s  “x”", [("Ada’s  “x”", "marks")]),
        ("New York", "New\n York", [("New\n York", "marks")]),
        ("2010-2012", "2010–2012", [("2010–2012", "marks")]),
        ("李•白", "是李·白。", [("李·白", "marks")]),
        ("李·白", "李・白", [("李・白", "marks")]),
        ("Ada", "\u200bA\u200bda\u200b.", [("A\u200bda", "width")]),
        ("A\u00adda", "Ada\u200f", [("Ada", "width")]),
        ("❤️ Ada", "❤ Ada", [("❤ Ada", "width")]),
        ("(Ada),", "Ada met", [("Ada", "ends")]),
        ("1/2", "about ½ kg", [("½", "width")]),
        ("株式会社", "㍿ソニー", [("㍿", "width")]),
        ("会社", "㍿ソニー", []),
        ("سلام", "ﺳﻼم", [("ﺳﻼم", "width")]),
        ("カナ", "ｶﾅﾊ", [("ｶﾅ", "width")]),
        ("한국", "ㅎㅏㄴㄱㅜㄱ에서", [("ㅎㅏㄴㄱㅜㄱ", "width")]),
        ("ㅎㅏㄴㄱㅜㄱ", "한국에서", [("한국", "width")]),
        ("한값", "ﾾￂﾤﾡￂﾴ이", [("ﾾￂﾤﾡￂﾴ", "width")]),
        ("ㅎㅏ", "한국", []),
        ("가", "ㄱㅏㄱ", []),
        ("가", "ㄱㅏㄱㅏ", [("ㄱㅏ", "width"), ("ㄱㅏ", "width")]),
        ("...", "Ada", []),
        ("US", "just because", []),
        ("US", "because of the ＵＳ", [("ＵＳ", "width")]),
        ("...Ada", "canada", []),
        ("ADA", "canada and ＡＤＡ", [("ＡＤＡ", "width")]),
        ("i", "İ", []),
        ("Eve", "Ada", []),
    ],
)
def test_each_form_is_found_on_its_rung(surface, text, expected):
    assert found(surface, text) == expected


@given(texts, st.data())
def test_whatever_is_in_the_text_is_found_verbatim_and_nothing_is_shifted(text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    surface = text[start:end]
    for changed in (surface, surface.upper(), unicodedata.normalize("NFKC", surface), f"({surface})"):
        places = Places(text, [changed], ladder=True)[changed].places
        for place in places:
            assert 0 <= place.start < place.end <= len(text)
            slice_ = text[place.start : place.end]
            if place.rung is None:
                assert unicodedata.normalize("NFC", slice_) == unicodedata.normalize("NFC", changed)
            else:
                fold = _FOLDS[place.rung]
                sought = _without_ends(fold(changed)) if place.rung == "ends" else fold(changed)
                assert fold(slice_) == sought
                assert not Places(text, [changed])[changed].places
    assert Places(text, [surface])[surface].places


def test_every_character_with_a_compatible_form_is_found_by_it_and_whole():
    changed = (char for char in map(chr, range(0x110000)) if unicodedata.normalize("NFKC", char) != char)
    for char in changed:
        form = unicodedata.normalize("NFKC", char)
        if form.strip() and form not in f"- {char} = {char}" and unicodedata.category(form[0])[0] not in "MC":
            text = f"- {char} = {char}"
            where = [(p.start, p.end) for p in Places(text, [form], ladder=True)[form].places]
            assert where == [(2, 3), (6, 7)], (hex(ord(char)), form)


@given(st.text(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), min_size=1, max_size=4))
def test_hangul_letter_by_letter_is_found_as_syllables_and_the_other_way(syllables):
    usual = {unicodedata.normalize("NFKC", chr(code)): chr(code) for code in range(0x3131, 0x3164)}
    letters = "".join(usual[_spelled] for _spelled in _FOLDS["width"](syllables))
    for surface, text in ((syllables, letters), (letters, syllables)):
        assert found(surface, f"({text})") == [(text, "width")]


def test_ground_lists_what_only_the_ladder_finds():
    text = "ADA met Bob."
    instances = [Person("Ada"), Person("Bob"), Person("Eve")]
    strict, loose = (ground(instances, text, task="ner", ladder=ladder) for ladder in (False, True))
    assert [m.text for m in strict.record.entities] == ["Bob"]
    assert [m.text for m in loose.record.entities] == ["ADA", "Bob"]
    assert loose.record.meta["loose"] == [
        {"task": "ner", "type": "Person", "start": 0, "end": 3, "rung": "case"}
    ]
    assert [u.text for u in loose.unresolved] == ["Eve"]
    (event,) = ground([Meet("MET", who=[Person("bob")])], text, task="eae", ladder=True).record.events
    assert (event.trigger.text, len(event.arguments)) == ("met", 1)
