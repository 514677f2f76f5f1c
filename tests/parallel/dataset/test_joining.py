"""Pairs out of two corpora: what is joined is the same thing on both sides, and nothing vanishes uncounted."""

import gzip
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.corpora import Mention, Record, RelationLink, read_records
from kcx_jax.errors import KcxError
from kcx_jax.parallel.dataset.joining import SetAside, join_corpora

TYPES = ("Person", "City")


def _record(language: str, kinds: list[str], links, id: str = "r", **meta) -> Record:
    """One character a mention; the relation's name says which one it is."""
    text = "".join(chr(ord("a" if language == "en" else "一") + i) for i in range(len(kinds))) + "."
    mentions = tuple(Mention(f"e{i}", kind, i, i + 1, text[i]) for i, kind in enumerate(kinds))
    return Record(id, language, text, mentions, tuple(RelationLink(*link) for link in links), meta=meta)


@st.composite
def _sides(draw):
    """A source, and a target whose entities and relations stand in another order, with the mapping."""
    kinds = draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=6))
    ends = st.integers(0, len(kinds) - 1)
    links = draw(st.lists(st.tuples(st.sampled_from(["Near", "Owns"]), ends, ends), max_size=4))
    order = draw(st.permutations(range(len(kinds))))
    turns = draw(st.permutations(range(len(links))))
    at = {number: place for place, number in enumerate(order)}
    source = _record("en", kinds, [(name, f"e{a}", f"e{b}") for name, a, b in links])
    target = _record(
        "zh",
        [kinds[i] for i in order],
        [(links[i][0], f"e{at[links[i][1]]}", f"e{at[links[i][2]]}") for i in turns],
        projected_from={"entities": list(order), "relations": list(turns)},
        source_labels={f"e{place}": f"label {number}" for place, number in enumerate(order)},
    )
    return source, target, order


@given(_sides())
def test_equal_ids_mean_the_same_thing(sides):
    source, target, order = sides
    aside = SetAside()
    (pair,) = join_corpora([source], [target], aside)
    pair.target.check()
    assert not aside.counts
    surfaces = {mention.id: mention.text for mention in pair.target.entities}
    assert surfaces == {f"e{number}": target.text[place] for place, number in enumerate(order)}
    assert sorted(map(repr, pair.target.relations)) == sorted(map(repr, source.relations))
    assert pair.target.meta["source_labels"] == {f"e{n}": f"label {n}" for n in order}
    assert "projected_from" not in pair.target.meta  # it numbered the entities as they were called before


def _broken(target: Record, **changes) -> Record:
    projected = target.meta["projected_from"] | changes
    return replace(target, meta=target.meta | {"projected_from": projected})


def _sound() -> tuple[Record, Record]:
    links = [("Near", "e0", "e1")]
    mapping = {"projected_from": {"entities": [0, 1], "relations": [0]}}
    return _record("en", ["Person", "City"], links), _record("zh", ["Person", "City"], links, **mapping)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: replace(t, meta={}), "do not say"),
        (lambda t: replace(t, meta={"projected_from": 3}), "do not say"),
        (lambda t: _broken(t, entities=[0, 0]), "different numbers"),
        (lambda t: _broken(t, entities=[0, -1]), "different numbers"),
        (lambda t: _broken(t, entities=[0, True]), "different numbers"),
        (lambda t: _broken(t, entities=[0, "1"]), "different numbers"),
        (lambda t: _broken(t, entities=[0, 9]), "entities that are not there"),
        (lambda t: _broken(t, entities=[0]), "entities that are not there"),
        (lambda t: _broken(t, entities=[1, 0]), "another type"),
        (lambda t: _broken(t, relations=[5]), "relations that are not there"),
        (lambda t: _broken(replace(t, relations=()), relations=[]), "relations lost"),
        (lambda t: replace(t, relations=(RelationLink("Owns", "e0", "e1"),)), "another one"),
        (lambda t: replace(t, relations=(RelationLink("Near", "e1", "e0"),)), "another one"),
        (lambda t: _broken(replace(t, entities=t.entities[:1], relations=()), entities=[0]), "entities lost"),
        (
            lambda t: replace(t, entities=(t.entities[0], replace(t.entities[1], start=0, end=1, text="一"))),
            "one place",
        ),
        (lambda t: replace(t, language="en"), "both sides"),
    ],
)
def test_what_cannot_be_paired_is_counted(change, reason):
    source, target = _sound()
    aside = SetAside()
    assert len(join_corpora([source], [target], aside)) == 1
    assert join_corpora([source], [change(target)], aside) == []
    assert aside.counts.total() == 1
    (line,) = aside.lines()
    assert reason in line
    assert line.endswith("such as r")


def test_records_of_one_side_alone_are_counted_and_ids_are_unique():
    source, target = _sound()
    aside = SetAside()
    others = [replace(source, id=f"en{n}") for n in range(5)]
    assert len(join_corpora([source, *others], [replace(target, id="zh"), target], aside)) == 1
    assert aside.counts == {"source records without a target": 5, "target records without a source": 1}
    assert aside.examples["source records without a target"] == ["en0", "en1", "en2"]
    with pytest.raises(KcxError, match="two target records have the id 'r'"):
        join_corpora([source], [target, target], aside)


def test_real_corpora_against_their_raw_files(shared):
    """CrossRE in English and Chinese: the mapping is read from the raw files here, not through the reader."""
    english, chinese = shared / "data/re/crossre_en", shared / "data/re/multi_crossre/chinese"
    files = sorted(english.glob("*.json"))
    aside, made, rows = SetAside(), 0, 0
    for file in files:
        packed = chinese / f"{file.name}.gz"
        raw = {row["doc_key"]: row for row in map(json.loads, file.read_text().splitlines())}
        with gzip.open(packed, "rt") as handle:
            other = {row["doc_key"]: row for row in map(json.loads, handle)}
        pairs = join_corpora(
            read_records(file, "crossre", "en"), read_records(packed, "crossre", "zh"), aside
        )
        made, rows = made + len(pairs), rows + len(raw)
        for pair in pairs:
            source, target = raw[pair.id], other[pair.id]
            words, places = target["sentence"], target["token2charspan"]
            expected = {}
            for (first, last, _), number in zip(target["ner"], target["ner_mapping_to_source"], strict=True):
                expected[f"e{number}"] = (places[first][0], places[last][1])
                assert words[first] == pair.target.text[slice(*places[first])]
            assert {m.id: (m.start, m.end) for m in pair.target.entities} == expected
            assert len(expected) == len(source["ner"])
            assert len(pair.target.relations) == len(source["relations"])
    assert (made, rows) == (4176, 4351)
    assert aside.counts.total() == rows - made
