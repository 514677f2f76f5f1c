"""GoLLIE's dialect: annotated dataclasses with guidelines, and an answer of one item per line.

    @dataclass
    class Person(Entity):
        \"\"\"A human being, named.\"\"\"

        span: str  # Examples: "Ada Lovelace", "李白"

    result = [
        Person(span="Ada Lovelace"),
    ]

GoLLIE's own arguments are strings. An end of a relation that is a string is an `Entity`; where a schema
says more of an argument, it is a nested call: ``arg1=Person(span="Ada")``.
"""

import ast
import re
from collections.abc import Iterable

from kcx_jax.errors import UsageError
from kcx_jax.schema.answers import ParsedAnswer
from kcx_jax.schema.base import Entity, Event, Relation
from kcx_jax.schema.calls import Grammar
from kcx_jax.schema.concepts import BASE_OF_KIND, BASES, UNTYPED, Concept, Kind, Role, Schema
from kcx_jax.schema.docstrings import one_line, split_docstring, split_exemplars
from kcx_jax.schema.instances import Spelling, read_instances
from kcx_jax.schema.source import is_constant, last_name, read_classes, role_from_annotation
from kcx_jax.schema.strings import quote, quote_docstring

_SPELLING = Spelling(
    entity="span",
    relation=("arg1", "arg2"),
    trigger="mention",
    untyped_ends=True,
    taken=frozenset({"mention"}),
    ignored=frozenset({"subtype"}),
    grammar=Grammar(assigned=True),
)
_OWN_FIELD: dict[Kind, str] = {"entity": "span", "event": "mention"}  # carries the exemplars
_END_OF_FIELD = {"arg1": "head", "arg2": "tail"}
_FIELD_OF_END = {end: field for field, end in _END_OF_FIELD.items()}
_LEAD_IN = re.compile(r'[^":]*:')  # a comment without one lists no exemplars


def render_schema(schema: Schema) -> str:
    """Dataclasses, one after another; `read_schema` of them gives the same concepts."""
    return "\n\n".join(_render_concept(concept) for concept in schema.concepts)


def _render_concept(concept: Concept) -> str:
    lines = ["@dataclass", f"class {concept.name}({concept.parent or BASE_OF_KIND[concept.kind]}):"]
    own = _OWN_FIELD.get(concept.kind)
    docstring = concept.description if own else concept.docstring
    if docstring:
        lines += [f"    {quote_docstring(docstring)}", ""]
    if own:
        comment = f"  # Examples: {', '.join(map(quote, concept.exemplars))}" if concept.exemplars else ""
        lines.append(f"    {own}: str{comment}")
    lines += [
        f"    {_field_of(role, concept.kind)}: {_render_type(role, concept.kind)}" for role in concept.roles
    ]
    if not own and not concept.roles:
        lines.append("    pass")
    return "\n".join(lines) + "\n"


def _field_of(role: Role, kind: Kind) -> str:
    return _FIELD_OF_END[role.name] if kind == "relation" else _SPELLING.identifier_of(role.name)


def _render_type(role: Role, kind: Kind) -> str:
    if kind == "relation" and role.types == (Entity.__name__,):
        return UNTYPED
    union = " | ".join(role.types)
    return f"List[{union}]" if role.repeated else union


def read_schema(text: str, where: str) -> tuple[Concept, ...]:
    """The concepts that GoLLIE's dataclasses declare; a `Value` is an entity, a plain end an `Entity`.

    Exemplars are those in the comments behind `span` and `mention`. Raises `UsageError` with the line in
    `where`.
    """
    lines = re.split(r"\r\n|\r|\n", text)  # the lines that `ast` counts

    def read_class(statement: ast.ClassDef, kinds: dict[str, Kind], where: str) -> Concept:
        return _read_class(statement, kinds | {"Value": "entity"}, where, lines)

    return read_classes(text, where, read_class)


def _read_class(statement: ast.ClassDef, kinds: dict[str, Kind], where: str, lines: list[str]) -> Concept:
    bases = [last_name(base) for base in statement.bases]
    if len(bases) != 1 or bases[0] not in kinds or statement.keywords:
        raise UsageError(
            f"{where}:{statement.lineno}: class {statement.name} needs one parent: Entity, Value, Relation, "
            f"Event or a class declared above it, found ({', '.join(map(ast.unparse, statement.bases))})"
        )
    kind = kinds[bases[0]]
    own = _OWN_FIELD.get(kind)
    docstring = ast.get_docstring(statement, clean=False) or ""
    description, exemplars = (one_line(docstring), ()) if own else split_docstring(docstring, kind)
    roles = []
    for member in statement.body:
        if isinstance(member, ast.Pass) or is_constant(member):
            continue
        here = f"{where}:{member.lineno}"
        if not (isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name)):
            raise UsageError(f"{here}: class {statement.name} may hold a docstring and fields, nothing else")
        if member.target.id == own:
            exemplars = _exemplars_behind(member, lines)
        else:
            roles.append(_read_field(member.target.id, member.annotation, kind, here))
    parent = None if bases[0] in BASES or bases[0] == "Value" else bases[0]
    return Concept(statement.name, kind, parent, description, exemplars, tuple(roles))


def _read_field(field: str, annotation: ast.expr, kind: Kind, here: str) -> Role:
    if kind != "relation":
        role = _SPELLING.role_of(field)
        return role_from_annotation(role, annotation, f"{here}: field {field!r}")
    if field not in _END_OF_FIELD:
        raise UsageError(f"{here}: a relation has the fields arg1 and arg2, found {field!r}")
    if last_name(annotation) == UNTYPED:
        return Role(_END_OF_FIELD[field], (Entity.__name__,))
    return role_from_annotation(_END_OF_FIELD[field], annotation, f"{here}: field {field!r}")


def _exemplars_behind(member: ast.AnnAssign, lines: list[str]) -> tuple[str, ...]:
    """The exemplars in the comment behind a field, and in the lines of comment that go on with it."""
    assert member.end_lineno is not None
    line = lines[member.end_lineno - 1].encode("utf-8", "surrogatepass")[member.end_col_offset :]
    _, _, comment = line.decode("utf-8", "surrogatepass").partition("#")
    lead_in = _LEAD_IN.match(comment)
    if lead_in is None:
        return ()
    comments = [comment[lead_in.end() :]]
    for following in lines[member.end_lineno :]:
        if not following.lstrip().startswith("#"):
            break
        comments.append(following.lstrip()[1:])
    return split_exemplars(" ".join(comments))


def render_answer(instances: Iterable[Entity | Relation | Event]) -> str:
    """``result = [``, one item per line with a comma behind each, ``]``; none: ``result = []``.

    Roles without a filler are left out.
    """
    items = "".join(f"    {_render_instance(instance)},\n" for instance in instances)
    return f"result = [\n{items}]" if items else "result = []"


def _render_instance(instance: Entity | Relation | Event | str) -> str:
    if isinstance(instance, str):
        return quote(instance)
    if isinstance(instance, Entity):
        arguments = [f"span={quote(instance.text)}"]
    elif isinstance(instance, Relation):
        arguments = [f"arg1={_render_end(instance.head)}", f"arg2={_render_end(instance.tail)}"]
    else:
        arguments = [f"mention={quote(instance.trigger)}"]
        for role, values in instance.arguments.items():
            listed = ", ".join(_render_instance(value) for value in values)
            arguments.append(f"{_SPELLING.identifier_of(role)}=[{listed}]")
    return f"{type(instance).__name__}({', '.join(arguments)})"


def _render_end(end: Entity) -> str:
    return quote(end.text) if type(end) is Entity else _render_instance(end)


def parse_answer(text: str, schema: Schema) -> ParsedAnswer:
    """Every complete instance of an answer, and its problems."""
    return read_instances(text, schema, _SPELLING)
