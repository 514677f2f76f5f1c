"""Windows cover the text, overlap as they should, and cut nothing that one sees as one."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kcx_jax.errors import UsageError
from kcx_jax.extraction import Window
from kcx_jax.extraction.graphemes import is_border
from kcx_jax.extraction.windows import cut

# What clusters are made of, in no order that makes sense; and what sentences end in.
_PIECES = st.sampled_from(
    [
        "a", "é", "e\u0301", "\u0301", "\r\n", "\n", "\r", "\u200d", "👩\u200d👩\u200d👧", "🏽", "👍🏽", "🇩", "🇪", "🇩🇪",
        "क", "क्ष", "\u094d", "ത", "\u0d3f", "ก", "กำ", "ำ", "\u0e49", "각", "ᄀ", "ᅡ", "ᆨ", "\u0600", "١", "\u200c", "ｶ",
        "ﾞ", "中", "。", "」", ".", "!", "؟", "।", "“", "”", "1\ufe0f\u20e3", "🏴\U000e0067\U000e007f", "\u2029",
        "\u0d4e", " ", "\t", "\u200b", "\u3000",
    ]
)  # fmt: skip
_TEXTS = st.lists(_PIECES, max_size=60).map("".join)


def _windows(size):
    return st.builds(Window, st.just(size), st.integers(0, size // 2))


@settings(deadline=None, max_examples=300)
@given(_TEXTS, st.integers(1, 80).flatmap(_windows))
@example("\r\n" * 30, Window(3, 1))
@example("🇩🇪" * 30, Window(7, 3))
def test_every_cut_is_a_border_of_grapheme_clusters(text, window):
    regex = pytest.importorskip("regex")
    borders = {0, *(found.end() for found in regex.finditer(r"\X", text))}
    # Ours are fewer: some clusters of Unicode stay together with the next.
    ours = [place for place in range(len(text) + 1) if is_border(text, place)]
    assert set(ours) <= borders
    longest = max((after - before for before, after in pairwise(ours)), default=0)
    if 4 * longest <= window.size:
        assert {place for span in cut(text, window, len) for place in span} <= borders


@settings(deadline=None)
@given(_TEXTS, st.integers(1, 30).flatmap(_windows))
@example("aae\u0301", Window(2, 1))
def test_windows_cover_the_text_and_what_is_no_longer_than_their_overlap(text, window):
    spans = cut(text, window, len)
    assert (spans[0][0], spans[-1][1]) == (0, len(text))
    assert all(end - start <= window.size for start, end in spans)
    for (start, end), (following, last) in pairwise(spans):
        assert start < following <= end < last
    assert len(spans) == 1 or len(text) > window.size
    # As far as a cluster did not get into the way, which takes one that is longer than what a border may be off.
    if text.isascii():
        for start in range(len(text) - window.overlap + 1):
            assert any(a <= start and start + window.overlap <= b for a, b in spans)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("One two. Three four.\n\nFive six. Seven eight", "One two. Three four.\n\n"),
        ("One two. Three four.\r\n \r\nFive six. Seven", "One two. Three four.\r\n \r\n"),
        ("Headlines have no full stop\r\nDr Who is one of these", "Headlines have no full stop\r\n"),
        ('He said: "No." She said that it was no good idea', 'He said: "No." '),
        (
            "今天天气很好，我们去公园。明天要下雨，我们不去了吧，你说呢，好不好呀",
            "今天天气很好，我们去公园。",
        ),
        (
            "他说：「今天天气真的是很不错的。」她不这么想，我们也不这么想，不是吗",
            "他说：「今天天气真的是很不错的。」",
        ),
        ("هل أنت هناك يا صديقي العزيز؟ نعم أنا هنا منذ زمن", "هل أنت هناك يا صديقي العزيز؟ "),
        ("मैं घर जा रहा हूँ आज शाम को। तुम कब आओगे यहाँ पर", "मैं घर जा रहा हूँ आज शाम को। "),
        ("ผมกลับบ้านเมื่อวานนี้ตอนเย็น แล้วเขาก็มาหาผมที่บ้าน", "ผมกลับบ้านเมื่อวานนี้ตอนเย็น "),
        ("ဒီနေ့ ရာသီဥတု ကောင်းတယ်။ မနက်ဖြန် မိုးရွာမယ်", "ဒီနေ့ ရာသီဥတု ကောင်းတယ်။ "),
        ("Only 3.14159 here then Pneumonoultramicroscopic", "Only 3.14159 here then "),
    ],
)
def test_the_best_border_near_the_end_is_taken(text, left):
    size = max(len(left) + 3, 4 * len(left) // 3 - 3)
    size = min(size, len(text) - 1)
    assert text[slice(*cut(text, Window(size, 0), len)[0])] == left


def test_a_long_run_without_any_border_is_cut_in_time():
    """A search that goes back and forth over the whole of it would run into the time that a test has."""
    for unit in ("a", ".", "。", '"', ".)", "\n", " ", "\r", "e\u0301", "🇩", "\u0301", "\u200d", "क्"):
        text = unit * (400_000 // len(unit))
        spans = cut(text, Window(1000, 200), len)
        assert spans[-1][1] == len(text)
        assert sum(end - start for start, end in spans) < 2 * len(text)


@settings(deadline=None)
@given(_TEXTS.map(lambda text: text * 20), st.sampled_from([None, Window(40, 10)]), st.integers(15, 60))
def test_windows_become_smaller_where_a_model_has_no_room(text, window, tokens):
    """A model whose tokens are bytes: each window fits, and no more is counted than a few times the text."""
    counted = []

    def fit(piece):
        size = len(piece.encode())
        counted.append(size)
        return len(piece) if size <= tokens else max(1, int(0.9 * len(piece) * tokens / size))

    spans = cut(text, window, fit)
    assert (0, len(text)) == (spans[0][0], spans[-1][1])
    assert all(len(text[a:b].encode()) <= tokens for a, b in spans)
    assert sum(counted) <= 12 * (len(text.encode()) + tokens)


def test_windows_that_cannot_be_are_refused():
    for size, overlap in ((0, 0), (10, 6), (10, -1)):
        with pytest.raises(UsageError, match="characters"):
            Window(size, overlap)
    assert Window.of(None, None) is None
    assert Window.of(300, None) == Window(300, 60)
    with pytest.raises(UsageError, match="without windows"):
        Window.of(None, 10)
