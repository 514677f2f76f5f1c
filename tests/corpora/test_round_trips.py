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
TRACELESS = dict.fromkeys(["conll", "brat", "label-studio", "gliner"], ("relations", "events"))
LAYERS = {"NER": "entities", "RE": "relations", "EE": "events"}
READERS = {"iepile-instructions": "iepile", "huggingface": "parquet"}


def options_of(name):
    writer, *scheme = name.split()
    options = {"tag_scheme": scheme[0]} if scheme else {}
    return {"writer": writer, **options} | ({"schema": SCHEMA} if writer == "iepile-instructions" else {})


def through(record, path, name, **more):
    """What a record says after it was written and read back; None where nothing came back."""
    options = options_of(name) | more
    writer = options["writer"]
    assert write_records([record], path, **options) == 1
    found = list(read_records(path, READERS.get(writer, writer), record.language, inventory=None))
    if writer == "iepile-instructions":
        assert all(row.meta["source_id"] == record.id and row.text == record.text for row in found)
        return record.text, together(found, name)
    assert len(found) <= 1
    return said(found[0], name) if found else None


def together(rows, name):
    """The layers of one record from the answers to all questions about it."""
    layers = dict.fromkeys(LAYERS.values())
    for row in rows:
        layer = LAYERS[row.meta["task"]]
        layers[layer] = sorted([*(layers[layer] or ()), *said(row, name)[1][layer]])
    return layers


def said(record, name):
    """What a record says that the format can say, whatever the order of its events and arguments."""
    text, entities, relations, events = content(record)
    if relations is not None and name == "iepile-instructions":  # whose ends have no types
        relations = sorted((kind, head[:2], tail[:2]) for kind, head, tail in relations)
    if events is not None:
        events = sorted(
            (kind, trigger.start, trigger.end, trigger.spans, sorted(filled)) for kind, trigger, filled in events
        )
    layers = {"entities": entities, "relations": relations, "events": events}
    return text, {key: found or (None if key in TRACELESS.get(name.split()[0], ()) else found) for key, found in layers.items()}


def items(said):
    """The mentions, relations and events, each as something to count."""
    return Counter(repr((layer, item)) for layer, found in said[1].items() for item in found or ())


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=60, deadline=None)
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
            assert found == said(record, name)
            return
        lost = Counter()
        try:
            found = through(record, Path(folder) / "part", name, allow_loss=True, lost=lost)
        except KcxError as error:
            assert "has no place in a row of conll" in str(error)
            return
        assert lost.total() > 0
        missing = items(said(record, name)) - (Counter() if found is None else items(found))
        assert missing.total() <= lost.total()
