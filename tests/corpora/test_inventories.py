"""Every label of every real file has its class, and what was converted goes back to the corpus's own labels."""

import json
import re
from pathlib import Path

import pytest

from kcx_jax.corpora import read_records
from kcx_jax.schema import ontology
from kcx_jax.schema.concepts import Kind

# Folder of the data -> the inventory of its labels.
INVENTORIES = {
    "ner/wikineural": "wikineural",
    "ner/cluener": "cluener",
    "ner/weibo": "weibo",
    "ner/uner": "uner",
    "ner/masakhaner2": "masakhaner2",
    "ner/crossner/ai": "crossner-ai",
    "ner/crossner/literature": "crossner-literature",
    "ner/crossner/music": "crossner-music",
    "ner/crossner/politics": "crossner-politics",
    "ner/crossner/science": "crossner-science",
    "ner/wnut17": "wnut17",
    "ner/ncbi_disease_iob": "ncbi-disease",
    "ner/bc5cdr_iob": "bc5cdr",
    "ner/hiner": "hiner",
    "ner/turku_fi": "turku",
    "re/semeval2010_task8": "semeval2010-task8",
    "re/crossre_en": "crossre",
    "re/multi_crossre": "crossre",
    "event/fewfc": "fewfc",
    "event/phee/json": "phee",
    "event/phee/brat_test60": "phee-brat",
    "event/geneva": "geneva",
}
PUBLISHED_SIZES: list[tuple[str, Kind, int]] = [
    ("tacred", "entity", 17),
    ("tacred", "relation", 41),
    ("kbp37", "relation", 18),
    ("fewrel", "relation", 80),
    ("diann", "entity", 3),
    ("anatem-12", "entity", 12),
    ("ontonotes4-zh", "entity", 4),
    ("ace04", "relation", 7),
    ("nyt11-hrl", "relation", 12),
    ("docred", "entity", 6),
    ("docred", "relation", 96),
    ("wiki-zsl", "relation", 113),
    ("coae2016", "relation", 10),
    ("ipre", "relation", 34),
    ("cmeie", "entity", 11),
    ("cmeie", "relation", 44),
    ("casie", "event", 5),
    ("crudeoilnews", "event", 19),
    ("rams", "event", 139),
    ("wikievents", "entity", 25),
    ("duee-fin", "event", 13),
]
# Inventories whose labels are from one vocabulary of the world outside, where a label means one thing.
VOCABULARIES = [("fewrel", "docred", "wiki-zsl"), ("nyt", "nyt11-hrl")]
SECTIONS = {"entities": "entity", "relations": "relation", "events": "event"}


def inventory_of(name: str) -> str:
    return next(known for folder, known in INVENTORIES.items() if f"{name}/".startswith(f"{folder}/"))


def test_every_label_an_independent_parser_found_is_mapped_and_no_label_is_invented(shared: Path) -> None:
    counts = json.loads((shared / "data/COUNTS.json").read_text("utf-8"))
    found: dict[tuple[str, str], set[str]] = {}
    for name, file in counts.items():
        for section, kind in SECTIONS.items():
            labels = found.setdefault((inventory_of(name), kind), set())
            labels |= set(file.get(section, {}).get("per_type", {}))
    pairs = found["semeval2010-task8", "relation"]  # the direction says which entity is the head
    pairs = {re.sub(r"\(e[12],e[12]\)$", "", label) for label in pairs} - {"Other"}
    found["semeval2010-task8", "relation"] = pairs
    found["phee-brat", "entity"].add("Race")  # in no document of the sample
    found["fewfc", "event"] |= {"收购", "担保", "中标", "签署合同", "判决"}  # in no file of the sample
    for (inventory, kind), labels in found.items():
        assert set(ontology.labels_of(inventory, kind)) == labels, (inventory, kind)


@pytest.mark.parametrize(("inventory", "kind", "size"), PUBLISHED_SIZES)
def test_an_inventory_without_data_here_has_as_many_labels_as_its_corpus(
    inventory: str, kind: Kind, size: int
) -> None:
    assert len(ontology.labels_of(inventory, kind)) == size


def test_events_have_as_many_roles_as_their_corpus_says() -> None:
    roles = {
        inventory: [
            role
            for event in ontology.labels_of(inventory, "event")
            for role in ontology.roles_of(inventory, event) or ()
        ]
        for inventory in ("rams", "duee-fin")
    }
    assert len(set(roles["rams"])) == 65
    assert len(roles["duee-fin"]) == 92  # counted with each event anew


@pytest.mark.parametrize("inventories", VOCABULARIES)
def test_a_label_of_a_common_vocabulary_is_one_class_in_every_corpus(inventories: tuple[str, ...]) -> None:
    class_of: dict[str, str] = {}
    label_of: dict[str, str] = {}
    shared = 0
    for inventory in inventories:
        for label in ontology.labels_of(inventory, "relation"):
            name = ontology.class_for(inventory, label, "relation")
            shared += label in class_of
            assert class_of.setdefault(label, name) == name
            assert label_of.setdefault(name, label) == label
    assert shared >= 12


@pytest.mark.parametrize(
    "name",
    [
        "ner/weibo/weiboNER_2nd_conll.test",
        "ner/hiner/validation.first2000.conll",
        "event/fewfc/dev_base.json",
        "event/phee/json/dev.json",
        "event/phee/brat_test60",
        "event/geneva/fs3-train-s220.json",
        "event/geneva/ctt-s400-dev.json",
    ],
)
def test_converted_files_go_back_to_their_own_labels(name: str, shared: Path) -> None:
    inventory = inventory_of(name)
    schema = ontology.schema_for(inventory)
    seen = 0
    for record in read_records(shared / "data" / name, inventory=inventory):
        for mention in record.entities or ():
            label = record.meta["source_labels"][mention.id]
            assert ontology.label_for(inventory, mention.type) == label
            seen += 1
        for event, source in zip(record.events or (), record.meta.get("source_events", ()), strict=True):
            assert ontology.label_for(inventory, event.type, "event") == source["type"]
            roles = {role.name for role in schema.roles_of(event.type)}
            for argument, role in zip(event.arguments, source["roles"], strict=True):
                assert argument.role in roles
                assert ontology.role_label_for(inventory, event.type, argument.role) == role
            seen += 1
    assert seen
