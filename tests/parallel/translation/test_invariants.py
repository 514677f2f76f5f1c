"""What a translation has to keep: each loss refused by name, and real translations hardly ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.errors import UsageError
from kcx_jax.parallel.translation.checks import Draft
from kcx_jax.parallel.translation.invariants import check, notes
from kcx_jax.parallel.translation.language_id import load_identifier
from kcx_jax.parallel.translation.languages import script_of, words_by_script
from kcx_jax.parallel.translation.numbers import is_long, lost_numbers
from kcx_jax.parallel.translation.refusal import Refusal
from kcx_jax.parallel.translation.spans import source_spans

SOURCE = (
    "In 1984 [Ada|e0:Person] moved to [London|e1:City] with 12 friends; write to ada@x.org or www.x.org/ada."
)
RIGHT = "1984年，艾达与12位朋友搬到伦敦；请写信至ada@x.org或www.x.org/ada。"


def _kind(mark, sentence, *texts, source=SOURCE, languages=("en", "zh"), identify=None):
    record = mark(source, language=languages[0])
    spans = source_spans(record)
    draft = Draft(sentence, dict(zip((span.id for span in spans), texts, strict=True)))
    try:
        check(record, languages[1], spans, draft, identify)
    except Refusal as refusal:
        return refusal.kind
    return None


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        (RIGHT, None),
        (RIGHT.replace("1984", "一九八四"), None),
        (RIGHT.replace("1984", "1948"), "lost_number"),
        (RIGHT.replace("12", "十二"), None),
        (RIGHT.replace("12", "13"), None),  # noted only
        (RIGHT.replace("ada@x.org", "她"), "lost_link"),
        (RIGHT.replace("www.x.org/ada", "她的网页"), "lost_link"),
        (RIGHT * 4, "too_long"),
        ("1984年伦敦", "too_short"),
        ("In 1984 艾达 moved to 伦敦 with 12 friends; write to ada@x.org or www.x.org/ada.", "wrong_script"),
        ("1984 nian, Aida yu 12 wei pengyou ban dao Lundun; xie xin zhi ada@x.org huo www.x.org/ada.", "wrong_script"),
        ("1984年に艾达は12人の友だちと伦敦へひっこしました。ada@x.orgかwww.x.org/adaへ。", "wrong_script"),
        (RIGHT.replace("与", "與").replace("写", "寫").replace("请", "請").replace("达", "達"), "wrong_script"),
        (f"译文：{RIGHT}", "leaked"),
        (f"<s0>艾达</s0>{RIGHT}", "leaked"),
        (f"**{RIGHT}**", "leaked"),
        (f"{RIGHT} You translate annotated sentences. Translate", "leaked"),
        ("In 1984 Ada moved to London with 12 friends; write to ada@x.org or www.x.org/ada.", "untranslated"),
        ("IN 1984 Ada moved to London, with 12 friends - write to ada@x.org or www.x.org/ada!", "untranslated"),
    ],
)  # fmt: skip
def test_each_loss_is_refused_by_name(mark, sentence, kind):
    assert _kind(mark, sentence, "艾达", "伦敦") == kind


def test_names_alone_may_stay_as_they_are(mark):
    assert _kind(mark, "Ada, 7", "Ada", source="[Ada|e0:Person], 7", languages=("en", "de")) is None
    assert _kind(mark, "1 + 1 = 2", source="1 + 1 = 2") is None


def test_marks_of_the_source_are_no_leak(mark):
    assert _kind(mark, "**你好，世界**", source="**Hello, world**") is None


def test_traditional_characters_where_they_are_asked_for(mark):
    for tag, sentence, kind in (
        ("zh-Hant", "她們搬到倫敦了。", None),
        ("zh-TW", "她们搬到伦敦了。", "wrong_script"),
        ("zh-Hans-SG", "她們搬到倫敦了。", "wrong_script"),
        ("ja", "彼女たちはロンドンへ。", None),
        ("ja", "她们搬到伦敦了。", "wrong_script"),
    ):
        assert _kind(mark, sentence, source="They moved there.", languages=("en", tag)) == kind


def test_what_may_be_right_is_noted(mark):
    record = mark(SOURCE)
    draft = Draft("1984年，Ada与朋友搬到伦敦", {"s0": "Ada", "s1": "伦敦"})
    assert notes(record, "zh", source_spans(record), draft) == {
        "lost_numbers": ["12"],
        "other_script": ["s0"],
    }


@pytest.mark.parametrize(
    ("source", "target", "lost"),
    [
        ("1,234,567 and 3.14", "1.234.567 und 3,14", []),
        ("1.5 million", "150万", []),
        ("3,500 in 1984", "三千五百，一九八四年", []),
        ("the 1980s", "20世纪80年代", []),
        ("early 2000s", "21世纪初", []),
        ("1984", "١٩٨٤", []),
        ("1984", "१९८४", []),
        ("１９８４年", "in 1984", []),
        ("1984 and 7", "1948", ["1984", "7"]),
    ],
)
def test_numbers_in_every_way_of_writing(source, target, lost):
    assert list(lost_numbers(source, target)) == lost


@given(st.integers(100, 10**12), st.sampled_from([",", ".", "\u202f", "’"]), st.sampled_from("0٠०০๐"))
def test_a_number_is_found_with_any_separator_and_in_any_digits(number, separator, zero):
    grouped = f"{number:,}".replace(",", separator)
    written = "".join(chr(ord(zero) + int(c)) if c.isdigit() else c for c in grouped)
    assert lost_numbers(str(number), f"x {written}.") == ()
    other = str(number + 1)
    if other.strip("0") != str(number).strip("0"):
        assert [is_long(lost) for lost in lost_numbers(other, f"x {number} y")] == [True]


def test_scripts_of_tags():
    tags = {
        "zh": "CJK",
        "zh-Hant": "CJK",
        "sr-Latn": "LATIN",
        "ru_RU": "CYRILLIC",
        "und": None,
        "EN": "LATIN",
    }
    assert {tag: script_of(tag) for tag in tags} == tags
    assert words_by_script("Ada s'en va 中国 नमस्ते") == {"LATIN": 4, "CJK": 2, "DEVANAGARI": 1}


def test_a_language_is_checked_where_an_identifier_is_given(mark):
    source, german = (
        "She moved there in spring with all of her many friends.",
        ("Sie zog im Frühling mit all ihren vielen Freunden dorthin."),
    )
    asked = []

    def identify(text):
        asked.append(text)
        return "de", 0.97

    for target, kind in (("es", "wrong_language"), ("de", None)):
        assert _kind(mark, german, source=source, languages=("en", target), identify=identify) == kind
    assert _kind(mark, "Ja.", source="Yes.", languages=("en", "es"), identify=identify) is None
    assert asked == [german] * 2


def test_the_identifier_knows_languages_or_says_how_to_install_it():
    try:
        import py3langid  # noqa: F401
    except ImportError:
        with pytest.raises(UsageError, match=r"kcx-jax\[langid\]"):
            load_identifier()
        return
    identify = load_identifier()
    assert identify("Sie zog im Frühling mit all ihren vielen Freunden dorthin.")[0] == "de"


# Of all pairs of a language, at most so many are refused; those of Chinese were looked at: most have lost something.
MOST_REFUSED = {"chinese": 17, "german": 1, "finnish": 1, "indonesian": 0, "bulgarian": 1}
TAGS = {"chinese": "zh", "german": "de", "finnish": "fi", "indonesian": "id", "bulgarian": "bg"}


@pytest.mark.parametrize("name", TAGS)
def test_real_translations_are_hardly_ever_refused(crossre, name):
    pairs = crossre(name, TAGS[name])
    refused = 0
    for pair in pairs:
        texts = {f"s{i}": mention.text for i, mention in enumerate(pair.target.entities)}
        try:
            check(pair.source, TAGS[name], source_spans(pair.source), Draft(pair.target.text, texts), None)
        except Refusal:
            refused += 1
    assert len(pairs) == (4351 if name == "chinese" else 431)
    assert refused <= MOST_REFUSED[name]
