"""Settings in YAML files: frozen, unknown keys refused with the nearest name, every fault named at once."""

import difflib
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


def read_values(path: str | Path) -> dict:
    """The keys and values of a YAML file. Raises `UsageError` naming it for a missing file or bad YAML."""
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
