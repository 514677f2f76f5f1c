"""How much of each corpus an epoch holds: by size, weight and temperature, and what is replayed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from kcx_jax.data import Forest, TokenTree


@dataclass(frozen=True)
class Source:
    """The trees of one corpus; `weight` is that of its share in an epoch."""

    name: str
    trees: Sequence[TokenTree]
    weight: float = 1.0

    @property
    def samples(self) -> int:
        return len(self._forest.sizes.inputs_S)

    @property
    def drawn(self) -> float:
        """Samples that an epoch holds, on average."""
        return float(self._forest.passes_N @ self._forest.sizes.counts_N)

    @cached_property
    def _forest(self) -> Forest:
        return Forest(self.trees)

    def drawn_as(self, samples: float) -> "Source":
        """The source, of which an epoch holds so many samples."""
        passes = float(f"{samples / self.samples:.9g}")  # once is once, whatever the rounding of the shares
        return replace(self, trees=self._forest.drawn(passes))


def mix(
    sources: Sequence[Source], temperature: float, replayed: Sequence[Source] = (), replay: float = 0.0
) -> list[Source]:
    """The sources as an epoch holds them: shares by weight x size^(1 / temperature), as many samples in all as
    they have. The `replayed` ones come on top, by their sizes, as the share `replay` of the whole.
    """
    total = sum(source.samples for source in sources)
    parts = [source.weight * source.samples ** (1 / temperature) for source in sources]
    mixed = [source.drawn_as(total * part / sum(parts)) for source, part in zip(sources, parts, strict=True)]
    if not replay:
        return mixed
    again = total * replay / (1 - replay)
    size = sum(source.samples for source in replayed)
    return mixed + [source.drawn_as(again * source.samples / size) for source in replayed]


def epoch_table(sources: Sequence[Source]) -> list[str]:
    """Lines that say what an epoch holds of each source."""
    total = sum(source.drawn for source in sources)
    width = max(len(source.name) for source in sources)
    return [
        f"{source.name:<{width}}  {source.samples:>11,} samples, {source.drawn:>13,.1f} an epoch "
        f"({source.drawn / source.samples:.2f} passes), {source.drawn / total:6.1%}"
        for source in sources
    ]
