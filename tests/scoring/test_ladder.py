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
