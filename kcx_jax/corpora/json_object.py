"""JSON values that came from outside, taken apart with complaints that name file, line and key."""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from kcx_jax.errors import KcxError


class JsonObject:
    """One JSON object with the place it came from, so that every complaint names file, line and key."""

    def __init__(self, value: Any, where: str, key: str = "") -> None:
        self.where, self.key = where, key
        if not isinstance(value, dict):
            raise KcxError(f"{where}: {key + ': ' if key else ''}must be an object, not {kind_of(value)}")
        self.value: Mapping[str, Any] = value

    def error(self, key: str, problem: str) -> KcxError:
        """A complaint about one key, to be raised."""
        path = f"{self.key}.{key}" if self.key else key
        return KcxError(f"{self.where}: {path}: {problem}")

    def only(self, *known: str) -> None:
        """Refuse keys that are not `known`, naming the nearest."""
        for key in self.value:
            if key not in known:
                near = get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
                raise self.error(key, f"unknown key; {hint}")

    def get(self, key: str, default: Any = None) -> Any:
        """The raw value."""
        return self.value.get(key, default)

    def string(self, key: str, empty: bool = False) -> str:
        """The string under `key`, which must be there (and not be "" unless `empty`)."""
        value = self.get(key)
        if not isinstance(value, str):
            raise self.error(
                key, f"must be a string, not {kind_of(value)}" if key in self.value else "is missing"
            )
        if not value and not empty:
            raise self.error(key, "must not be empty")
        return value

    def integer(self, key: str) -> int:
        """The integer under `key`, which must be there."""
        value = self.get(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.error(
                key, f"must be an integer, not {kind_of(value)}" if key in self.value else "is missing"
            )
        return value

    def items(self, key: str, parse: Callable[["JsonObject"], Any]) -> Any:
        """The list under `key`, each item parsed; None where the key is absent."""
        if key not in self.value:
            return None
        value = self.value[key]
        if not isinstance(value, list):
            raise self.error(
                key, f"must be a list, not {kind_of(value)} (leave the key out if not annotated)"
            )
        path = f"{self.key}.{key}" if self.key else key
        return tuple(parse(JsonObject(item, self.where, f"{path}[{i}]")) for i, item in enumerate(value))

    def parts(self) -> tuple[tuple[int, int], ...]:
        """The pairs of integers under "spans", if any."""
        value = self.get("spans", [])
        pairs = isinstance(value, list) and all(
            isinstance(p, list) and len(p) == 2 and all(type(x) is int for x in p) for p in value
        )
        if not pairs:
            raise self.error("spans", "must be a list of [start, end]")
        return tuple((start, end) for start, end in value)


def kind_of(value: Any) -> str:
    """What a JSON value is, in words for a message."""
    if value is None:
        return "null"
    names = {
        bool: "true/false",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), type(value).__name__)


def array(value: Any, where: str) -> list[Any]:
    """The list that `value` is; `KcxError` opening with `where` for anything else."""
    if not isinstance(value, list):
        raise KcxError(f"{where}: must be a list, not {kind_of(value)}")
    return value


def fields(value: Any, kinds: Sequence[type], where: str, form: str) -> list[Any]:
    """The values of a list that begins with these kinds; more may follow.

    Raises `KcxError` opening with `where`, which shows the `form` that was expected.
    """
    fits = isinstance(value, list) and len(value) >= len(kinds)
    if not fits or not all(type(x) is kind for x, kind in zip(value, kinds, strict=False)):
        raise KcxError(f"{where}: must be {form}")
    return list(value)
