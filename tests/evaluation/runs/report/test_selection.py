"""Which sentences a page holds: within its room, none twice, and no kind of error crowded out."""

from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.evaluation.runs.report.selection import TRIES, Entry, chosen, lot
from kcx_jax.scoring.errors import KINDS

GROUPS = [("a", "ner"), ("b", "ner"), ("b", "re")]
few_kinds = st.frozensets(st.sampled_from(list(KINDS)), max_size=3)
sizes = st.lists(st.tuples(few_kinds, st.sampled_from(GROUPS), st.integers(1, 40)), max_size=40)


def entries_of(drawn):
    return [Entry(n, group, kinds, lot(str(n))) for n, (kinds, group, _) in enumerate(drawn)]


def strata(entry):
    return entry.kinds - {"right"} or {"right"}


@given(sizes, st.integers(0, 400))
def test_the_room_is_held_and_none_comes_twice(drawn, room):
    found = chosen(entries_of(drawn), room, lambda entry: "é" * drawn[entry.offset][2])
    assert sum(2 * drawn[entry.offset][2] for entry, _ in found) <= room
    offsets = [entry.offset for entry, _ in found]
    assert offsets == sorted(set(offsets))
    assert all(made == "é" * drawn[entry.offset][2] for entry, made in found)


@given(sizes)
def test_with_room_enough_all_are_there(drawn):
    assert len(chosen(entries_of(drawn), 10**6, lambda entry: "x" * drawn[entry.offset][2])) == len(drawn)


@given(sizes)
def test_every_kind_has_its_sentence_where_each_has_room_for_one(drawn):
    entries = entries_of(drawn)
    there = set().union(*map(strata, entries)) if entries else set()
    found = chosen(entries, len(there), lambda entry: "x")
    assert set().union(*(strata(entry) for entry, _ in found)) == there if found else not there


def test_the_rare_are_not_crowded_out_by_the_many():
    entries = [Entry(n, GROUPS[0], frozenset({"missed"}), lot(str(n))) for n in range(1000)]
    entries += [
        Entry(2000, GROUPS[1], frozenset({"missed"}), 2**64),
        Entry(2001, GROUPS[2], frozenset(), 2**64),
    ]
    entries += [Entry(2002, GROUPS[0], frozenset({"unparsable", "missed"}), 2**64)]
    found = {entry.offset for entry, _ in chosen(entries, 6, lambda entry: "x")}
    assert {2000, 2001, 2002} <= found
    assert len(found) == 6


def test_long_sentences_do_not_end_a_kind_at_once_and_do_so_at_last():
    entries = [Entry(n, GROUPS[0], frozenset({"missed"}), n) for n in range(TRIES + 30)]
    tried = []

    def made(entry):
        tried.append(entry.offset)
        return "x" * (2 if entry.offset == TRIES - 1 else 99)

    assert [entry.offset for entry, _ in chosen(entries, 50, made)] == [TRIES - 1]
    assert len(tried) == TRIES + 1
