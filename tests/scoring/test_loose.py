"""What only a looser form found counts as the strict grounding of the same answer does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.corpora import Mention, Record
from kcx_jax.errors import KcxError
from kcx_jax.extraction.merge import merge
from kcx_jax.schema import TASKS, load_schema
from kcx_jax.scoring import ground, score, without_loose

Person, Meet, Know = load_schema("""
class Person(Entity): pass
class Meet(Event):
    who: list[Person]
class Know(Relation):
    head: Person
    tail: Person
""").classes.values()
TEXT = "Ada met Bob and Eve met Dan"
names = st.sampled_from(["Ada", "Bob", "EVE", "DAN", "Zoe"])
KINDS = {
    "ner": st.builds(Person, names),
    "re": st.builds(lambda a, b: Know(Person(a), Person(b)), names, names),
    "ed": st.builds(Meet, st.sampled_from(["met", "MET"])),
    "eae": st.builds(
        lambda who: Meet("met", who=[Person(each) for each in who]), st.lists(names, unique=True, max_size=3)
    ),
}
GOLD = [Person(name) for name in ("Ada", "Bob", "Eve", "Dan")]
GOLD_ANSWERS = {
    "ner": GOLD,
    "re": [Know(GOLD[0], GOLD[1]), Know(GOLD[2], GOLD[3])],
    "ed": [Meet("met"), Meet("met")],
    "eae": [Meet("met", who=GOLD[:2]), Meet("met", who=GOLD[2:])],
}


@pytest.mark.parametrize("task", TASKS)
@given(data=st.data())
def test_a_loosely_grounded_answer_scores_as_the_strict_one(task, data):
    answer = data.draw(st.lists(KINDS[task], unique_by=repr, max_size=4))
    gold = ground(GOLD_ANSWERS[task], TEXT, task=task).record
    strict, loose = (ground(answer, TEXT, task=task, ladder=ladder).record for ladder in (False, True))
    made_strict = without_loose(loose)
    made_strict.check()
    one, other = (score([gold], [each], [task]).units[task].total for each in (strict, made_strict))
    assert one == other
    assert score([gold], [loose], [task]).units[task].total.tp >= one.tp


def test_an_event_goes_with_a_loose_trigger_and_its_arguments_are_lost_too():
    found = ground([Meet("MET", who=[Person("Ada")])], TEXT, task="eae", ladder=True).record
    strict = without_loose(found)
    assert (found.events[0].trigger.text, strict.events) == ("met", ())
    lost = [(each["task"], each["text"]) for each in strict.meta["unresolved"]]
    assert lost == [("ed", "met"), ("eae", "Ada")]


def test_a_mention_that_a_sound_relation_links_stays():
    answers = {
        "ner": [Person("ADA")],
        "re": [Know(Person("Ada"), Person("Bob")), Know(Person("EVE"), Person("Dan"))],
    }
    views = {task: ground(answer, TEXT, task=task, ladder=True).record for task, answer in answers.items()}
    kept = without_loose(merge(Record("r", "en", TEXT), views))
    assert [m.text for m in kept.entities] == ["Ada", "Bob", "Dan"]
    assert [u["text"] for u in kept.meta["unresolved"]] == ["Eve -> Dan", "Eve"]


@pytest.mark.parametrize(
    "loose", [{}, [1], [{"type": [], "start": 0, "end": 1}], [{"type": "P", "start": "0", "end": 1}]]
)
def test_damaged_finds_are_one_error(loose):
    record = Record("7", "en", "Ada", (Mention("e", "P", 0, 3, "Ada"),), meta={"loose": loose})
    with pytest.raises(KcxError, match=r"record '7': meta\.loose"):
        without_loose(record)
