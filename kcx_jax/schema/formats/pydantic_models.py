"""`pydantic`: models as Python source, read with `ast` and never run, and written.

    class Person(BaseModel):
        \"\"\"A human being, named.\"\"\"
        text: str = Field(examples=["Ada Lovelace"])
    class Attack(BaseModel):
        trigger: str = Field(examples=["attacked"])
        attacker: list[Person] = []

Which model is an entity, a relation or an event is said in `models`. Validators, configuration and everything else of
a model are passed over.
"""

import ast
from collections import Counter
from typing import Any

from kcx_jax.errors import UsageError
from kcx_jax.schema.base import identifier_to_role, role_to_identifier
from kcx_jax.schema.concepts import Schema
from kcx_jax.schema.formats import json_schema
from kcx_jax.schema.formats.losses import count_lost
from kcx_jax.schema.formats.models import Field, Model, models_of_schema, schema_of_models
from kcx_jax.schema.source import last_name, role_from_annotation
from kcx_jax.schema.strings import quote, quote_docstring

_BASES = ("BaseModel", "RootModel")
_HEAD = "from pydantic import BaseModel, Field\n\n\n"


def read(text: str, where: str) -> Schema:
    """The models of a source; `UsageError` with the line."""
    try:
        module = ast.parse(text, filename=where)
    except SyntaxError as error:
        raise UsageError(f"{where}:{error.lineno or 1}: not Python: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"{where}: not Python: {error or 'nested too deeply'}") from error
    models: dict[str, Model] = {}
    for statement in module.body:
        if isinstance(statement, ast.ClassDef):
            parent = next((last_name(base) for base in statement.bases), None)
            if statement.name in models:
                raise UsageError(f"{where}:{statement.lineno}: class {statement.name} is declared twice")
            if parent in _BASES or parent in models:
                models[statement.name] = _model(statement, parent if parent in models else None, where)
    if not models:
        raise UsageError(f"{where}: no class under BaseModel in it")
    return schema_of_models(models.values())


def _model(statement: ast.ClassDef, parent: str | None, where: str) -> Model:
    fields = []
    for member in statement.body:
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
            name = identifier_to_role(member.target.id)
            if not name.startswith("_") and member.target.id != "model_config":
                role = role_from_annotation(
                    name, member.annotation, f"{where}:{member.lineno}: field {name!r}"
                )
                fields.append(Field(name, role.types, role.repeated, _examples(member.value)))
    description = ast.get_docstring(statement) or ""
    return Model(statement.name, description, tuple(fields), parent)


def _examples(value: ast.expr | None) -> tuple[str, ...]:
    """The texts of ``Field(examples=[...])``."""
    if not (isinstance(value, ast.Call) and last_name(value.func) == "Field"):
        return ()
    listed = next((k.value for k in value.keywords if k.arg == "examples"), None)
    items = listed.elts if isinstance(listed, ast.List | ast.Tuple) else []
    return tuple(
        item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)
    )


def from_classes(classes: list[type]) -> Schema:
    """The schema of real models: through their own JSON Schema."""
    definitions: dict[str, Any] = {}
    for cls in classes:
        whole = cls.model_json_schema()  # type: ignore[attr-defined]
        definitions |= whole.pop("$defs", {})
        definitions[cls.__name__] = whole
    return json_schema.schema_of({"$defs": definitions}, "models")


def write(schema: Schema, lost: Counter[str]) -> str:
    """The models; exemplars of relations have no field to stand in."""
    count_lost(schema, lost, parents=True)
    if pairs := sum(len(concept.exemplars) for concept in schema.relations):
        lost["exemplars of relations"] += pairs
    return _HEAD + "\n\n".join(_render(model) for model in models_of_schema(schema))


def _render(model: Model) -> str:
    lines = [f"class {model.name}({model.parent or 'BaseModel'}):"]
    if model.description:
        lines.append(f"    {quote_docstring(model.description)}")
    for field in model.fields:
        name = role_to_identifier(field.name)
        union = " | ".join("BaseModel" if each == "Entity" else each for each in field.types)
        if field.examples:
            default = f" = Field(examples=[{', '.join(map(quote, field.examples))}])"
        else:
            default = " = []" if field.repeated else ""
        lines.append(f"    {name}: {f'list[{union}]' if field.repeated else union}{default}")
    if len(lines) == 1:
        lines.append("    pass")
    return "\n".join(lines) + "\n"
