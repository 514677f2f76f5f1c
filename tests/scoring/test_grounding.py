"""Answers found again in the text."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.errors import UsageError
from kcx_jax.schema import Entity, Event, Problem, Relation
from kcx_jax.scoring import Unresolved, ground


class Person(Entity):
    pass


class City(Entity):
    pass


class BirthPlace(Relation):
    pass


class Near(Relation):
    pass


class Attack(Event):
    pass


def entities(text, *instances):
    """(type, start) of what was found, and the surfaces that were not."""
    grounded = ground(instances, text, task="ner")
    return [(m.type, m.start) for m in grounded.record.entities], [u.text for u in grounded.unresolved]


def links(text, *instances):
    grounded = ground(instances, text, task="re")
    starts = {m.id: m.start for m in grounded.record.entities}
    found = [(r.type, starts[r.head], starts[r.tail]) for r in grounded.record.relations]
    return found, [u.text for u in grounded.unresolved]


def events(text, *instances, task="eae"):
    record = ground(instances, text, task=task).record
    starts = {m.id: m.start for m in record.entities or ()}
    return [
        (e.trigger.start, [(a.role, starts[a.entity] if a.entity else a.start) for a in e.arguments])
        for e in record.events
    ]


def links_at(pair, text, *instances):
    record = ground(instances, text, task="re", pair=pair).record
    starts = {m.id: m.start for m in record.entities}
    return [(r.type, starts[r.head], starts[r.tail]) for r in record.relations]


def test_a_relation_between_the_given_pair_stands_at_its_places():
    text = "Ada, Bob, Ada, Bob, Eve"
    given = (0, 3), (15, 18)
    forth, back = Near(Person("Ada"), Person("Bob")), Near(Person("Bob"), Person("Ada"))
    assert links_at(given, text, forth) == [("Near", 0, 15)]
    assert links_at(given, text, back) == [("Near", 15, 0)]
    assert links_at(None, text, forth) == [("Near", 0, 5)]
    # Equal relations stand at different places, one of them at the pair's; others are found as ever.
    assert sorted(links_at(given, text, forth, forth)) == [("Near", 0, 15), ("Near", 10, 5)]
    assert links_at(((10, 13), (5, 8)), text, forth, forth) == links_at(None, text, forth, forth)
    other = Near(Person("Ada"), Person("Eve"))
    assert links_at(given, text, other, forth) == [("Near", 0, 15), ("Near", 10, 20)]
    assert links_at(given, text, Near(Person("Cid"), Person("Bob"))) == []


def test_a_pair_is_found_in_any_normal_form_and_where_its_mentions_are_equal():
    text = "Zoe\u0308, Bob, Zoe\u0308"
    assert links_at(((11, 15), (6, 9)), text, Near(Person("Zo\xeb"), Person("Bob"))) == [("Near", 11, 6)]
    assert links_at(((4, 7), (8, 11)), "Ada Ada Ada", Near(Person("Ada"), Person("Ada"))) == [("Near", 4, 8)]


@given(st.lists(st.sampled_from("ab"), min_size=2, max_size=6), st.data())
def test_any_pair_comes_back(words, data):
    text = " ".join(words)
    first, second = data.draw(st.permutations(range(len(words))))[:2]
    given_pair = tuple((2 * i, 2 * i + 1) for i in (first, second))
    relation = Near(Person(words[first]), Person(words[second]))
    assert ("Near", 2 * first, 2 * second) in links_at(
        given_pair, text, *[relation] * data.draw(st.integers(1, 3))
    )


def test_tails_of_one_head_come_in_the_order_of_the_text():
    text = "Bob, Ada, Cid, Bob"
    bob, cid = Near(Person("Ada"), Person("Bob")), Near(Person("Ada"), Person("Cid"))
    assert links(text, bob, cid)[0] == [("Near", 5, 0), ("Near", 5, 10)]
    assert links(text, cid, bob)[0] == [("Near", 5, 10), ("Near", 5, 15)]
    assert links(text, cid, bob, bob)[0] == [("Near", 5, 0), ("Near", 5, 10), ("Near", 5, 15)]


def test_fillers_of_one_role_come_in_the_order_of_the_text():
    text = "Bob, hit, Cid, Bob"
    assert events(text, Attack("hit", who=["Bob", "Cid"])) == [(5, [("who", 0), ("who", 10)])]
    assert events(text, Attack("hit", who=["Cid", "Bob"])) == [(5, [("who", 10), ("who", 15)])]
    assert events(text, Attack("hit", who=["Cid"], by=["Bob"])) == [(5, [("by", 0), ("who", 10)])]
    assert events(text, Attack("hit", who=["Bob", "Bob"])) == [(5, [("who", 0), ("who", 15)])]


def test_the_kth_repeated_item_takes_the_kth_occurrence():
    text = "Paris met Paris in Paris."
    assert entities(text, Person("Paris"), Person("Paris"), City("Paris")) == (
        [("Person", 0), ("Person", 10), ("City", 19)],
        [],
    )
    four = [Person("Paris")] * 4
    assert entities(text, *four) == ([("Person", 0), ("Person", 10), ("Person", 19)], ["Paris"])


def test_order_decides_between_occurrences():
    text = "Rome, London, Rome, Oslo, Rome"
    assert entities(text, City("London"), City("Rome"), City("Oslo"))[0] == [
        ("City", 6),
        ("City", 14),
        ("City", 20),
    ]
    assert entities(text, City("Rome"), City("London"))[0] == [("City", 0), ("City", 6)]


def test_one_item_out_of_order_does_not_move_the_others():
    text = "Rome, London, Oslo, Rome, Bern, London"
    found, lost = entities(text, City("Bern"), City("Rome"), City("London"), City("Oslo"))
    assert ([start for _, start in found], lost) == ([0, 6, 14, 26], [])


def test_nested_mentions_and_two_types_of_one_span():
    assert entities("Bank of London", City("Bank of London"), City("London"))[0] == [("City", 0), ("City", 8)]
    assert entities("Ada", Person("Ada"), City("Ada")) == ([("City", 0), ("Person", 0)], [])
    twice = [Person("Ada"), City("Ada"), Person("Ada"), City("Ada")]
    assert entities("Ada, Ada", *twice) == ([("City", 0), ("Person", 0), ("City", 5), ("Person", 5)], [])


def test_whole_words_and_places_outside_longer_items_are_preferred():
    assert entities("Italian Ali", Person("Ali"))[0] == [("Person", 8)]
    text = "New York University is in York"
    assert entities(text, City("New York University"), City("York"))[0] == [("City", 0), ("City", 26)]


def test_what_is_not_in_the_text_is_kept_and_told():
    grounded = ground([Person("ada"), Person("Ada"), Near(Person("a"), Person("b"))], "Ada", task="ner")
    assert [m.text for m in grounded.record.entities] == ["Ada"]
    assert set(grounded.unresolved) == {
        Unresolved("ner", "Person", "ada"),
        Unresolved("ner", "Near", "a -> b"),
    }
    assert {"task": "ner", "type": "Person", "text": "ada"} in grounded.record.meta["unresolved"]
    assert ground([], "Ada", task="ner").record.meta == {}


def test_problems_of_the_answer_travel_with_the_record():
    problems = [Problem("unknown_class", "Ship", 1)]
    record = ground([], "Ada", task="ed", id="7", language="en", problems=problems).record
    assert (record.id, record.language) == ("7", "en")
    expected = {"task": "ed", "kind": "unknown_class", "detail": "Ship", "position": 1}
    assert record.meta == {"parse_problems": [expected]}


def test_relations_take_the_nearest_pair_and_heads_keep_their_order():
    text = "Ada and Bob. Ada was born in Rome, Bob in Oslo."
    born = [BirthPlace(Person("Ada"), City("Rome")), BirthPlace(Person("Bob"), City("Oslo"))]
    assert links(text, *born) == ([("BirthPlace", 13, 29), ("BirthPlace", 35, 42)], [])


def test_relations_of_one_head_share_it_and_equal_relations_do_not_share_their_pair():
    assert links("Ada: Bob, Eve", Near(Person("Ada"), Person("Bob")), Near(Person("Ada"), Person("Eve"))) == (
        [("Near", 0, 5), ("Near", 0, 10)],
        [],
    )
    pair = Near(Person("Ada"), Person("Bob"))
    assert links("Ada near Bob. Much later: Ada near Bob", pair, pair)[0] == [
        ("Near", 0, 9),
        ("Near", 26, 35),
    ]
    assert links("Ada near Bob, Bob", pair, pair, pair) == ([("Near", 0, 9), ("Near", 0, 14)], ["Ada -> Bob"])


def test_a_relation_needs_both_ends_apart():
    self_loop = Near(Person("Ada"), Person("Ada"))
    assert links("Ada", self_loop) == ([], ["Ada -> Ada"])
    assert links("Ada, Ada", self_loop) == ([("Near", 0, 5)], [])
    assert links("Ada", Near(Person("Ada"), Person("Bob"))) == ([], ["Ada -> Bob"])


def test_arguments_stand_near_their_trigger_and_choose_it():
    text = "The attack failed. In May Ada led an attack on Bob in May."
    found = events(text, Attack("attack", leader=[Person("Ada")], target=[Person("Bob")], time=["May"]))
    assert found == [(37, [("leader", 26), ("target", 47), ("time", 54)])]


def test_equal_arguments_of_a_role_stand_apart_and_one_may_be_the_trigger():
    assert events("Ada, Ada attack", Attack("attack", leader=[Person("Ada"), Person("Ada")])) == [
        (9, [("leader", 0), ("leader", 5)])
    ]
    assert events("An attack", Attack("attack", what=["attack"])) == [(3, [("what", 3)])]


def test_events_share_a_trigger_when_they_must():
    two = [Attack("attack", leader=[Person("Ada")]), Attack("attack", leader=[Person("Bob")])]
    assert [start for start, _ in events("Ada and Bob attack", *two)] == [12, 12]
    assert [
        start for start, _ in events("attack, attack", Attack("attack"), Attack("attack"), task="ed")
    ] == [0, 8]


def test_what_of_an_event_is_lost():
    event = Attack("attack", leader=[Person("Ada")], time=["May"])
    assert ground([event], "An attack by Ada", task="eae").unresolved == (
        Unresolved("eae", "Attack", "May", "time"),
    )
    assert ground([event], "Ada in May", task="eae").unresolved == (
        Unresolved("eae", "Attack", "Ada", "leader"),
        Unresolved("eae", "Attack", "May", "time"),
    )
    assert ground([event], "Ada", task="ed").unresolved == (Unresolved("ed", "Attack", "attack"),)


def test_offsets_are_code_points_of_the_original_text():
    text = "😀 Cafe\u0301 李白"
    record = ground([City("Café"), Person("李白")], text, task="ner").record
    assert [(m.start, m.end, m.text) for m in record.entities] == [(2, 7, "Cafe\u0301"), (8, 10, "李白")]
    record.check()


def test_an_unknown_task_is_refused():
    with pytest.raises(UsageError, match="known: ner"):
        ground([], "", task="pos")


WORDS = st.lists(
    st.sampled_from(["Ada", "Bob", "Al", "Ali", "李", "白", "李白", "e\u0301", "é", "."]), max_size=12
)


@settings(deadline=None)
@given(WORDS, st.lists(st.sampled_from(["Ada", "Bob", "Al", "李", "李白", "é", "?"]), max_size=8))
def test_any_answer_gives_a_sound_record_that_accounts_for_every_item(words, surfaces):
    text = " ".join(words)
    people = [Person(surface) for surface in surfaces]
    pairs = [Near(a, b) for a, b in pairwise(people)]
    attacks = [Attack(p.text, who=[p, p.text], time=[p.text]) for p in people]
    for task, instances, per_item in (
        ("ner", people, 1),
        ("re", pairs, 1),
        ("ed", attacks, 1),
        ("eae", attacks, 3),
    ):
        grounded = ground(instances, text, task=task)
        record = grounded.record
        record.check()
        layer = {"ner": record.entities, "re": record.relations}.get(task, record.events)
        kept = sum(len(event.arguments) for event in layer) if task == "eae" else len(layer)
        assert kept + len(grounded.unresolved) == per_item * len(instances)
        assert len(set(record.entities or ())) == len(record.entities or ())


@pytest.mark.timeout(240)  # seconds, not the hours of trying every item at every place
def test_five_thousand_items_in_a_long_text_are_grounded():
    words = [f"{'abcdefghij'[i * i % 10]}{i * 7919 % 1500}" for i in range(32_000)]
    text = " ".join(words)
    chosen = words[::6][:5000]
    grounded = ground([Person(word) for word in chosen], text, task="ner")
    assert len(text) > 150_000
    assert not grounded.unresolved
    same = ground([Person("a")] * 5000, "a " * 50_000, task="ner")
    assert not same.unresolved
