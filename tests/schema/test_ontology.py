"""The ontology's data, and what its errors say."""

import unicodedata

import pytest

from kcx_jax.errors import KcxError, UsageError
from kcx_jax.schema import load_schema, ontology, render_schema

CORPUS_INVENTORIES = ("wikineural", "uner", "cluener")


def test_every_label_of_every_inventory_has_a_described_class():
    for inventory in ontology.inventories():
        for label in ontology.labels_of(inventory):
            concept = ontology.concept_for(ontology.class_for(inventory, label))
            assert concept.description
            assert len(concept.exemplars) >= 2


@pytest.mark.parametrize("inventory", CORPUS_INVENTORIES)
def test_a_corpus_inventory_merges_nothing(inventory):
    classes = [ontology.class_for(inventory, label) for label in ontology.labels_of(inventory)]
    assert len(set(classes)) == len(classes)


def test_the_published_label_sets():
    names = {"PER": "Person", "ORG": "Organization", "LOC": "Location"}
    for inventory, rest in (("wikineural", {"MISC": "Miscellaneous"}), ("uner", {"OTH": "Other"})):
        labels = ontology.labels_of(inventory)
        assert {label: ontology.class_for(inventory, label) for label in labels} == names | rest
    assert set(ontology.labels_of("cluener")) == {
        *("address", "book", "company", "game", "government"),
        *("movie", "name", "organization", "position", "scene"),
    }
    assert ontology.class_for("cluener", "name") == ontology.class_for("wikineural", "PER") == "Person"


def test_native_labels_are_in_the_form_they_are_looked_up_in():
    for label in ontology.labels_of("native"):
        assert label == unicodedata.normalize("NFC", label.strip())
        load_schema([label])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_inventory_is_a_schema_in_its_order(language):
    schema = ontology.schema_for("cluener", language)
    assert [concept.label for concept in schema.concepts] == list(ontology.labels_of("cluener"))
    assert load_schema(render_schema(schema)) == schema
    assert schema != ontology.schema_for("cluener", "zh" if language == "en" else "en")


def test_an_unmapped_label_says_what_is_near_and_which_line_to_add():
    with pytest.raises(KcxError, match=r"'wikineural' has no class for the label 'PERS'") as caught:
        ontology.class_for("wikineural", "PERS")
    assert "Nearest: Person" in str(caught.value)
    assert "Person: [PER, PERS]" in str(caught.value)
    assert "ontology.yaml" in str(caught.value)
    with pytest.raises(KcxError, match=r"Organization: \[组织, .*, 组织者\]"):
        ontology.class_for("native", "组织者")


def test_unknown_inventories_classes_and_languages_name_the_known_ones():
    with pytest.raises(UsageError, match=r"unknown inventory 'conll'.*wikineural"):
        ontology.labels_of("conll")
    with pytest.raises(UsageError, match=r"no class 'Robot'.*Person"):
        ontology.concept_for("Robot")
    with pytest.raises(UsageError, match=r"Person in 'fr'.*en, zh"):
        ontology.schema_for("wikineural", "fr")


def test_two_classes_for_one_label_are_refused(monkeypatch):
    data = {"concepts": {}, "inventories": {"x": {"A": "a", "B": ["b", "a"]}}}
    monkeypatch.setattr(ontology, "_data", lambda: data)
    ontology._classes.cache_clear()
    with pytest.raises(KcxError, match="'a' stands under A and under B"):
        ontology.labels_of("x")
    ontology._classes.cache_clear()
