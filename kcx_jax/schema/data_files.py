"""YAML and JSON read strictly: a key written twice is an error, not the loss of its first value."""

import functools
import json
from typing import Any

from kcx_jax.errors import UsageError


def read_yaml(text: str, where: str) -> Any:
    """The value of a YAML text. Raises `UsageError` with file and line."""
    import yaml

    try:
        return yaml.load(text, Loader=_strict_loader())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise UsageError(f"{where}:{line}: not YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UsageError(f"{where}: not YAML: {error or 'nested too deeply'}") from error


def read_json(text: str, where: str) -> Any:
    """The value of a JSON text. Raises `UsageError` with file and line."""
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, where))
    except json.JSONDecodeError as error:
        raise UsageError(f"{where}:{error.lineno}: not JSON: {error.msg}") from error
    except RecursionError as error:
        raise UsageError(f"{where}: not JSON: nested too deeply") from error


def _unique(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UsageError(f"{where}: key {twice!r} is written twice")
    return value


@functools.cache
def _strict_loader():
    import yaml

    base: Any = getattr(
        yaml, "CSafeLoader", yaml.SafeLoader
    )  # libyaml, where PyYAML has it, is ten times as fast

    class StrictLoader(base):
        def construct_mapping(self, node, deep=False):
            seen = set()
            for key_node, _ in node.value:
                key = self.construct_object(key_node, deep=True)
                if not isinstance(key, str):
                    raise yaml.constructor.ConstructorError(
                        problem=f"key {key_node.value!r} is no text: quote it",
                        problem_mark=key_node.start_mark,
                    )
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        problem=f"key {key!r} is written twice", problem_mark=key_node.start_mark
                    )
                seen.add(key)
            return super().construct_mapping(node, deep)

    return StrictLoader
