"""``nlp.add_pipe("kcx")``: what is found stands in spaCy's documents, and nothing is lost on the way to its tokens."""

import importlib
import tomllib
from pathlib import Path

import pytest

from kcx_jax.errors import UsageError

from .conftest import ANSWERS, CHINESE, CLASSES, ENGLISH, NOTHING

spacy = pytest.importorskip("spacy", reason="needs spaCy: pip install 'kcx-jax[spacy]'")
component = importlib.import_module("kcx_jax.extraction.spacy_component")
SCHEMA = """
class Person(Entity):
    pass
class City(Entity):
    pass
class BirthPlace(Relation):
    head: Person
    tail: City
class Meeting(Event):
    participant: list[Person]
    time: list[str]
"""


@pytest.fixture
def pipeline(served):
    """Call with answers and a config for a blank pipeline with the component."""

    def make(answers=ANSWERS, language="en", **config):
        _, server = served(answers)
        nlp = spacy.blank(language)
        given = {"chat_model": "any", "base_url": server.base_url, **config}
        nlp.add_pipe("kcx", config=given if "labels" in config else {"schema": SCHEMA, **given})
        return nlp

    return make


def test_entities_relations_and_events_stand_in_the_document(pipeline):
    doc = pipeline()(ENGLISH)
    assert [(span.text, span.label_) for span in doc.ents] == [
        ("Ada", "Person"), ("Bob", "Person"), ("Ada", "Person"), ("London", "City")
    ]  # fmt: skip
    assert [(span.text, span.label_) for span in doc.spans["kcx"]] == [(e.text, e.label_) for e in doc.ents]
    (birth,) = doc._.kcx_relations
    assert birth["label"] == "BirthPlace"
    assert (birth["head"]["start"], birth["head"]["text"]) == (doc.ents[2].start_char, "Ada")
    assert doc.char_span(birth["tail"]["start"], birth["tail"]["end"]).text == "London"
    (meeting,) = doc._.kcx_events
    assert doc.text[meeting["start"] : meeting["end"]] == "met"
    assert [(each["role"], each["text"]) for each in meeting["arguments"]] == [
        ("participant", "Ada"), ("participant", "Bob"), ("time", "May")
    ]  # fmt: skip
    assert doc._.kcx_problems == doc._.kcx_unaligned == []


def test_many_documents_come_in_order_and_survive_a_round_trip(pipeline):
    nlp = pipeline()
    texts = [ENGLISH, NOTHING, CHINESE] * 3
    docs = list(nlp.pipe(iter(texts)))
    assert [doc.text for doc in docs] == texts
    assert [len(doc.spans["kcx"]) for doc in docs] == [4, 0, 2] * 3
    again = spacy.tokens.Doc(nlp.vocab).from_bytes(docs[0].to_bytes())
    assert again._.kcx_events == docs[0]._.kcx_events
    assert [span.text for span in again.spans["kcx"]] == [span.text for span in docs[0].spans["kcx"]]


NESTED = "New York University and York."
NESTED_ANSWERS = {NESTED: {"ner": '[Firm("New York University"), City("New York"), City("York")]'}}


def test_overlapping_entities_stand_in_the_span_group_and_the_longest_in_ents(pipeline):
    doc = pipeline(NESTED_ANSWERS, labels=["firm", "city"])(NESTED)
    assert [span.text for span in doc.spans["kcx"]] == ["New York", "New York University", "York"]
    assert [(span.text, span.label_) for span in doc.ents] == [
        ("New York University", "firm"),
        ("York", "city"),
    ]


@pytest.mark.parametrize(
    ("overwrite", "first"), [(False, ("York University", "GIVEN")), (True, ("New York University", "firm"))]
)
def test_what_stood_in_ents_stays_unless_it_is_to_be_overwritten(pipeline, overwrite, first):
    nlp = pipeline(NESTED_ANSWERS, labels=["firm", "city"], overwrite_ents=overwrite)
    doc = nlp.make_doc(NESTED)
    doc.set_ents([spacy.tokens.Span(doc, 1, 3, "GIVEN")])
    doc = nlp.get_pipe("kcx")(doc)
    assert [(span.text, span.label_) for span in doc.ents] == [first, ("York", "city")]


@pytest.mark.parametrize(
    ("mode", "spans"), [("expand", ["Lovelace-Byron", "Rome"]), ("contract", ["Rome"]), ("strict", ["Rome"])]
)
def test_what_is_not_made_of_whole_tokens_is_told(pipeline, mode, spans):
    text = "Lovelace-Byron in Rome"
    nlp = pipeline({text: '[Person("Byron"), City("Rome")]'}, labels=["person", "city"], alignment_mode=mode)
    nlp.tokenizer = spacy.tokenizer.Tokenizer(nlp.vocab)  # cuts at spaces alone
    doc = nlp(text)
    assert [span.text for span in doc.spans["kcx"]] == spans
    assert [(each["text"], each["start"]) for each in doc._.kcx_unaligned] == [("Byron", 9)]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"chat_model": "any"}, "say what to find"),
        ({"labels": ["person"]}, "say which model answers"),
        (
            {"labels": ["person"], "chat_model": "any", "base_url": "http://localhost/v1", "tasks": ["re"]},
            "relation classes",
        ),
        (
            {"labels": ["person"], "chat_model": "any", "base_url": "http://localhost/v1", "overlap": 900},
            "by half of them",
        ),
        ({"labels": ["person"], "chat_model": "any", "adapter": "x"}, "adapter goes with model"),
        ({"labels": ["person"], "chat_model": "any", "constraint": "off"}, "constraint goes with model"),
        ({"labels": ["person"], "chat_model": "any", "dtype": "float32"}, "dtype goes with model"),
        (
            {"labels": ["person"], "model": "x", "base_url": "http://localhost/v1"},
            "base_url goes with chat_model",
        ),
        ({"labels": ["person"], "model": "x", "context_tokens": 300}, "context_tokens goes with chat_model"),
    ],
)
def test_a_config_that_cannot_be_is_refused_when_the_pipe_is_added(config, message):
    with pytest.raises(UsageError, match=message):
        spacy.blank("en").add_pipe("kcx", config=config)


def test_a_component_of_an_extractor_that_is_there(served):
    extractor, _ = served()
    doc = component.KcxComponent(extractor, CLASSES, tasks=["ner"])(spacy.blank("zh")(CHINESE))
    assert [(each.text, each.label_) for each in doc.spans["kcx"]] == [("李白", "Person"), ("碎叶城", "City")]


def test_spacy_finds_the_component_by_the_packages_entry_point():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    module, _, name = project["entry-points"]["spacy_factories"]["kcx"].partition(":")
    assert getattr(importlib.import_module(module), name) is component.make
