"""Equal content is found whatever it is called; anything that differs in content is not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.corpora import Mention, ParallelRecord, Record, RelationLink
from kcx_jax.errors import KcxError
from kcx_jax.parallel.dataset.leaks import refuse_leaks
from kcx_jax.parallel.runs.duplicates import duplicates

MENTIONS = [("Person", 0, 3), ("City", 0, 3), ("City", 4, 9), ("Person", 4, 9)]


def _record(id: str, names: list[str], order: list[int], links=((0, 2), (2, 1))) -> Record:
    text = "Ada Paris"
    mentions = [Mention(names[i], *MENTIONS[i], text[MENTIONS[i][1] : MENTIONS[i][2]]) for i in order]
    relations = tuple(RelationLink("Near", names[a], names[b]) for a, b in links)
    return Record(id, "en", text, tuple(mentions), relations)


@given(st.permutations(range(4)), st.permutations(["a", "b", "c", "d"]), st.booleans())
def test_names_and_order_do_not_matter(order, names, turned):
    plain = _record("r0", ["e0", "e1", "e2", "e3"], [0, 1, 2, 3])
    other = _record("r1", names, order, ((2, 1), (0, 2)) if turned else ((0, 2), (2, 1)))
    assert duplicates([plain, other, replace(plain, id="r2", meta={"x": 1})]) == {"r1": "r0", "r2": "r0"}


@pytest.mark.parametrize(
    "change",
    [
        lambda r: replace(r, text="Ada Milan", entities=(), relations=()),
        lambda r: replace(r, language="de"),
        lambda r: replace(r, entities=r.entities[:3]),
        lambda r: replace(r, relations=None),
        lambda r: replace(r, relations=(), events=()),
        lambda r: replace(r, relations=(RelationLink("Near", "e2", "e0"), r.relations[1])),
        lambda r: replace(r, entities=(replace(r.entities[0], type="Group"), *r.entities[1:])),
    ],
)
def test_other_content_is_no_duplicate(change):
    record = _record("r0", ["e0", "e1", "e2", "e3"], [0, 1, 2, 3])
    assert duplicates([record, replace(change(record), id="r1")]) == {}


def test_arguments_of_events_count(pairs):
    one, same = pairs[0].source, replace(pairs[0].source, id="again")
    event = one.events[0]
    turned = replace(one, id="turned", events=(replace(event, arguments=event.arguments[::-1]),))
    fewer = replace(one, id="fewer", events=(replace(event, arguments=event.arguments[:1]),))
    assert duplicates([one, same, turned, fewer]) == {"again": one.id, "turned": one.id}


def test_a_test_sentence_on_either_side_is_refused(pairs):
    apart = Record("t0", "en", "Another sentence.")
    refuse_leaks(pairs[:5], [apart], "test.jsonl")
    for side in (pairs[3].source, pairs[3].target):
        test = [apart, Record("t1", side.language, side.text.upper().replace(" ", ""))]
        with pytest.raises(KcxError, match=r"1 of 2 sentences of test.jsonl .*t1 is in r3"):
            refuse_leaks(pairs[:5], test, "test.jsonl")
        refuse_leaks([ParallelRecord("x", apart, apart)], test[1:], "test.jsonl")
