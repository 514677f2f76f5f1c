"""Python source -> concepts, read with `ast`: a schema file is data and is never imported or run.

class City(Location):
    \"\"\"A place where people live together. Examples: London, 北京\"\"\"
class Attack(Event):
    attacker: list[Person | Organization]
    from_: Location
"""

import ast
from collections.abc import Callable
from typing import TypeAlias

from kcx_jax.errors import UsageError
from kcx_jax.schema.base import identifier_to_role
from kcx_jax.schema.concepts import BASES, KIND_OF_BASE, Concept, Kind, Role
from kcx_jax.schema.docstrings import split_docstring

_IGNORED = (ast.Import, ast.ImportFrom, ast.Pass)


def read_source(text: str, where: str) -> tuple[Concept, ...]:
    """The concepts a Python source declares, in order.

    `where` names it in errors (`UsageError` with the line).
    """
    return read_classes(text, where, _read_class)


ClassReader: TypeAlias = Callable[[ast.ClassDef, dict[str, Kind], str], Concept | None]


def read_classes(text: str, where: str, read_class: ClassReader) -> tuple[Concept, ...]:
    """What `read_class` makes of each class of a source, given the kinds of the names declared above it."""
    try:
        module = ast.parse(text, filename=where)
        return _read_module(module, where, read_class)
    except SyntaxError as error:
        raise UsageError(f"{where}:{error.lineno or 1}: not Python: {error.msg}") from error
    except ValueError as error:  # NUL, or a lone surrogate
        raise UsageError(f"{where}: not Python: {error}") from error
    except (RecursionError, MemoryError) as error:
        raise UsageError(f"{where}: nested too deeply to be a schema") from error


def _read_module(module: ast.Module, where: str, read_class: ClassReader) -> tuple[Concept, ...]:
    kinds: dict[str, Kind] = dict(KIND_OF_BASE)
    concepts = []
    for statement in module.body:
        if isinstance(statement, _IGNORED) or is_constant(statement):
            continue
        if not isinstance(statement, ast.ClassDef):
            raise UsageError(
                f"{where}:{statement.lineno}: only imports and classes may stand in a schema file"
            )
        concept = read_class(statement, kinds, where)
        if concept is not None:
            kinds[concept.name] = concept.kind
            concepts.append(concept)
    return tuple(concepts)


def _read_class(statement: ast.ClassDef, kinds: dict[str, Kind], where: str) -> Concept:
    here = f"{where}:{statement.lineno}: class {statement.name}"
    bases = [last_name(base) for base in statement.bases]
    if len(bases) != 1 or bases[0] not in kinds or statement.keywords:
        raise UsageError(
            f"{here} needs one parent: Entity, Relation, Event or a class declared above it, "
            f"found ({', '.join(ast.unparse(base) for base in statement.bases)})"
        )
    kind = kinds[bases[0]]
    description, exemplars = split_docstring(ast.get_docstring(statement, clean=False) or "", kind)
    roles = []
    for member in statement.body:
        if isinstance(member, ast.Pass) or is_constant(member):
            continue
        if not (
            isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name) and member.value is None
        ):
            raise UsageError(
                f"{where}:{member.lineno}: class {statement.name} may hold a docstring and roles "
                "(attacker: list[Person]), nothing else"
            )
        role = identifier_to_role(member.target.id)
        roles.append(role_from_annotation(role, member.annotation, f"{where}:{member.lineno}: role {role!r}"))
    parent = None if bases[0] in BASES else bases[0]
    return Concept(statement.name, kind, parent, description, exemplars, tuple(roles))


def role_from_annotation(name: str, annotation: ast.expr, where: str) -> Role:
    """The role that ``name: annotation`` declares: a class, a union, or ``list[...]`` of either."""
    repeated = False
    annotation = _unwrap(annotation, where)
    if isinstance(annotation, ast.Subscript) and last_name(annotation.value) in ("list", "List"):
        repeated = True
        annotation = annotation.slice
    types = tuple(dict.fromkeys(_type_names(annotation, where)))
    return Role(name, types, repeated)


def _type_names(node: ast.expr, where: str) -> list[str]:
    """Names in a union, flattened: ``A | B``, ``Union[A, B]``, ``Optional[A]``; None is left out."""
    node = _unwrap(node, where)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _type_names(node.left, where) + _type_names(node.right, where)
    if isinstance(node, ast.Subscript) and last_name(node.value) in ("Union", "Optional"):
        members = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return [name for member in members for name in _type_names(member, where)]
    if isinstance(node, ast.Constant) and node.value is None:
        return []
    if name := last_name(node):
        return [name]
    raise UsageError(
        f"{where}: cannot read the type {ast.unparse(node)!r}. "
        "Write Person, Person | Organization, or list[...] of these"
    )


def _unwrap(node: ast.expr, where: str) -> ast.expr:
    """A quoted annotation (a forward reference) as the expression it holds."""
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        return node
    try:
        return ast.parse(node.value, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"{where}: cannot read the type {node.value!r}") from error


def last_name(node: ast.expr) -> str | None:
    """``Person`` of ``Person`` or ``module.Person``."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else None


def is_constant(statement: ast.stmt) -> bool:
    """A docstring or ``...``."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
