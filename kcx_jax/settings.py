"""Settings in YAML files: frozen, unknown keys refused with the nearest name, every fault named at once."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from kcx_jax.errors import UsageError


class Settings(BaseModel):
    """Base of every part of a config: frozen, and an unknown key is an error that names the nearest one."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, values: Any) -> Any:
        if isinstance(values, dict):
            known = [field.alias or name for name, field in cls.model_fields.items()]
            for key in values:
                if key not in known and key not in cls.model_fields:
                    near = difflib.get_close_matches(str(key), known, n=1)
                    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}."
                    raise ValueError(f"unknown key {str(key)!r}; {hint}")
        return values


S = TypeVar("S", bound=Settings)


def read_values(path: str | Path, sets: Iterable[str] = ()) -> dict:
    """The keys and values of a YAML file, changed by `a.b=c` settings (list items by number: `stages.0.epochs=2`).

    Raises `UsageError` naming the file, or the setting, for a missing file or bad YAML.
    """
    path = Path(path)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"cannot read the config {path}: {getattr(error, 'strerror', None) or error}"
        ) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UsageError(f"{path} is not YAML: {error or 'nested too deeply'}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path}: expected keys and values, found {type(values).__name__}.")
    for setting in sets:
        _apply(values, setting)
    return values


def checked(kind: type[S], values: dict, where: str) -> S:
    """Settings of a kind, of plain values; `UsageError` naming every wrong key."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        faults = []
        for fault in error.errors():
            key = ".".join(str(part) for part in fault["loc"])
            faults.append(f"{key + ': ' if key else ''}{fault['msg'].removeprefix('Value error, ')}")
        raise UsageError(f"{where}: {'; '.join(faults)}") from error


def _apply(values: dict, setting: str) -> None:
    """Change `values` in place by one `a.b=c`."""
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise UsageError(
            f"--set {setting}: write it as key=value, such as --set optimiser.learning_rate=1e-4"
        )
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UsageError(f"--set {setting}: the value is not YAML: {error or 'nested too deeply'}") from error
    *parents, last = key.split(".")
    place: Any = values
    for part in parents:
        place = place.setdefault(part, {}) if isinstance(place, dict) else _item(place, part, setting)
    if isinstance(place, dict):
        place[last] = value
    else:
        _item(place, last, setting)
        place[int(last)] = value


def _item(place: Any, part: str, setting: str) -> Any:
    if not isinstance(place, list) or not part.isdigit() or int(part) >= len(place):
        raise UsageError(f"--set {setting}: the config has nothing at {part!r}.")
    return place[int(part)]
