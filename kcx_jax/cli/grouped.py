"""Options that belong together, declared once as a dataclass and taken by commands as one object."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_type_hints


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer reads it: each parameter that is a dataclass stands there as that class's fields."""
    groups: dict[str, type] = {}
    flat: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        group = parameter.annotation
        if isinstance(group, type) and is_dataclass(group):
            groups[parameter.name] = group
            flat += _parameters_of(group)
        else:
            flat.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def taking_all(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        command(**given)

    taking_all.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]
    taking_all.__annotations__ = {parameter.name: parameter.annotation for parameter in flat}
    return taking_all


def flat(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a `grouped` command, by name, with each group as its fields."""
    values: dict[str, Any] = {}
    for name, value in given.items():
        values |= vars(value) if is_dataclass(value) else {name: value}
    return values


def _parameters_of(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]
