"""What the dialects look like, how other people's schemas and answers in them are read, and what is refused."""

import ast
import json

import pytest

from kcx_jax.errors import UsageError
from kcx_jax.schema import Concept, Entity, Role, load_schema, parse_answer, render_answer, render_schema
from kcx_jax.schema.dialects import DIALECTS

SCHEMA = load_schema("""
class Person(Entity): pass
class City(Entity): pass
class BirthPlace(Relation):
    head: Person
    tail: City
class Attack(Event):
    attacker: list[Person]
    from_: City
    time: list[str]
""")
Person, City, BirthPlace, Attack = SCHEMA.classes.values()
INSTANCES = [
    Person("Ada"),
    BirthPlace(Person("Ada"), Entity("London")),
    Attack("hit", attacker=[Person("Ada")], from_=City("London"), time=["3 May"]),
]
ANSWERS = {
    "kcx": '[Person("Ada"), BirthPlace(Person("Ada"), Entity("London")), '
    'Attack("hit", attacker=[Person("Ada")], from_=[City("London")], time=["3 May"])]',
    "knowcoder": 'results = [\n\tPerson("Ada"),\n\tBirthPlace(Person("Ada"), Entity("London")),\n'
    '\tAttack(trigger = "hit", attacker = [Person("Ada")], from_ = [City("London")], time = ["3 May"])\n]',
    "gollie": 'result = [\n    Person(span="Ada"),\n    BirthPlace(arg1=Person(span="Ada"), arg2="London"),\n'
    '    Attack(mention="hit", attacker=[Person(span="Ada")], from_=[City(span="London")], time=["3 May"]),\n]',
}
FENCED = "Here they are:\n```python\n{}\n```\nThat is all."


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_answer_is_written_as_the_dialect_writes_it(dialect):
    assert render_answer(INSTANCES, dialect) == ANSWERS[dialect]
    ast.parse(ANSWERS[dialect])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_prose_and_a_code_fence_around_an_answer_cost_nothing(dialect):
    parsed = parse_answer(FENCED.format(ANSWERS[dialect]), SCHEMA, dialect)
    assert list(parsed.instances) == INSTANCES
    assert [problem.kind for problem in parsed.problems] == ["leading_text", "code_fence"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_repeated_items_stay_repeated(dialect):
    twice = [Person("Ada"), Person("Ada")]
    assert list(parse_answer(render_answer(twice, dialect), SCHEMA, dialect).instances) == twice


READ = [
    # as others write it
    ("knowcoder", 'result = [Person(name = "Ada"),]', [Person("Ada")], []),
    ("knowcoder", '[Attack("hit"), Attack(trigger = "hit", from = [City("L")])]',
     [Attack("hit"), Attack("hit", from_=City("L"))], []),
    ("knowcoder", 'results = [BirthPlace(head_entity = Person("A"), tail_entity = City("L"))]',
     [BirthPlace(Person("A"), City("L"))], []),
    ("gollie", "result = [\n    Person(span='Ada'),\n    BirthPlace(arg1='A', arg2='L'),\n]",
     [Person("Ada"), BirthPlace(Entity("A"), Entity("L"))], []),
    ("gollie", "results = [Attack(mention='hit', attacker=['A'], time=[])]", [Attack("hit", attacker=["A"])], []),
    ("gollie", "result = [BirthPlace(arg2='L', arg1='A')]", [BirthPlace(Entity("A"), Entity("L"))], []),
    ("gollie", "result = [Attack(mention='hit', subtype='war', attacker=['A'])]", [Attack("hit", attacker=["A"])], []),
    # raw strings
    ("knowcoder", r'results = [Person("C:\new "x" y"), Person("say "hi"")]',
     [Person(r'C:\new "x" y'), Person('say "hi"')], []),
    ("knowcoder", 'results = [Person("Ada, City("London"), City("Paris")]',
     [City("London"), City("Paris")], ["syntax"]),
    ("knowcoder", "results = [Person('Ada), City(\"London\")]", [City("London")], ["syntax"]),
    # damage
    ("knowcoder", 'results = [Person("Ada"', [], ["truncated"]),
    ("knowcoder", "resul", [], ["truncated"]),
    ("gollie", "result =", [], ["truncated"]),
    ("gollie", "results are below", [], ["syntax"]),
    ("gollie", "result = [Robot(span='R2'), Person(span='Ada')]", [Person("Ada")], ["unknown_class"]),
    ("gollie", "result = [Person(), Person(text='Ada')]", [], ["wrong_arity", "wrong_argument"]),
    ("gollie", "result = [BirthPlace(arg2='L', arg2='A')]", [], ["wrong_argument"]),
    ("gollie", "result = [Attack(mention='a', mention='b'), Attack(attacker=['A'])]", [], ["wrong_arity"] * 2),
    ("knowcoder", "results = [Person(Ada), Person(Ada Lovelace)]", [], ["unquoted", "unquoted"]),
    ("knowcoder", 'results = [BirthPlace("A", City("L"))]', [], ["wrong_argument"]),
    ("knowcoder", "results = [Person([[[[[[[[", [], ["too_deep"]),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "text", "instances", "kinds"), READ)
def test_what_is_kept_and_what_is_reported(dialect, text, instances, kinds):
    parsed = parse_answer(text, SCHEMA, dialect)
    assert list(parsed.instances) == instances
    assert [problem.kind for problem in parsed.problems] == kinds


@pytest.mark.parametrize("text", ['a", b', 'a" )', 'a"]', 'a",', 'a Person("b'])
def test_a_text_that_raw_quotes_cannot_hold_is_refused_and_the_others_keep_it(text):
    with pytest.raises(UsageError, match="knowcoder"):
        render_answer([Person(text)], "knowcoder")
    for dialect in ("kcx", "gollie"):
        assert parse_answer(render_answer([Person(text)], dialect), SCHEMA, dialect).instances == (
            Person(text),
        )


KNOWCODER = '''class Entity:
	"""
	Everything with a name.
	"""
	def __init__(self, name: str):
		self.name = name

class Event(Entity):
	"""
	Description: 
	Examples: the fair, the flood
	"""
	pass

class Election(Event):
	pass

class Boat(Vessel):
	"""
	Description: It floats.
	"""
	pass

class Owns(Possession):
	"""
	Description: Who holds what.
	Examples: (Ann (senior), a boat), (Bo, 1,200 sheep)
	"""
	def __init__(self, head_entity: Entity, tail_entity: Boat | Election):
		super().__init__(head_entity = head_entity, tail_entity = tail_entity)

class Voyage(Travel):
	"""
	Description: A trip.
	"""
	def __init__(
		self,
		trigger: str, # Examples: sailed, left, 
		from: List[ Entity ],
		boat: List[ Boat ]
	):
		super().__init__(trigger = trigger)
		self.from = from
		self.boat = boat

class Sale(Happening):
	def __init__(self, trigger: str, *args):
		arg_names = ["to", "from"]
		super().__init__(trigger = trigger, arg_names = arg_names, *args)

"""
Make the objects.
"""
sentence = "He said "no" and left."
'''  # noqa: W291


def test_a_knowcoder_prompt_with_all_its_oddities_is_a_schema():
    listed = ("Entity",)
    assert load_schema(KNOWCODER, "knowcoder").concepts == (
        Concept("Event_", "entity", exemplars=("the fair", "the flood")),
        Concept("Election", "entity", "Event_"),
        Concept("Boat", "entity", description="It floats."),
        Concept("Owns", "relation", None, "Who holds what.", ("(Ann (senior), a boat)", "(Bo, 1,200 sheep)"),
                (Role("head", listed), Role("tail", ("Boat", "Election")))),
        Concept("Voyage", "event", None, "A trip.", ("sailed", "left"),
                (Role("from", listed, True), Role("boat", ("Boat",), True))),
        Concept("Sale", "event", None, "", (), (Role("to", listed, True), Role("from", listed, True))),
    )  # fmt: skip


def test_an_entity_class_called_like_a_base_class_answers_to_its_name():
    schema = load_schema(KNOWCODER, "knowcoder")
    parsed = parse_answer('results = [Event("the fair")]', schema, "knowcoder")
    assert parsed.instances == (schema.classes["Event_"]("the fair"),)
    assert parsed.problems == ()


GOLLIE = '''from typing import List

@dataclass
class Boat(Entity):
    """What floats,
    on water."""

    span: str  # Such as: "ship", "a, b",
    # "raft"

@dataclass
class Price(Value):
    """An amount."""
    span: str

@dataclass
class Owns(Relation):
    """Who holds what."""
    arg1: str
    arg2: str

@dataclass
class Sale(Event):
    """A deal."""
    mention: str  # The trigger, such as: "sold"
    buyer: List[str]
    subtype: str
'''


def test_gollies_dataclasses_are_a_schema():
    boat, price, owns, sale = load_schema(GOLLIE, "gollie").concepts
    assert boat == Concept("Boat", "entity", None, "What floats, on water.", ("ship", "a, b", "raft"))
    assert price == Concept("Price", "entity", None, "An amount.")
    assert owns.roles == (Role("head", ("Entity",)), Role("tail", ("Entity",)))
    assert sale.exemplars == ("sold",)
    assert sale.roles == (Role("buyer", ("str",), True), Role("subtype", ("str",)))


@pytest.mark.parametrize(
    ("dialect", "source", "message"),
    [
        ("gollie", "\nclass Ask(Template):\n    query: str\n", r":2: class Ask needs one parent"),
        ("gollie", "class A(Relation):\n    arg3: str\n", r":2: a relation has the fields arg1 and arg2"),
        ("gollie", "class A(Entity):\n    def f(self): pass\n", r":2: class A may hold"),
        (
            "gollie",
            "class A(Entity):\n    span: str\nimport os; os.remove('x')\n",
            r":3: only imports and classes",
        ),
        ("knowcoder", "\nclass A(B, C):\n\tpass\n", r":2: class A needs one parent"),
        ("knowcoder", "class A(B):\n\tx = 1\n", r":2: class A may hold"),
        (
            "knowcoder",
            "class A(Event):\n\tdef __init__(self, trigger: str, *args):\n\t\targ_names = [3]\n",
            r"'3'",
        ),
        ("knowcoder", "class A(:\n\tpass\n", r":1: not Python"),
        (
            "knowcoder",
            "class A(Event):\n\tdef __init__(self, trigger: str, x: 1 + 2):\n\t\tpass\n",
            "cannot read",
        ),
    ],
)
def test_what_is_wrong_with_a_schema_is_said(dialect, source, message):
    with pytest.raises(UsageError, match=message):
        load_schema(source, dialect)


def test_a_schema_file_is_read_in_its_dialect(tmp_path):
    for dialect in DIALECTS:
        path = tmp_path / f"{dialect}.py"
        path.write_text(render_schema(SCHEMA, dialect), encoding="utf-8")
        assert load_schema(path, dialect) == SCHEMA


def test_released_knowcoder_prompts_and_answers_are_read_as_their_records_say(shared):
    path = shared / "data" / "knowcoder_example" / "example_data.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        prompt, output = record["one-stage"]["zero-shot"]["prompt"], record["one-stage"]["output"]
        schema = load_schema(prompt, "knowcoder")
        # Base classes are the only ones without a parent in parentheses.
        headers = [row for row in prompt.splitlines() if row.startswith("class ") and "(" in row]
        assert len(schema.concepts) == len(headers)
        parsed = parse_answer(output, schema, "knowcoder")
        assert parsed.problems == ()
        gold = record.get("entities") or record.get("relations") or record.get("events") or []
        assert len(parsed.instances) == len(gold)
        assert render_answer(parsed.instances, "knowcoder").replace("Event_(", "Event(") == output
