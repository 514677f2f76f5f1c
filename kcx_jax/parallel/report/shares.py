"""A share that was counted, with the interval its true value lies in."""

import math
from dataclasses import dataclass
from typing import Any

# Of a normal distribution, 95 % lie within so many standard deviations.
Z = 1.959963984540054


@dataclass(frozen=True)
class Share:
    """`count` of `of` records. Of none, nothing is known: `value` and `interval` are None."""

    count: int
    of: int

    @property
    def value(self) -> float | None:
        """The share, in [0, 1]."""
        return self.count / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval by Wilson's score, which holds near 0 and 1 too."""
        if not self.of:
            return None
        p, n = self.count / self.of, self.of
        middle = p + Z * Z / (2 * n)
        reach = Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
        scale = 1 + Z * Z / n
        # What rounding adds must not put the share itself outside.
        return min(p, max(0.0, (middle - reach) / scale)), max(p, min(1.0, (middle + reach) / scale))

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        low, high = self.interval or (None, None)
        return {"count": self.count, "of": self.of, "share": self.value, "low": low, "high": high}
