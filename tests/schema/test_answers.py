"""Reading damaged and hostile answers."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.schema import Entity, load_schema, parse_answer, render_answer
from kcx_jax.schema.dialects import DIALECTS

EACH_DIALECT = pytest.mark.parametrize("dialect", DIALECTS)

SCHEMA = load_schema("""
class Person(Entity): pass
class Location(Entity): pass
class City(Location): pass
class BirthPlace(Relation):
    head: Person
    tail: Location
class Attack(Event):
    attacker: list[Person]
    time: str
    from_: Location
""")
Person, Location, City, BirthPlace, Attack = SCHEMA.classes.values()


def parsed(text):
    result = parse_answer(text, SCHEMA)
    return list(result.instances), [problem.kind for problem in result.problems]


@pytest.mark.parametrize(
    ("text", "instances", "kinds"),
    [
        ("[]", [], []),
        (' [Person("Ada")]\n', [Person("Ada")], []),
        ("[Person('Ada \"x\"'),]", [Person('Ada "x"')], []),
        ('[ Person ( "Ada" ) , City("L") ]', [Person("Ada"), City("L")], []),
        ('[BirthPlace(head=Person("A"), tail=City("L"))]', [BirthPlace(Person("A"), City("L"))], []),
        ('[BirthPlace(Person("A"), Entity("L"))]', [BirthPlace(Person("A"), Entity("L"))], []),
        ('[Attack("hit", attacker=Person("A"), time="3 May")]',
         [Attack("hit", attacker=[Person("A")], time=["3 May"])], []),
        ('[Attack("hit", from_=[City("L")])]', [Attack("hit", from_=City("L"))], []),
        # truncated
        ("", [], ["truncated"]),
        ("[", [], ["truncated"]),
        ('[Person("Ada")', [Person("Ada")], ["truncated"]),
        ('[Person("Ada"), City("Lon', [Person("Ada")], ["truncated"]),
        ('[Person("Ada"), City', [Person("Ada")], ["truncated"]),
        ('[Person("Ada"), City("x\\', [Person("Ada")], ["truncated"]),
        # an entity inside a broken event is no item of the list
        ('[Attack("hit", attacker=[Person("A"), Person("B"), Per', [], ["truncated"]),
        ('[BirthPlace(Person("A"), City(L")), BirthPlace(Person("B"), City("M"))]',
         [BirthPlace(Person("B"), City("M"))], ["unquoted"]),
        # damage: a lost quote turns strings and code around
        ('[Person("Ada), City("London"), City("Paris")]', [City("London"), City("Paris")], ["syntax"]),
        ("[Person('Ada), City(\"London\")]", [City("London")], ["syntax"]),
        ('[Person("Ada") City("London")]', [Person("Ada"), City("London")], ["syntax"]),
        ('[Person("Ada"), , City("London")]', [Person("Ada"), City("London")], ["syntax"]),
        ('["Ada", City("London")]', [City("London")], ["syntax"]),
        ('[3, City("London")]', [City("London")], ["syntax"]),
        ('[Person(Person(Person(Person(Person("x"))))), City("L")]', [City("L")], ["too_deep"]),
        # around the list
        ('Person("Ada"), City("L")]', [Person("Ada"), City("L")], ["syntax"]),
        ('Sure!\n```python\nresults = [Person("Ada")]\n```\nDone.', [Person("Ada")],
         ["code_fence", "leading_text"]),
        ('[Person("Ada")] # done', [Person("Ada")], ["trailing_text"]),
        ('```python\n[Person("Ada")]\n```', [Person("Ada")], ["code_fence", "code_fence"]),
        ("```\n[]\n```", [], ["code_fence", "code_fence"]),
        # over and over until the end
        ('[City("L"), ' + 'Person("Ada"), ' * 9, [City("L")] + [Person("Ada")] * 9, ["runaway"]),
        ('[City("L"), Person("Ada ' + "la " * 40, [City("L")], ["runaway"]),
        ('[City("L"), Person("Ada la la la', [City("L")], ["truncated"]),
        ("no entity here", [], ["syntax"]),
        # what the schema does not know
        ('[Robot("R2"), Person("Ada")]', [Person("Ada")], ["unknown_class"]),
        ('[人物("李白"), Person("Ada")]', [Person("Ada")], ["unknown_class"]),
        ('[Entity("Ada")]', [], ["unknown_class"]),
        ('[BirthPlace(Robot("R2"), City("L"))]', [], ["unknown_class"]),
        # arity
        ("[Person()]", [], ["wrong_arity"]),
        ('[Person("a", "b"), City("L")]', [City("L")], ["wrong_arity"]),
        ('[BirthPlace(Person("A"))]', [], ["wrong_arity"]),
        ('[Attack(), Attack("hit", "x")]', [], ["wrong_arity", "wrong_arity"]),
        # arguments
        ('[Person(name="Ada"), Person(["Ada"])]', [], ["wrong_argument"] * 2),
        ("[Person(Ada), Person(Ada Lovelace), Person('x')]", [Person("x")], ["unquoted"] * 2),
        ('[Attack(hit), Attack("hit", attacker=[Ada], time=["now"])]', [Attack("hit", time=["now"])],
         ["unquoted"] * 2),
        ('[BirthPlace("A", City("L"))]', [], ["wrong_argument"]),
        ('[BirthPlace(head=Person("A"), name=City("L"))]', [], ["wrong_argument"]),
        ('[BirthPlace(Attack("a"), City("L"))]', [], ["wrong_argument"]),
        ('[Attack(trigger="hit")]', [], ["wrong_arity"]),
        ('[Attack(Person("hit"))]', [], ["wrong_argument"]),
        ('[Attack("hit", victim=[Person("A")], time=["now"])]',
         [Attack("hit", time=["now"])], ["wrong_argument"]),
        ('[Attack("hit", attacker=[Person("A"), [7], Robot("B")])]', [Attack("hit", attacker=[Person("A")])],
         ["unknown_class", "wrong_argument"]),
    ],
)  # fmt: skip
def test_what_is_kept_and_what_is_reported(text, instances, kinds):
    found, reported = parsed(text)
    assert found == instances
    assert sorted(reported) == kinds


def test_a_type_the_role_does_not_admit_is_kept_for_the_score_to_judge():
    wrong = BirthPlace(City("L"), Person("A"))
    assert parsed(render_answer([wrong])) == ([wrong], [])


def test_problems_say_where():
    problems = parse_answer('[Person("Ada"), Robot("R2")] x', SCHEMA).problems
    assert [(problem.kind, problem.position) for problem in problems] == [
        ("unknown_class", 16),
        ("trailing_text", 29),
    ]
    assert "'Robot'" in problems[0].detail


def test_answers_come_back_as_the_users_own_classes():
    class Ship(Entity):
        """A vessel."""

    (ship,) = parse_answer('[Ship("Beagle")]', load_schema([Ship])).instances
    assert type(ship) is Ship


@EACH_DIALECT
@settings(deadline=None)
@given(st.text("[](),\"'\\= \nPersonAttackCityBirthPlacetimeEntity", max_size=60))
def test_any_text_is_read_without_an_error(dialect, text):
    result = parse_answer(text, SCHEMA, dialect)
    assert all(0 <= problem.position <= len(text) for problem in result.problems)


@EACH_DIALECT
@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_error(dialect, data):
    parse_answer(data.decode("utf-8", "surrogateescape"), SCHEMA, dialect)


@settings(deadline=None)
@given(st.data())
def test_one_damaged_item_costs_no_other(data):
    names = data.draw(st.lists(st.text("abcxyz ", max_size=6), min_size=2, max_size=6))
    items = [render_answer([data.draw(st.sampled_from([Person, City]))(name)])[1:-1] for name in names]
    broken = data.draw(st.integers(0, len(items) - 1))
    at = data.draw(st.integers(0, len(items[broken]) - 1))
    damaged = items[broken][:at] + items[broken][at + 1 :]
    text = f"[{', '.join([*items[:broken], damaged, *items[broken + 1 :]])}]"
    kept = [render_answer([instance])[1:-1] for instance in parse_answer(text, SCHEMA).instances]
    for item in items[:broken] + items[broken + 1 :]:
        assert item in kept


MILLION = 1_000_000
HOSTILE = {
    "calls": "Person(",
    "lists": "[",
    "open strings": '[Person("',
    "quotes in quotes": "Person('City(\"",
    "unknown, never closed": 'Robot(Person("a"), ',
    "events, never closed": 'Attack("t", attacker=[Person("x"), ',
    "relations, never closed": 'BirthPlace(Person("a"), ',
    "two readings": 'Attack("t",time=["Attack(",",time=["',
    "no separators": 'Person("a")',
    "backslashes": "\\",
    "spaces": " ",
    "words": "Person ",
    "one word": "a",
    "strings": '"a",',
    "keywords": "a=",
    "valid": 'Person("a"), ',
    "valid events": 'Attack("t", attacker=["a", Person("b")]), ',
    "unknown": 'Robot("a"), ',
    "keyword strings": 'Person(name="',
    "raw quotes": 'Person("a"b',
    "quotes and spaces": '"    ',
    "unknown in strings": 'Person(Robot("',
    "spaced": "Person (  ",
}


# A megabyte takes a second or so. Reading that is not linear would take hours and be stopped.
in_linear_time = pytest.mark.timeout(180)


@EACH_DIALECT
@in_linear_time
@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_megabyte_of_hostile_text_is_read(piece, dialect):
    parsed = parse_answer("[" + piece * (MILLION // len(piece)), SCHEMA, dialect)
    assert parsed.problems


@EACH_DIALECT
@in_linear_time
def test_a_list_with_two_readings_is_read(dialect):
    assert parse_answer('[Attack("t",time=["' + '","' * (MILLION // 3), SCHEMA, dialect).problems


@EACH_DIALECT
@in_linear_time
def test_hostile_soup_is_read(dialect):
    pieces = random.Random(0).choices(list(HOSTILE.values()), k=MILLION // 10)
    assert parse_answer("".join(pieces)[:MILLION], SCHEMA, dialect).problems


def test_hopeless_damage_is_said_not_hidden():
    problems = parse_answer("[" + 'Person("a" ' * 50_000, SCHEMA).problems
    assert "too much damage" in problems[-1].detail
