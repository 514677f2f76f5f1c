"""KnowCoder's class definitions -> concepts, read with `ast` and never run.

What its prompts hold and Python or our schemas do not: roles that are keywords of Python, parents that are
never defined, a class called like a base class, and behind the classes the task in a string of its own.
"""

import ast
import re

from kcx_jax.errors import UsageError
from kcx_jax.schema import docstrings
from kcx_jax.schema.base import Entity, identifier_to_role
from kcx_jax.schema.concepts import BASES, RESERVED_NAMES, Concept, Kind, Role
from kcx_jax.schema.docstrings import one_line, split_exemplars
from kcx_jax.schema.source import last_name, read_classes, role_from_annotation
from kcx_jax.schema.strings import quote

ENDS = ("head_entity", "tail_entity")
TAKEN = frozenset({"self", "trigger"})  # names a constructor holds beside the roles
MARKER = "Examples:"

_KEYWORD = r"(?:from|to|in|is|as|for|with|class|import|global|pass|return|while|or|and|not|if|else|try)"
_KEYWORD_PARAMETER = re.compile(rf"^(\s+{_KEYWORD})(?=[ \t]*:[ \t]*List[ \t]*\[)", re.MULTILINE)
_KEYWORD_ATTRIBUTE = re.compile(rf"^(\s+self\.{_KEYWORD})[ \t]*=.*$", re.MULTILINE)
_TASK = re.compile(r'^"""', re.MULTILINE)
_PAIR = re.compile(r"\((?:(?!\),\s*\().)*\)")
_BETWEEN_PAIRS = re.compile(r"(?<=\)),\s*(?=\()")
_DESCRIPTION = re.compile(r"\s*Description:")


def read_schema(text: str, where: str) -> tuple[Concept, ...]:
    """The concepts that KnowCoder's classes, or a whole prompt of it, declare.

    Base classes are skipped; a parent that is nowhere defined is left out; a class called like a base class
    gets an underscore behind its name and keeps the old one as its label. Raises `UsageError` with the line
    in `where`.
    """
    classes = _before_task(text)
    classes = _KEYWORD_PARAMETER.sub(r"\1_", classes)
    classes = _KEYWORD_ATTRIBUTE.sub(_assigned_again, classes)
    lines = re.split(r"\r\n|\r|\n", classes)  # the lines that `ast` counts
    renamed: dict[str, str] = {}

    def read_class(statement: ast.ClassDef, kinds: dict[str, Kind], where: str) -> Concept | None:
        return _read_class(statement, kinds, where, lines, renamed)

    return read_classes(classes, where, read_class)


def _before_task(text: str) -> str:
    """The part of a prompt that holds the classes: what follows is no Python, since its text is raw."""
    task = _TASK.search(text, text.find("class "))
    return text[: task.start()] if task else text


def _assigned_again(match: re.Match[str]) -> str:
    indent = re.match(r"\s+", match.group())
    assert indent is not None
    return f"{indent.group()}pass"


def _read_class(
    statement: ast.ClassDef, kinds: dict[str, Kind], where: str, lines: list[str], renamed: dict[str, str]
) -> Concept | None:
    here = f"{where}:{statement.lineno}: class {statement.name}"
    bases = [last_name(base) for base in statement.bases]
    if not bases and statement.name in BASES:
        return None
    if len(bases) != 1 or bases[0] is None or statement.keywords:
        raise UsageError(f"{here} needs one parent, found ({', '.join(map(ast.unparse, statement.bases))})")
    base = renamed.get(bases[0], bases[0])
    constructor = _constructor(statement, where)
    kind = kinds[base] if base in kinds else _kind_of(constructor)
    name = f"{statement.name}_" if statement.name in RESERVED_NAMES else statement.name
    if name != statement.name:
        renamed[statement.name] = name
    docstring = _DESCRIPTION.sub("", ast.get_docstring(statement, clean=False) or "", count=1)
    description, listed = _divide(docstring)
    exemplars = _split_exemplars(listed, kind)
    roles: tuple[Role, ...] = ()
    if constructor is not None and kind == "relation":
        roles = _relation_roles(constructor, here)
    elif constructor is not None and kind == "event":
        roles = _event_roles(constructor, here)
        exemplars += _exemplars_in_comment(constructor, lines)
    parent = base if base in kinds and base not in BASES else None
    label = statement.name if name != statement.name else None
    return Concept(name, kind, parent, one_line(description), exemplars, roles, label)


def _constructor(statement: ast.ClassDef, where: str) -> ast.FunctionDef | None:
    for member in statement.body:
        if isinstance(member, ast.FunctionDef) and member.name == "__init__":
            return member
        if not isinstance(member, ast.Pass | ast.Expr):
            raise UsageError(
                f"{where}:{member.lineno}: class {statement.name} may hold a docstring and __init__, nothing else"
            )
    return None


def _kind_of(constructor: ast.FunctionDef | None) -> Kind:
    """What a class with an undefined parent is, by what its constructor takes."""
    parameters = {each.arg for each in constructor.args.args} if constructor else set()
    if ENDS[0] in parameters:
        return "relation"
    return "event" if "trigger" in parameters else "entity"


def _relation_roles(constructor: ast.FunctionDef, here: str) -> tuple[Role, ...]:
    given = {each.arg: each.annotation for each in constructor.args.args}
    return tuple(
        role_from_annotation(role, annotation, f"{here}, {end}")
        for end, role in zip(ENDS, ("head", "tail"), strict=True)
        if (annotation := given.get(end)) is not None
    )


def _event_roles(constructor: ast.FunctionDef, here: str) -> tuple[Role, ...]:
    """Typed parameters behind the trigger, or the strings in a list called ``arg_names``."""
    roles = [
        role_from_annotation(identifier_to_role(each.arg, TAKEN), each.annotation, f"{here}, {each.arg!r}")
        for each in constructor.args.args
        if each.arg not in TAKEN and each.annotation is not None
    ]
    for statement in constructor.body:
        if (
            isinstance(statement, ast.Assign)
            and last_name(statement.targets[0]) == "arg_names"
            and isinstance(statement.value, ast.List)
        ):
            names = [each.value for each in statement.value.elts if isinstance(each, ast.Constant)]
            roles += [Role(str(name), (Entity.__name__,), repeated=True) for name in names]
    return tuple(roles)


def _exemplars_in_comment(constructor: ast.FunctionDef, lines: list[str]) -> tuple[str, ...]:
    """The trigger's exemplars, in the comment behind that parameter."""
    for parameter in constructor.args.args:
        if parameter.arg == "trigger":
            _, found, listed = lines[parameter.lineno - 1].partition(f"# {MARKER}")
            return split_exemplars(listed) if found else ()
    return ()


def _divide(docstring: str) -> tuple[str, str]:
    """Description and exemplars of a docstring: the marker starts a line, behind the description's."""
    found = re.search(rf"\n\s*{MARKER}", docstring)
    return (docstring[: found.start()], docstring[found.end() :]) if found else (docstring, "")


def _split_exemplars(listed: str, kind: Kind) -> tuple[str, ...]:
    if kind == "relation" and listed.lstrip().startswith("("):
        return tuple(_BETWEEN_PAIRS.split(one_line(listed)))
    return split_exemplars(listed)


def compose_exemplars(exemplars: tuple[str, ...], kind: Kind) -> str:
    """Exemplars as they are listed: pairs of a relation plain, anything unusual quoted."""
    if kind == "relation":
        if all(_PAIR.fullmatch(each) and each == one_line(each) and each.isprintable() for each in exemplars):
            return ", ".join(exemplars)
        return ", ".join(map(quote, exemplars))
    return ", ".join(
        docstrings.compose_exemplars((each,), MARKER) if each.isprintable() else quote(each)
        for each in exemplars
    )
