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
from kcx_jax.schema.base import Entity, identifier_to_role, role_to_identifier
from kcx_jax.schema.concepts import Schema
from kcx_jax.schema.formats import json_schema
from kcx_jax.schema.formats.losses import count_lost
from kcx_jax.schema.formats.models import Field, Model, models_of_schema, schema_of_models
from kcx_jax.schema.source import last_name, role_from_annotation
from kcx_jax.schema.strings import quote, quote_docstring

_BASES = ("BaseModel", "RootModel")
_HEAD = "from pydantic import BaseModel, Field\n\n\n"


def read(text: str, where: str, auto: bool = False) -> Schema:
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
    return schema_of_models(models.values(), where, auto)


def _model(statement: ast.ClassDef, parent: str | None, where: str) -> Model:
    fields = []
    for member in statement.body:
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
            name = identifier_to_role(member.target.id)
            if not _is_private(name):
                fields.append(_field(name, member, f"{where}:{member.lineno}: field {name!r}"))
    description = ast.get_docstring(statement) or ""
    return Model(statement.name, description, tuple(fields), parent)


def _field(name: str, member: ast.AnnAssign, where: str) -> Field:
    """A field with what ``Field(description=..., examples=[...])`` says, behind it or inside ``Annotated``."""
    annotation, said = member.annotation, [member.value]
    if isinstance(annotation, ast.Subscript) and last_name(annotation.value) == "Annotated":
        parts = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        annotation, said = parts[0], [*said, *parts[1:]]
    keywords = {
        keyword.arg: keyword.value
        for call in said
        if isinstance(call, ast.Call) and last_name(call.func) == "Field"
        for keyword in call.keywords
    }
    description = _text(keywords.get("description"), f"{where}: description")
    listed = keywords.get("examples", ast.List([]))
    if not isinstance(listed, ast.List | ast.Tuple):
        raise UsageError(f"{where}: examples: expected a list that is written out")
    examples = tuple(
        each.value if isinstance(each, ast.Constant) and isinstance(each.value, str) else ast.unparse(each)
        for each in listed.elts
    )
    role = role_from_annotation(name, annotation, where)
    types = tuple(Entity.__name__ if each == "BaseModel" else each for each in role.types)
    return Field(name, types, role.repeated, examples, description)


def _text(value: ast.expr | None, where: str) -> str:
    if value is None or (isinstance(value, ast.Constant) and value.value is None):
        return ""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    raise UsageError(f"{where}: expected a text that is written out, found {ast.unparse(value)[:60]}")


def from_classes(classes: list[type]) -> Schema:
    """The schema of real models: through their own JSON Schema."""
    from pydantic.json_schema import models_json_schema

    models: list[Any] = [(cls, "validation") for cls in classes]
    return json_schema.schema_of(models_json_schema(models)[1], "models")


def write(schema: Schema, lost: Counter[str]) -> str:
    """The models; exemplars of relations have no field to stand in."""
    count_lost(schema, lost, parents=True)
    models = models_of_schema(schema, lost)
    private = sum(_is_private(field.name) for model in models for field in model.fields)
    if private:
        lost["roles that Pydantic takes for private"] += private
    return _HEAD + "\n\n".join(map(_render, models))


def _is_private(name: str) -> bool:
    return name.startswith("_") or name == "model_config"


def _render(model: Model) -> str:
    lines = [f"class {model.name}({model.parent or 'BaseModel'}):"]
    if model.description:
        lines.append(f"    {quote_docstring(model.description)}")
    for field in model.fields:
        if _is_private(field.name):
            continue
        name = role_to_identifier(field.name)
        union = " | ".join("BaseModel" if each == "Entity" else each for each in field.types)
        said = ["default=[]"] if field.repeated else []
        if field.description:
            said.append(f"description={quote(field.description)}")
        if field.examples:
            said.append(f"examples=[{', '.join(map(quote, field.examples))}]")
        default = f" = Field({', '.join(said)})" if said else ""
        default = " = []" if said == ["default=[]"] else default
        lines.append(f"    {name}: {f'list[{union}]' if field.repeated else union}{default}")
    if len(lines) == 1:
        lines.append("    pass")
    return "\n".join(lines) + "\n"
