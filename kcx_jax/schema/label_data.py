"""Labels as people list them, in Python, YAML or JSON -> entity classes.

    [person, birth place, 人物]
    {person: "A human being.", ship: {description: "A vessel.", examples: [Titanic], parent: vehicle}}

A label's class is named after it (`class_name_of`) or, in another script, by the ontology's inventory `any`. The key
`name` names it otherwise (`сотрудник: {name: Employee}`); `auto` makes a name of the sounds of a label that has none,
and tells labels apart that meet in one name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kcx_jax.errors import KcxError, UsageError
from kcx_jax.schema import ontology
from kcx_jax.schema.concepts import RESERVED_NAMES, Concept
from kcx_jax.schema.labels import class_name_of, described, distinct_names, transliterated_name
from kcx_jax.schema.ontology.unmapped import yaml_text

FIELDS = ("description", "examples", "parent", "name")


def concepts_of_labels(value: Any, where: str, auto: bool = False) -> tuple[Concept, ...]:
    """The entity classes of a list of labels, or of a mapping from label to what is said of it.

    Raises `UsageError` opening with `where`.
    """
    if isinstance(value, list):
        entries: dict[str, Any] = {}
        for label in value:
            if _checked(label, where) in entries:
                raise UsageError(f"{where}: the label {label!r} is listed twice")
            entries[label] = None
    elif isinstance(value, dict):
        entries = {_checked(label, where): given for label, given in value.items()}
    else:
        raise UsageError(f"{where}: expected a list of labels, or a mapping from label to description")
    fields = {label: _fields(given, f"{where}: {label}") for label, given in entries.items()}
    naming = _Naming(where, auto, {label: said["name"] for label, said in fields.items() if "name" in said})
    names = naming.names(list(fields))
    return tuple(_concept(label, said, names, naming) for label, said in fields.items())


def _checked(label: object, where: str) -> str:
    if not isinstance(label, str):
        raise UsageError(f"{where}: label {label!r} is no text: quote it")
    if not label.strip():
        raise UsageError(f"{where}: a label is empty")
    return label


def _fields(given: Any, where: str) -> dict[str, Any]:
    fields = {} if given is None else {"description": given} if isinstance(given, str) else given
    if not isinstance(fields, dict) or not set(fields) <= set(FIELDS):
        raise UsageError(f"{where}: expected a description, or a mapping with {', '.join(FIELDS)}")
    if not isinstance(fields.get("description", ""), str):
        raise UsageError(f"{where}: description is no text (quote it)")
    examples = fields.get("examples", [])
    if not isinstance(examples, list) or not all(isinstance(example, str) for example in examples):
        raise UsageError(f"{where}: examples is no list of texts (quote them)")
    if "parent" in fields:
        _checked(fields["parent"], where)
    name = fields.get("name", "Name")
    if not (isinstance(name, str) and name.isascii() and name.isidentifier()) or name in RESERVED_NAMES:
        raise UsageError(f"{where}: the name {name!r} is no class name: write it like Person or BirthPlace")
    return fields


@dataclass(frozen=True)
class _Naming:
    """How labels are named: by `given`, else by themselves, the ontology or, if `auto`, their sounds."""

    where: str
    auto: bool
    given: Mapping[str, str]

    def names(self, labels: list[str]) -> dict[str, str]:
        """Label -> class name; `UsageError` for labels that meet in one, unless they may be told apart."""
        if self.auto:
            unnamed = [label for label in labels if label not in self.given]
            return {**self.given, **distinct_names(unnamed, self.name_of, self.given.values())}
        label_of: dict[str, str] = {}
        for label in labels:
            name = self.name_of(label)
            if (other := label_of.setdefault(name, label)) != label:
                raise UsageError(
                    f"{self.where}: the labels {other!r} and {label!r} both become class {name}. Leave one out, "
                    f"name one in YAML (for example  {yaml_text(label)}: {{name: {name}2}}), or have them told "
                    "apart by a hash (--auto; in Python auto=True)"
                )
        return {label: name for name, label in label_of.items()}

    def name_of(self, label: str) -> str:
        """The class name of one label."""
        if label in self.given:
            return self.given[label]
        name = class_name_of(label)
        if name is not None:
            return name
        try:
            return ontology.class_for("any", label)
        except KcxError as error:
            if self.auto:
                return transliterated_name(label)
            raise UsageError(
                f"{self.where}: the label {label!r} has no ASCII form to name a class with. Use an English label, "
                f"name it in YAML (for example  {yaml_text(label)}: {{name: {transliterated_name(label)}}}), or "
                f"have it named by its sounds (--auto; in Python auto=True). ({error})"
            ) from error

    def concept_of(self, label: str) -> Concept:
        """What a label stands for where nothing else is said: the ontology's class, or one that is only named."""
        plain = Concept("", "entity", label=label)
        if label in self.given or class_name_of(label) is not None:
            return plain
        try:
            return ontology.concept_for(ontology.class_for("any", label), label=label)
        except KcxError:
            return plain


def _concept(label: str, said: Mapping[str, Any], names: Mapping[str, str], naming: _Naming) -> Concept:
    known = naming.concept_of(label)
    description = said.get("description", known.description)
    silent = class_name_of(label) is None and not known.description and "name" not in said
    parent = said.get("parent")
    if parent is not None:
        parent = names[parent] if parent in names else naming.name_of(parent)
    return Concept(
        names[label],
        "entity",
        parent,
        described(label, description) if silent else description,
        tuple(said.get("examples", known.exemplars)),
        label=label,
    )
