"""Surfaces without offsets are lined up with the text."""

from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.corpora.readers.surfaces import Places, distance

SURFACES = st.text("ab ", min_size=1, max_size=3)


@given(st.text("ab ", max_size=40), SURFACES, SURFACES)
def test_the_chosen_pair_is_the_nearest_of_all(text, first, second):
    places = Places(text)
    pairs = [(one, two) for one in places.of(first) for two in places.of(second)]
    assert places.pair(first, second) == min(pairs, key=lambda p: (*distance(*p), *p), default=None)
    for start, end in places.of(first):
        assert text[start:end] == first
    assert bool(places.of(first)) == (first in text)


def test_a_whole_word_goes_before_a_part_of_one_in_scripts_with_spaces():
    places = Places("Romeo, Rome; 罗马人在罗马")
    assert (places.of("Rome"), places.of("Rom")) == ([(7, 11)], [(0, 3), (7, 10)])
    assert len(places.of("罗马")) == 2


def test_a_place_apart_goes_before_one_that_overlaps_the_partner():
    places = Places("北京大学在北京，北京")
    assert places.pair("北京", "北京大学") == ((5, 7), (0, 4))
    assert places.nearest("北京", (0, 4)) == (5, 7)
    assert Places("北京大学").pair("北京", "北京大学") == ((0, 2), (0, 4))
    assert Places("北京").pair("北京", "北京") == ((0, 2), (0, 2))


def test_no_place_begins_or_ends_between_a_letter_and_its_mark():
    assert Places("ka\u0301 ka").of("ka") == [(4, 6)]
    assert Places("กา กาา").of("กา") == [(0, 2), (3, 5)]
