"""Rendering and reading are inverses, for any schema, instances and characters; Python itself agrees."""

import ast
import dataclasses
import random
import re

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from kcx_jax.errors import UsageError
from kcx_jax.schema import (
    Concept,
    Entity,
    Event,
    Relation,
    Role,
    Schema,
    identifier_to_role,
    load_schema,
    parse_answer,
    render_answer,
    render_schema,
    role_to_identifier,
)
from kcx_jax.schema.calls import fits_raw
from kcx_jax.schema.dialects import DIALECTS
from kcx_jax.schema.docstrings import compose_docstring, one_line, split_docstring
from kcx_jax.schema.strings import quote, unquote

# Time on a busy machine says nothing about correctness.
steady = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

NASTY = [
    *('"', '""', '"""', "'", "\\", "\\n", "\\x41", "#", "[", ")", ",", ", ", " ", "  "),
    *("\n", "\r\n", "\t", "\x00", "\x1b", "\x85", "\ud800", "\udfff", "\u2028", "\u3000"),
    *("Examples:", " Examples: ", "Triggers: x", "李白", "😀", "عدن"),
]
any_text = st.lists(
    st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=()), max_size=5), max_size=6
).map("".join)
ROLES = [
    "attacker",
    "from",
    "from_",
    "from__",
    "class",
    "trigger",
    "trigger_start",
    "self",
    "head",
    "mention",
]
CLASSES = ["A", "Person", "City_2", "PER", "_3d", "List", "Class_", "person", "E", "Relation2"]


@dataclasses.dataclass
class Maker:
    """Schemas and instances of every shape, with texts from a pool; few draws, so examples come fast."""

    random: random.Random
    texts: list[str]

    def some(self, pool, least=0, most=3):
        return self.random.sample(pool, min(len(pool), self.random.randint(least, most)))

    def schema(self) -> Schema:
        concepts: list[Concept] = []
        names = self.some(CLASSES, 1, 6)
        kinds = {name: self.random.choice(["entity", "relation", "event"]) for name in names}
        kinds[names[0]] = "entity"
        entities = [name for name in names if kinds[name] == "entity"]
        for name, kind in kinds.items():
            types = [*entities, "Entity"] if kind == "relation" else [*entities, "Entity", "str"]
            roles = {"entity": [], "relation": self.some(["head", "tail"]), "event": self.some(ROLES, 0, 4)}[
                kind
            ]
            concepts.append(
                Concept(
                    name,
                    kind,
                    self.random.choice([None, *(each.name for each in concepts if each.kind == kind)]),
                    self.random.choice(self.texts),
                    tuple(self.some(self.texts)),
                    tuple(
                        Role(role, tuple(self.some(types, 1)), kind == "event" and self.random.random() < 0.5)
                        for role in roles
                    ),
                )
            )
        return Schema(tuple(concepts))

    def instance(self, schema: Schema, concept: Concept) -> Entity | Relation | Event:
        def entity():
            return schema.classes[self.random.choice(schema.entities).name](self.random.choice(self.texts))

        def arguments():
            return [self.random.choice([entity, lambda: self.random.choice(self.texts)])() for _ in range(2)]

        cls = schema.classes[concept.name]
        if concept.kind == "entity":
            return cls(self.random.choice(self.texts))
        if concept.kind == "relation":
            return cls(entity(), entity())
        roles = self.some([role_to_identifier(role.name) for role in schema.roles_of(concept.name)])
        return cls(self.random.choice(self.texts), **{role: arguments() for role in roles})

    def instances(self, schema: Schema) -> list[Entity | Relation | Event]:
        return [
            self.instance(schema, self.random.choice(schema.concepts))
            for _ in range(self.random.randint(0, 4))
        ]


EACH_DIALECT = pytest.mark.parametrize("dialect", DIALECTS)
BEHIND_ITEM = {"kcx": "]", "knowcoder": "\n]", "gollie": ",\n]"}  # what follows the last one


def writable(make: Maker, dialect: str) -> Maker:
    """A maker of texts that the dialect can write: raw strings hold no end of a string in them."""
    if dialect == "knowcoder":
        make.texts = [text for text in make.texts if fits_raw(text)] or ["x"]
    return make


makers = st.builds(
    Maker, st.integers(0, 2**32).map(random.Random), st.lists(any_text, min_size=1, max_size=4)
)


@steady
@given(any_text)
def test_a_quoted_text_is_one_line_of_python_that_means_the_text(text):
    literal = quote(text)
    assert ast.literal_eval(literal) == text
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", literal)
    assert unquote(literal[1:-1]) == text


@steady
@given(st.text('\\"nxuU0123456789abcdefXN{}', max_size=12))
def test_unquoting_means_what_python_means_where_python_accepts(body):
    assume(re.fullmatch(r'[^"\\]*(\\.[^"\\]*)*', body))  # the inside of one literal
    try:
        meant = ast.literal_eval(f'"{body}"')
    except (SyntaxError, ValueError):
        unquote(body)  # never fails
        return
    if "\\N" not in body:  # names of characters are no part of the dialect
        assert unquote(body) == meant


@steady
@given(any_text, st.lists(any_text, max_size=4), st.sampled_from(["entity", "relation", "event"]))
@example("A human. Examples: none", [], "entity")
@example("", ["a, b", "Examples: y", '"q" r', "", " s", "t\nu", "v\\w", "x"], "entity")
def test_a_docstring_gives_back_description_and_exemplars(description, exemplars, kind):
    docstring = compose_docstring(one_line(description), tuple(exemplars), kind)
    assert split_docstring(docstring, kind) == (one_line(description), tuple(exemplars))


@steady
@given(st.sampled_from(ROLES) | st.from_regex(r"[a-z_]{1,5}_{0,2}", fullmatch=True))
def test_every_role_has_its_own_identifier(role):
    identifier = role_to_identifier(role)
    ast.parse(f"f({identifier}=1)")
    assert identifier_to_role(identifier) == role


def meaning(schema: Schema) -> list:
    """What a schema says, wherever its roles are written: in the class or in the one it inherits from."""
    return [
        (dataclasses.replace(concept, roles=()), schema.roles_of(concept.name)) for concept in schema.concepts
    ]


@EACH_DIALECT
@steady
@given(makers)
def test_a_rendered_schema_loads_as_the_same_schema(dialect, make):
    schema = make.schema()
    source = render_schema(schema, dialect)
    ast.parse(source)
    loaded = load_schema(source, dialect)
    assert meaning(loaded) == meaning(schema)
    if dialect != "knowcoder":  # which writes inherited roles out
        assert loaded == schema
    assert render_schema(loaded, dialect) == source


@steady
@given(makers)
def test_a_rendered_schema_is_real_python_whose_classes_are_the_same_schema(make):
    schema = make.schema()
    docstrings = "".join(concept.docstring for concept in schema.concepts)
    assume(not re.search(r"[\ud800-\udfff]", docstrings))  # Python makes no class with such a docstring
    namespace = {"Entity": Entity, "Relation": Relation, "Event": Event, "__name__": "rendered"}
    exec("from __future__ import annotations\n" + render_schema(schema), namespace)
    assert load_schema([namespace[concept.name] for concept in schema.concepts]) == schema


@EACH_DIALECT
@steady
@given(makers)
def test_a_rendered_answer_parses_to_the_same_instances(dialect, make):
    schema = make.schema()
    instances = writable(make, dialect).instances(schema)
    parsed = parse_answer(render_answer(instances, dialect), schema, dialect)
    assert parsed.instances == tuple(instances)
    assert parsed.problems == ()


@steady
@given(makers)
def test_a_rendered_answer_is_one_line_and_means_the_instances_to_python(make):
    schema = make.schema()
    instances = make.instances(schema)
    text = render_answer(instances)
    assert not re.search(r"[\r\n]", text)
    assert eval(text, dict(schema.classes)) == instances


@EACH_DIALECT
@steady
@given(makers, st.floats(0, 1))
def test_a_truncated_answer_keeps_every_complete_item(dialect, make, share):
    schema = make.schema()
    instances = writable(make, dialect).instances(schema)
    text = render_answer(instances, dialect)
    cut = int(share * (len(text) - 1))
    ends = [
        len(render_answer(instances[:k], dialect)) - len(BEHIND_ITEM[dialect])
        for k in range(1, len(instances) + 1)
    ]
    parsed = parse_answer(text[:cut], schema, dialect)
    assert parsed.instances == tuple(instances[: sum(end <= cut for end in ends)])
    assert [problem.kind for problem in parsed.problems] == ["truncated"]


def test_an_unknown_dialect_is_refused_with_the_known_ones():
    schema = load_schema(["person"])
    for call in (
        lambda: render_schema(schema, dialect="golli"),
        lambda: render_answer([], dialect="golli"),
        lambda: parse_answer("[]", schema, dialect="golli"),
    ):
        with pytest.raises(UsageError, match=r"golli'.*kcx, knowcoder, gollie"):
            call()
