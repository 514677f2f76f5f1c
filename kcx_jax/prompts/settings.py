"""What may vary between the prompts of one schema. The defaults vary nothing."""

from dataclasses import dataclass, fields
from typing import Any

from kcx_jax.errors import UsageError


@dataclass(frozen=True)
class PromptConfig:
    """How the prompt of a tree is drawn from a schema, once a tree.

    negatives: how many classes stay that none of the tree's records has; None: all of them.
    negative_ratio: the same as a multiple of the classes the records have; not beside `negatives`.
    exemplars: how many a class shows; None: those that the schema declares.
    description_dropout: the share of classes that lose their description.
    shuffle: whether the classes come in another order.
    max_classes: how many classes one prompt asks for; more of them are split into several prompts.
    max_tokens: how long a prompt's schema may be; a longer one is split into several prompts.
    pair: whether RE is given the pair of each record.

    Raises `UsageError` naming the setting for a value of the wrong type or out of its range.
    """

    negatives: int | None = None
    negative_ratio: float | None = None
    exemplars: int | None = None
    description_dropout: float = 0.0
    shuffle: bool = False
    max_classes: int | None = None
    max_tokens: int | None = None
    pair: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("negatives", 0), ("exemplars", 0), ("max_classes", 1), ("max_tokens", 1)):
            value = getattr(self, name)
            if value is not None:
                _check(name, value, _is_whole(value) and value >= least, f"a whole number from {least} on")
        _check("seed", self.seed, _is_whole(self.seed), "a whole number")
        for name in ("shuffle", "pair"):
            _check(name, getattr(self, name), isinstance(getattr(self, name), bool), "true or false")
        share, ratio = self.description_dropout, self.negative_ratio
        _check("description_dropout", share, _is_number(share) and 0 <= share <= 1, "a number from 0 to 1")
        if ratio is not None:
            _check("negative_ratio", ratio, _is_number(ratio) and 0 <= ratio < 1e6, "a number from 0 on")
            if self.negatives is not None:
                raise UsageError("negatives and negative_ratio say the same thing twice: give one of them")

    @property
    def varies(self) -> bool:
        """Whether a tree's prompt depends on its records or its key."""
        still = PromptConfig(
            max_classes=self.max_classes, max_tokens=self.max_tokens, pair=self.pair, seed=self.seed
        )
        return any(getattr(self, each.name) != getattr(still, each.name) for each in fields(self))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or isinstance(value, float)


def _check(name: str, value: Any, sound: bool, wanted: str) -> None:
    if not sound:
        raise UsageError(f"{name} is {value!r}: must be {wanted}")
