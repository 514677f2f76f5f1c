"""The ontology: label of an inventory, in any language -> one English class, with a description to show.

Keys are (inventory, label). Two labels of one inventory share a class only where ``ontology.yaml`` lists them
together; a label without a class is an error that says which line to add, never a guess.
"""

import difflib
import functools
from importlib import resources

from kcx_jax.errors import KcxError, UsageError
from kcx_jax.schema.concepts import Concept, Schema
from kcx_jax.schema.data_files import read_yaml

FILE = "kcx_jax/schema/ontology.yaml"


def inventories() -> tuple[str, ...]:
    """The inventories the ontology knows."""
    return tuple(_data()["inventories"])


def labels_of(inventory: str) -> tuple[str, ...]:
    """The labels of an inventory, in its own order. Raises `UsageError` for an unknown inventory."""
    return tuple(_classes(inventory))


def class_for(inventory: str, label: str) -> str:
    """The class of a label.

    Raises `KcxError` with the nearest classes and the line to add when there is none.
    """
    classes = _classes(inventory)
    if label in classes:
        return classes[label]
    raise KcxError(_unmapped(inventory, label))


def concept_for(name: str, language: str = "en", label: str | None = None) -> Concept:
    """The entity class `name` with its description and exemplars in `language`.

    Raises `UsageError` when the class or the language is not in the ontology.
    """
    described = _data()["concepts"].get(name)
    if described is None:
        raise UsageError(
            f"the ontology ({FILE}) describes no class {name!r}: one of {', '.join(_data()['concepts'])}"
        )
    if language not in described:
        raise UsageError(
            f"the ontology has no description of {name} in {language!r}: one of {', '.join(described)}"
        )
    entry = described[language]
    return Concept(name, "entity", None, entry["description"], tuple(entry["exemplars"]), label=label)


def schema_for(inventory: str, language: str = "en") -> Schema:
    """The classes of an inventory as a schema, described in `language`, in the inventory's order.

    A concept's `label` is the inventory's own label (the first one where several are merged).
    """
    label_of: dict[str, str] = {}
    for label, name in _classes(inventory).items():
        label_of.setdefault(name, label)
    return Schema(tuple(concept_for(name, language, label) for name, label in label_of.items()))


@functools.cache
def _data() -> dict:
    text = resources.files("kcx_jax.schema").joinpath("ontology.yaml").read_text(encoding="utf-8")
    return read_yaml(text, FILE)


@functools.cache
def _classes(inventory: str) -> dict[str, str]:
    """Label -> class of one inventory."""
    if inventory not in _data()["inventories"]:
        raise UsageError(f"unknown inventory {inventory!r}: one of {', '.join(inventories())}")
    classes: dict[str, str] = {}
    for name, labels in _data()["inventories"][inventory].items():
        for label in [labels] if isinstance(labels, str) else labels:
            if label in classes:
                raise KcxError(
                    f"{FILE}: {inventory}: label {label!r} stands under {classes[label]} and under {name}"
                )
            classes[label] = name
    return classes


def _unmapped(inventory: str, label: str) -> str:
    classes = _classes(inventory)
    named = {key.casefold(): name for name in _data()["concepts"] for key in (name,)}
    named |= {key.casefold(): name for key, name in classes.items()}
    near = difflib.get_close_matches(label.casefold(), named, n=3, cutoff=0.4)
    nearest = list(dict.fromkeys(named[key] for key in near)) or list(dict.fromkeys(classes.values()))[:3]
    taken = [known for known, name in classes.items() if name == nearest[0]]
    value = f"[{', '.join([*taken, label])}]" if taken else label
    return (
        f"inventory {inventory!r} has no class for the label {label!r}. Nearest: {', '.join(nearest)}. "
        f"To map it, put this line under inventories: {inventory}: in {FILE}:  {nearest[0]}: {value}"
    )
