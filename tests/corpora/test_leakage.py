"""Leakage, counted by hand; near-duplicates beside the exact Jaccard index."""

import random
import tracemalloc
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import Mention, Record, leakage
from kcx_jax.corpora import near as near
from kcx_jax.corpora.near import PERMUTATIONS, RECALL, NearIndex, choose_bands, jaccard
from kcx_jax.errors import UsageError

MinHash = pytest.importorskip("datasketch").MinHash
TEXTS = st.text("abAＡ ", max_size=8) | st.sampled_from(["the cat sat on the mat", "the cat sat on a mat"])


def changed(text, alphabet, rng):
    """The text with one or two characters replaced."""
    characters = list(text)
    for place in rng.sample(range(len(text)), rng.randint(1, 2)):
        characters[place] = rng.choice(alphabet)
    return "".join(characters)


def record(id, text, *surfaces):
    mentions = [
        Mention(f"e{i}", "X", text.index(s), text.index(s) + len(s), s) for i, s in enumerate(surfaces)
    ]
    return Record(id, "en", text, tuple(mentions))


def test_shares_by_hand():
    train = [record("1", "Ada met Bob .", "Ada", "Bob"), Record("2", "en", "Eve slept.")]
    test = [
        record("1", "ada met Bob.", "ada", "Bob"),  # seen but for spacing and case
        record("2", "Ada met Eve.", "Ada", "Eve"),  # Eve is in training, but not as a mention
        Record("3", "en", "Ｅve  slept."),  # full width
    ]
    found = leakage(train, test)
    assert (found.sentences.seen, found.sentences.total) == (2, 3)
    assert (found.mentions.seen, found.mentions.total) == (3, 4)
    assert (found.names.seen, found.names.total) == (2, 3)
    assert found.mentions.examples == ("ada", "Bob", "Ada")
    assert found.mentions.fraction == 0.75
    assert leakage([], []).sentences.fraction == 0


def test_a_label_is_a_surface_with_its_type():
    train = [Record("1", "en", "Ada", (Mention("e0", "Y", 0, 3, "Ada"),))]
    found = leakage(train, [record("1", "Ada met Ada", "Ada")])
    assert (found.mentions.seen, found.labels.seen, found.labels.total) == (1, 0, 1)
    assert leakage(train, train).labels.seen == 1


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=12), st.lists(TEXTS, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_training_does_not_matter_and_same_sentences_are_always_found(train, test, random):
    records = [Record(str(i), "en", text) for i, text in enumerate(train)]
    found = leakage(records, tests := [Record(str(i), "en", text) for i, text in enumerate(test)], near=0.5)
    random.shuffle(records)
    assert leakage(records, tests, near=0.5) == found
    same = {"".join(unicodedata.normalize("NFKC", text).casefold().split()) for text in train}
    expected = sum("".join(unicodedata.normalize("NFKC", t).casefold().split()) in same for t in test)
    assert found.sentences.seen == expected
    assert len(found.duplicates) == found.sentences.seen + found.near.seen


def test_of_several_partners_the_most_similar_is_shown():
    text = "the ferry to the northern islands leaves at seven in the morning"
    train = [Record("far", "en", text + " on most days"), Record("close", "en", text + " now")]
    (duplicate,) = leakage(train, [Record("t", "en", text)], near=0.7).duplicates
    assert (duplicate.train_id, duplicate.test_id) == ("close", "t")
    assert 0.7 <= duplicate.similarity < 1


@pytest.mark.parametrize("alphabet", ["etaoinshrdlu ", "的一是在不了有和人这中大为上个国我以要他时来用们"])
def test_planted_near_duplicates_are_found_and_strangers_are_not(alphabet):
    rng = random.Random(1)
    test = ["".join(rng.choices(alphabet, k=rng.randint(20, 120))) for _ in range(600)]
    planted = [changed(text, alphabet, rng) for text in test[:400]]
    strangers = ["".join(rng.choices(alphabet, k=80)) for _ in range(2000)]
    index = NearIndex(test, threshold=0.8)
    found = {(asked, known) for asked, known, _ in index.query(planted)}
    near = {(i, i) for i in range(400) if jaccard(planted[i], test[i], 4) >= 0.8}
    assert len(near) > 200
    assert len(near & found) >= RECALL * len(near)
    assert all(jaccard(planted[asked], test[known], 4) >= 0.8 for asked, known in found)
    assert not list(index.query(strangers))


def test_signatures_are_those_of_datasketch():
    index = NearIndex(["seed"])
    texts = ["", "a", "abcd", "abcde" * 9, "李白来自四川江油", "\ud800x"]
    hashes, starts = near._shingle_hashes(texts, index.size)
    for row, own in zip(index.signatures(texts), np.split(hashes, starts[1:]), strict=True):
        one = MinHash(index.bands * index.rows, seed=1, hashfunc=int)
        one.update_batch(own)
        assert (row == one.hashvalues).all()


@given(st.floats(0.05, 1))
def test_bands_keep_the_recall_at_the_threshold(threshold):
    bands, rows = choose_bands(threshold)
    assert bands * rows <= PERMUTATIONS
    assert 1 - (1 - threshold**rows) ** bands >= RECALL


def test_memory_does_not_grow_with_the_training_set():
    test = [Record(str(i), "en", f"sentence number {i} of the test set") for i in range(200)]

    def peak(count):
        tracemalloc.start()
        leakage(
            (Record(str(i), "en", f"{i} quite another text {i * 7}") for i in range(count)), test, near=0.8
        )
        _, top = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return top

    peak(2_000)
    assert peak(20_000) < 1.2 * peak(4_000)


@pytest.mark.parametrize(("threshold", "size"), [(0, 4), (1.5, 4), (float("nan"), 4), (0.8, 0)])
def test_options_out_of_range_are_refused(threshold, size):
    with pytest.raises(UsageError):
        leakage([], [], near=threshold, size=size)
