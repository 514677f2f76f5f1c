"""Where surfaces stand: verbatim, after NFC, and how the places are ranked."""

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.scoring.places import Place, Places, gap

ALPHABET = st.text(st.sampled_from("aé\u0301eå\u030a한\u1112\u1161\u11ab李b 😀\u09c7\u09be"), max_size=14)


def found(text, surface, *others):
    return [
        (place.start, place.end, place.rank) for place in Places(text, [surface, *others])[surface].places
    ]


@settings(deadline=None)
@given(ALPHABET, ALPHABET)
def test_a_place_equals_the_surface_in_nfc_and_none_is_missed(text, surface):
    normal = unicodedata.normalize("NFC", surface)
    places = Places(text, [surface])[surface].places
    for place in places:
        assert unicodedata.normalize("NFC", text[place.start : place.end]) == normal
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            piece = text[start:end]
            alone = unicodedata.normalize("NFC", text) == "".join(
                unicodedata.normalize("NFC", part) for part in (text[:start], piece, text[end:])
            )
            if surface and (piece == surface or (alone and unicodedata.normalize("NFC", piece) == normal)):
                assert any(gap(Place(start, end), place) == 0 for place in places)


def test_verbatim_comes_before_nfc():
    assert found("cafe\u0301 café", "café") == [(0, 5, 4), (6, 10, 0)]
    assert found("cafe\u0301", "café") == [(0, 5, 4)]
    assert found("café", "cafe\u0301") == [(0, 4, 4)]
    assert found("\u1112\u1161\u11ab", "한") == [(0, 3, 4)]
    assert found("cafe\u0301", "cafe") == [(0, 4, 2)]  # cuts the letter from its accent
    assert found("q\u0303 cafe\u0301", "q") == [(0, 1, 2)]  # no composed letter, but no whole one either


def test_nothing_looser_counts():
    for text, surface in (("ada", "Ada"), ("A da", "Ada"), ("Ａda", "Ada"), ("Ada", "Ada "), ("Ada", "")):
        assert found(text, surface) == []


def test_a_place_that_cuts_a_word_ranks_behind():
    assert found("Italian Ali", "Ali") == [(8, 11, 0)]
    assert found("USA, US", "US") == [(0, 2, 2), (5, 7, 0)]
    assert found("US2 US", "US") == [(0, 2, 2), (4, 6, 0)]
    assert found("李白来李白", "李白") == [(0, 2, 0), (3, 5, 0)]
    assert found("发现Riddick在", "Riddick") == [(2, 9, 0)]
    assert found("हिन्दी हि", "हि") == [(0, 2, 2), (7, 9, 0)]
    assert found("ไทยไทย", "ไทย") == [(0, 3, 0), (3, 6, 0)]
    assert [place.cuts_word for place in Places("USA US", ["US"])["US"].places] == [True, False]


def test_a_place_inside_a_longer_one_ranks_behind():
    text = "New York University in York"
    assert found(text, "York", "New York University") == [(4, 8, 1), (23, 27, 0)]
    assert found(text, "York") == [(4, 8, 0), (23, 27, 0)]
    assert found(text, "York", "York University") == [(4, 8, 1), (23, 27, 0)]
    assert found(text, "University", "York University") == [(9, 19, 1)]


def test_the_nearest_place_is_the_best_ranked_then_the_closest():
    spots = Places("US x USA x US x US", ["US"])["US"]
    anchor = Place(6, 7)
    assert spots.nearest(anchor).span == (0, 2)
    assert spots.nearest(anchor, {spots.places[0]}).span == (11, 13)
    assert spots.nearest(anchor, {p for p in spots.places if not p.cuts_word}).span == (5, 7)
    assert spots.nearest(anchor, set(spots.places)) is None
    assert [place.start for place in spots.plainest_first()] == [0, 11, 16, 5]


@settings(deadline=None)
@given(
    st.text(st.sampled_from("ab "), max_size=30), st.integers(0, 29), st.sets(st.integers(0, 29), max_size=4)
)
def test_nearest_agrees_with_looking_at_all(text, position, taken_starts):
    spots = Places(text, ["a"])["a"]
    taken = {place for place in spots.places if place.start in taken_starts}
    anchor = Place(position, position + 1)
    free = [place for place in spots.places if place not in taken]
    expected = min(free, key=lambda p: (p.rank, gap(p, anchor), p.start), default=None)
    assert spots.nearest(anchor, taken) == expected
