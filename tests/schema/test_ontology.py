"""The ontology's data, both ways through it, and what its errors say."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.errors import KcxError, UsageError
from kcx_jax.schema import load_schema, ontology, render_schema
from kcx_jax.schema.concepts import KIND_OF_BASE
from kcx_jax.schema.data_files import read_yaml
from kcx_jax.schema.ontology.unmapped import yaml_text

KINDS = tuple(KIND_OF_BASE.values())
INVENTORY = """\
title: A corpus of our own
entities:
  Person: PER
  Location: [LOC, GPE]
  Gadget: 小工具
relations:
  PartOf: {label: part-of, head: Location, tail: [Location, Gadget]}
events:
  Investment:
    label: 投资
    roles:
      investor: {label: 投资方, types: [Person, str]}
      amount: [金额, 数目]
  Lawsuit: {label: 起诉, roles: [sub-org, Main.Sub]}
  Pledge: 质押
merges: [Location, Investment.amount]
concepts:
  entities:
    Gadget: {en: "A small tool. Examples: whisk, torch", parent: Product}
"""


@pytest.fixture
def own(tmp_path):
    """Writes an inventory of one's own and returns its path."""

    def write(text=INVENTORY, name="own.yaml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return write


def there_and_back(inventory):
    """Every label of every kind, and every role of every event, against the way back to it."""
    merged = {name: set(labels) for name, labels in ontology.merges_of(inventory).items()}
    for kind in KINDS:
        for label in ontology.labels_of(inventory, kind):
            name = ontology.class_for(inventory, label, kind)
            back = ontology.label_for(inventory, name, kind)
            assert back == label or {back, label} <= merged[name]
            assert ontology.class_for(inventory, back, kind) == name
    for event in ontology.labels_of(inventory, "event"):
        name = ontology.class_for(inventory, event, "event")
        for role in ontology.roles_of(inventory, event) or ():
            known = ontology.role_for(inventory, event, role)
            back = ontology.role_label_for(inventory, name, known)
            assert back == role or {back, role} <= merged[f"{name}.{known}"]


@pytest.mark.parametrize("inventory", ontology.inventories())
def test_the_way_there_and_back_is_the_identity_but_for_declared_merges(inventory):
    there_and_back(inventory)


@pytest.mark.parametrize("inventory", ontology.inventories())
def test_every_inventory_is_a_schema_described_in_english_and_chinese(inventory):
    schemas = [ontology.schema_for(inventory, language) for language in ("en", "zh")]
    for schema in schemas:
        assert load_schema(render_schema(schema)) == schema
        assert all(concept.description for concept in schema.concepts)
    english, chinese = schemas
    for one, other in zip(english.concepts, chinese.concepts, strict=True):
        assert (one.name, one.label, one.roles) == (other.name, other.label, other.roles)
        assert one.description.isascii()
        assert one.description != other.description
        assert ontology.concept_for(one.name, "en", inventory=inventory).description == one.description
        if one.kind == "entity":
            assert len(one.exemplars) >= 2 <= len(other.exemplars)


def test_a_shared_class_is_of_one_kind_and_stands_under_a_known_one():
    names = [name for kind in KINDS for name in ontology._shared(kind)]
    assert len(set(names)) == len(names)
    for name in names:
        above = [name]
        while parent := ontology.parent_of(above[-1]):
            assert ontology.concept_for(parent).kind == ontology.concept_for(name).kind
            assert parent not in above
            above.append(parent)


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
        if not label.isascii():
            load_schema([label])


@pytest.mark.parametrize(
    ("label", "name"),
    [("ＰＥＲＳＯＮ", "Person"), ("named event", "NamedEvent"), ("NAMED_EVENT", "NamedEvent")]
    + [(label, "GeopoliticalEntity") for label in ("GPE", "geo-political entity", "Geopolitical Entity")]
    + [
        (label, "Person")
        for label in ("PER", "PERSON", "人物", "사람", "person", " Person ", "व्यक्ति", "человек", "ЧЕЛОВЕК")
    ],
)
def test_a_label_of_any_spelling_finds_its_class(label, name):
    assert ontology.class_for("any", label) == ontology.class_for("native", label) == name


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_inventory_is_a_schema_in_its_order(language):
    schema = ontology.schema_for("cluener", language)
    assert [concept.label for concept in schema.concepts] == list(ontology.labels_of("cluener"))
    assert schema != ontology.schema_for("cluener", "zh" if language == "en" else "en")


def test_an_inventory_of_ones_own(own):
    path = own()
    there_and_back(path)
    assert ontology.class_for(path, "GPE") == ontology.class_for(path, "LOC") == "Location"
    assert ontology.label_for(path, "Location") == "LOC"
    assert ontology.merges_of(path) == {"Location": ("LOC", "GPE"), "Investment.amount": ("金额", "数目")}
    assert ontology.role_for(path, "起诉", "Main.Sub") == "Main__Sub"
    assert ontology.role_for(path, "质押", "anything") is None
    schema = ontology.schema_for(path)
    assert [(c.name, c.label) for c in schema.concepts] == [
        ("Person", "PER"),
        ("Location", "LOC"),
        ("Gadget", "小工具"),
        ("PartOf", "part-of"),
        ("Investment", "投资"),
        ("Lawsuit", "起诉"),
        ("Pledge", "质押"),
    ]
    assert schema.by_name["Gadget"].exemplars == ("whisk", "torch")
    assert [role.types for role in schema.roles_of("PartOf")] == [("Location",), ("Location", "Gadget")]
    assert [(r.name, r.types) for r in schema.roles_of("Investment")] == [
        ("investor", ("Person", "str")),
        ("amount", ("str",)),
    ]
    assert {c.kind for c in ontology.schema_for(path, task="re").concepts} == {"entity", "relation"}


def test_what_an_inventory_describes_comes_before_a_shared_class_of_any_kind(own):
    text = 'events: {River: flood}\nconcepts: {events: {River: {en: "Water rises. Triggers: rose, flooded"}}}'
    concept = ontology.concept_for("River", inventory=own(text))
    assert (concept.kind, concept.exemplars) == ("event", ("rose", "flooded"))
    assert ontology.concept_for("River").kind == "entity"


def test_a_file_that_changes_is_read_again_and_has_another_version(own):
    path = own()
    versions = {
        ontology.ontology_version(path),
        ontology.ontology_version(),
        ontology.ontology_version("uner"),
    }
    own(INVENTORY.replace("PER", "PERSON"))
    assert ontology.class_for(path, "PERSON") == "Person"
    assert ontology.ontology_version(path) not in versions
    assert len(versions) == 3


def test_an_unmapped_label_says_what_is_near_and_which_line_to_add(own):
    with pytest.raises(KcxError, match=r"'wikineural' has no class for the label 'PERS'") as caught:
        ontology.class_for("wikineural", "PERS")
    assert "Nearest: Person" in str(caught.value)
    assert "wikineural.yaml:4:  Person: [PER, PERS], and Person into the list merges:" in str(caught.value)
    with pytest.raises(KcxError, match=r"Organization: \[ORG, .*, 组织者\]"):
        ontology.class_for("native", "组织者")
    with pytest.raises(
        KcxError, match=r"own\.yaml:7:  PartOf: label: \[part-of, part-off\], and PartOf into"
    ) as caught:
        ontology.class_for(own(), "part-off", "relation")
    with pytest.raises(
        KcxError, match=r"Nearest: GeopoliticalEntity.*conll03\.yaml:3:  GeopoliticalEntity: GPE"
    ):
        ontology.class_for("conll03", "GPE")
    with pytest.raises(KcxError, match=r"Investment has no role '投资者'\. Nearest: investor.*yaml:9:"):
        ontology.role_for(own(), "投资", "投资者")
    with pytest.raises(UsageError, match=r"no entity class 'City': Person, Location, Gadget"):
        ontology.label_for(own(), "City")
    with pytest.raises(UsageError, match=r"Investment has no role 'price': investor, amount"):
        ontology.role_label_for(own(), "Investment", "price")


@given(st.text(min_size=1, max_size=8))
def test_the_line_to_add_is_yaml_and_maps_the_label(label):
    line = f"Person: [PER, {yaml_text(label)}]"
    assert read_yaml(line, "line") == {"Person": ["PER", label]}


def test_unknown_inventories_classes_and_languages_name_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match=r"unknown inventory 'conll'.*wikineural.*your own"):
        ontology.labels_of("conll")
    with pytest.raises(UsageError, match=r"cannot read the inventory .*none\.yaml"):
        ontology.labels_of(str(tmp_path / "none.yaml"))
    with pytest.raises(UsageError, match=r"no class 'Robot'.*Person"):
        ontology.concept_for("Robot")
    with pytest.raises(UsageError, match=r"Person in 'fr'.*en, zh"):
        ontology.schema_for("wikineural", "fr")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("entities: {Person: a, Location: [b, a]}", "Location: the label 'a' stands under Person and under"),
        ("entities: {Person: [a, b]}", "Person: the labels a, b would be merged; .* put Person into"),
        ("entities: {Person: a}\nmerges: [Person]", "merges: Person: has one label or none"),
        ("events: {Pledge: {label: a, roles: {b: [c, d]}}}", r"Pledge\.b: the labels c, d would be merged"),
        ("events: {Pledge: {label: a, roles: [b-c, b c]}}", "'b-c' and 'b c' would both become b_c"),
        ("entities: {Persona: a}", r"no such class\. Nearest: Person.* under concepts: entities:"),
        ("entities: {Pledge: a}", r"no such class"),
        ("entities: {class: a}", "is no class name"),
        ("entities: {人: a}", "is no class name"),
        ("entities: {Person: 3}", r"must be a text, not 3 \(quote it\)"),
        ("entities: {Person: [NO]}", r"must be a text, not False"),
        ("entities: {Person: []}", "must be a text or a list of texts, not empty"),
        ("entities: {Person: {label: a}}", "must be a text"),
        ("entities: [Person]", "must be a mapping"),
        ("entity: {Person: a}", "unknown key 'entity': one of concepts, entities"),
        ("relations: {PartOf: {label: a, head: Person}}", "PartOf: head: Person is no class under entities"),
        ("relations: {PartOf: {label: a, from: Person}}", "PartOf: unknown key 'from'"),
        ("relations: {PartOf: {head: Entity}}", "PartOf: label: must be a text, not None"),
        ("events: {Pledge: {label: a, roles: [字]}}", "'字' is no role name; write `name: 字`"),
        ("events: {Pledge: {label: a, roles: {b: {label: c, types: str2}}}}", "str2 is no class under"),
        ("entities: {Person: a}\nfold: 1", "fold: must be true or false"),
        ("fold: true\nentities: {Person: A b, Location: a-B}", "'a-B' is folded like one of Person"),
        ("concepts: {entities: {A: {parent: Person}}}", "A: no description"),
        ("title: {}", "title: must be a text"),
        ("- a", "must be a mapping"),
        ("a: [", "own.yaml:2: not YAML"),
        ("[" * 5000, "own.yaml.*not YAML"),
        ("entities: {Person: &a [*a]}", "must be a text, not"),
        (  # a text of 1 kB that stands for 9 ** 30 items
            "entities:\n  A: &a0 [x]\n"
            + "".join(f"  A{i}: &a{i + 1} [{f'*a{i}, ' * 9}]\n" for i in range(30))
            + "title: *a30",
            "title: must be a text",
        ),
    ],
)
def test_a_damaged_inventory_is_refused_by_file_and_key(own, text, message):
    path = own(text)
    with pytest.raises(UsageError, match=message) as caught:
        ontology.labels_of(path)
    assert str(caught.value).startswith(path)
