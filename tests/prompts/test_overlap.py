"""What of a test set its prompt gives away."""

import json

from typer.testing import CliRunner

from kcx_jax.cli.app import app
from kcx_jax.corpora import Argument, EventMention, Mention, Record, RelationLink, Span, write_records
from kcx_jax.prompts import exemplar_overlap, without_exemplars
from kcx_jax.schema import load_schema

SOURCE = '''
class Person(Entity):
    """A human being. Examples: Ann, Ulm"""
class City(Entity): pass
class LivesIn(Relation): pass
class Meal(Event):
    """Triggers: ate"""
'''
SCHEMA = load_schema(SOURCE)
ANN, ULM, BOB = (
    Mention(name.lower(), type, start, start + 3, name)
    for name, type, start in (("Ann", "Person", 0), ("Ulm", "City", 4), ("Bob", "Person", 8))
)
GOLD = Record(
    "r",
    "en",
    "Ann Ulm Bob ate fed",
    (ANN, ULM, BOB),
    (RelationLink("LivesIn", "ann", "ulm"), RelationLink("LivesIn", "bob", "ulm")),
    (
        EventMention("Meal", Span(12, 15, "ate"), (Argument("by", entity="bob"),)),
        EventMention(
            "Meal", Span(16, 19, "fed"), (Argument("by", entity="ann"), Argument("by", entity="bob"))
        ),
    ),
)


def test_a_surface_counts_for_its_own_class_alone():
    overlap = exemplar_overlap(SCHEMA, [GOLD, GOLD])
    assert (overlap.mentions, overlap.exemplars, overlap.share) == (
        10,
        4,
        0.4,
    )  # Ann and ate, not the city Ulm
    assert exemplar_overlap(SCHEMA, []).share == 0


def test_what_hangs_on_an_exemplar_goes_with_it():
    rest = without_exemplars(SCHEMA, GOLD)
    rest.check()
    assert rest.entities == (ULM, BOB)
    assert rest.relations == (RelationLink("LivesIn", "bob", "ulm"),)
    assert rest.events == (EventMention("Meal", Span(16, 19, "fed"), (Argument("by", entity="bob"),)),)
    shown = load_schema('class LivesIn(Relation):\n    """Examples: "(Bob, Ulm)" """\n')
    assert without_exemplars(shown, GOLD).relations == (RelationLink("LivesIn", "ann", "ulm"),)
    bare = Record("b", "en", "Ann")
    assert without_exemplars(SCHEMA, bare) == bare


def test_the_command_prints_the_share_and_the_f1_without(tmp_path):
    gold = Record("r", "en", GOLD.text, GOLD.entities)
    # Ann, which the prompt shows, is found; of the two others one is, and Bob is also taken for a city.
    given = Record("r", "en", GOLD.text, (ANN, ULM, Mention("x", "City", 8, 11, "Bob")))
    write_records([gold], tmp_path / "gold.jsonl")
    write_records([given], tmp_path / "given.jsonl")
    (tmp_path / "schema.py").write_text(SOURCE)
    words = ["score", "--gold", str(tmp_path / "gold.jsonl"), "--predicted", str(tmp_path / "given.jsonl")]
    words += ["--schema", str(tmp_path / "schema.py"), "--json", str(tmp_path / "scores.json")]
    done = CliRunner().invoke(app, words)
    assert done.exception is None, done.output
    assert "33.33 % of gold's mentions and triggers (1 of 3)" in done.output
    assert "without them: ner F1 50.00 %" in done.output
    found = json.loads((tmp_path / "scores.json").read_text())
    assert found["units"]["ner"]["f1"] == 2 / 3
    assert found["without_exemplars"]["units"]["ner"]["f1"] == 0.5
    assert found["without_exemplars"]["share"] == 1 / 3
