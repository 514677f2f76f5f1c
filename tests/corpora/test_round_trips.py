"""Any record in any format: what comes back equals what went in, or the writer refused it or counted the loss."""

import importlib.util
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.corpora import Mention, Record, read_records
from kcx_jax.corpora.writers import write_records
from kcx_jax.corpora.writers.conll import TAG_SCHEMES
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.schema import load_schema

from .written import content, records, wild_records

SCHEMA = load_schema(
    """
class Person(Entity): pass
class Location(Entity): pass
class PER(Entity): pass
class Born(Relation): pass
class Met(Relation): pass
class BirthPlace(Relation): pass
class Attack(Event):
    agent: list[Entity]
    Main__Sub: list[Entity]
    Main___Sub: list[Entity]
    from_: list[Entity]
    _a_____b: list[Entity]
class Meet(Attack): pass
"""
)
WRITERS = ["jsonl", *(f"conll {scheme}" for scheme in TAG_SCHEMES), "brat", "label-studio", "gliner", "iepile"]
WRITERS += ["iepile-instructions", "knowcoder", "huggingface"]
# Where an empty layer leaves no trace: it comes back as not annotated.
TRACELESS = {"brat": ("relations", "events"), "label-studio": ("relations",)}
READERS = {"iepile-instructions": "iepile", "huggingface": "parquet"}


def options_of(name):
    writer, *scheme = name.split()
    options = {"tag_scheme": scheme[0]} if scheme else {}
    return {"writer": writer, **options} | ({"schema": SCHEMA} if writer == "iepile-instructions" else {})


def through(record, path, name, **more):
    """The record written and read back; lines of one record put together again."""
    options = options_of(name) | more
    writer = options["writer"]
    assert write_records([record], path, **options) == 1
    found = list(read_records(path, READERS.get(writer, writer), record.language, inventory=None))
    if writer == "iepile-instructions":
        return together(found, record)
    assert len(found) <= 1
    return found[0] if found else None


def together(found, record):
    """One record of the answers to all questions about `record`; the relations' ends have no types there."""
    assert all(row.meta["source_id"] == record.id and row.text == record.text for row in found)
    layers = {"NER": "entities", "RE": "relations", "EE": "events"}
    out = {}
    for row in found:
        layer = layers[row.meta["task"]]
        mentions = () if layer != "relations" else row.entities
        out.setdefault(layer, []).append((getattr(row, layer), mentions))
    joined = Record(record.id, record.language, record.text)
    ids = {(m.start, m.end): m.id for m in record.entities or ()}
    for layer, parts in out.items():
        if layer == "relations":
            where = [{m.id: ids[m.start, m.end] for m in mentions} for _, mentions in parts]
            items = tuple(
                replace(link, head=names[link.head], tail=names[link.tail])
                for names, (links, _) in zip(where, parts, strict=True)
                for link in links
            )
        else:
            items = tuple(item for items, _ in parts for item in items)
        joined = replace(joined, **{layer: items})
    return joined


def said(record, name):
    """What a record says that the format can say, whatever the order of its events and arguments."""
    text, entities, relations, events = content(record)
    layers = {"entities": entities, "relations": relations, "events": events}
    for layer in TRACELESS.get(name, ()):
        layers[layer] = layers[layer] or None
    if layers["events"] is not None:
        layers["events"] = sorted((kind, trigger.start, trigger.end, trigger.spans, sorted(filled))
                                  for kind, trigger, filled in events)  # fmt: skip
    if layers["relations"] is not None and name == "iepile-instructions":
        layers["relations"] = sorted((kind, head[:2], tail[:2]) for kind, head, tail in relations)
    return text, layers


def items(record, name):
    """The mentions, relations and events of a record, each as something to count."""
    return Counter(repr((layer, item)) for layer, found in said(record, name)[1].items() for item in found or ())


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=150, deadline=None)
@given(record=wild_records() | records())
def test_it_comes_back_or_is_refused_or_counted(name, record):
    if name == "huggingface" and importlib.util.find_spec("pyarrow") is None:
        pytest.skip("needs pyarrow")
    with TemporaryDirectory() as folder:
        try:
            found = through(record, Path(folder) / "whole", name)
        except KcxError as error:
            assert str(error).startswith("record 'r 1': ")
        else:
            assert said(found, name) == said(record, name)
            return
        lost = Counter()
        try:
            found = through(record, Path(folder) / "part", name, allow_loss=True, lost=lost)
        except KcxError as error:
            assert "has no place in a row of conll" in str(error)
            return
        assert lost.total() > 0
        missing = items(record, name) - (Counter() if found is None else items(found, name))
        assert missing.total() <= lost.total()
