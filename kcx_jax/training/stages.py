"""Corpora of a config -> the token trees of its stages: one for each schema, task and language (pair)."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from kcx_jax.data import Forest, LengthLimit, TokenTree, cut_at, encode_tree, joined
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.prompts import PromptConfig
from kcx_jax.tokenizer import Tokenizer
from kcx_jax.training.config import DataSettings, TrainConfig
from kcx_jax.training.loop import Stage
from kcx_jax.training.mixture import Source, epoch_table, mix
from kcx_jax.training.packed import PackedFolder, rendering
from kcx_jax.training.rendered import rendered_parts

Say = Callable[[str], None]
Parts = Iterator[tuple[int, TokenTree]]
Item = TypeVar("Item")


def say_to_stderr(line: str) -> None:
    """Where lines go by default."""
    print(line, file=sys.stderr, flush=True)


def read_stages(config: TrainConfig, tokenizer: Tokenizer, max_positions: int, say: Say) -> list[Stage]:
    """The stages of a run with everything they learn from, rendered and encoded here or from `config.packed`; `say`
    gets a line a corpus.

    Raises `KcxError` for a missing or damaged corpus, a record that is not annotated for a task asked for,
    and (unless `config.allow_overlong`) a sample longer than `max_positions`; `UsageError` for a packed folder that
    another config or tokenizer made.
    """
    reader = CorpusReader(config, tokenizer, max_positions, say)
    packed = PackedFolder(config.packed, tokenizer, config.model) if config.packed else None
    stages: list[Stage] = []
    before: list[Source] = []
    for number, stage in enumerate(config.stages, 1):
        name = f"stage {number} ({stage.kind})"
        own = [_source(data, stage.kind, reader, packed) for data in stage.data]
        mixed = mix(own, stage.temperature, before, stage.replay)
        before += own
        trees = Forest(*(source.trees for source in mixed))
        if len(mixed) > 1:
            say(f"an epoch of {name} holds:")
            for line in epoch_table(mixed):
                say(f"  {line}")
        if config.packing == "tree" and min(len(trees), config.min_schemas_per_step) > config.rows_per_step:
            say(
                f"{name}: a step holds at most {config.rows_per_step} of its {len(trees)} different prompts, one a "
                f"row (min_schemas_per_step is {config.min_schemas_per_step}); more need a larger rows_per_step"
            )
        stages.append(Stage(name, trees, stage.epochs, stage.steps, stage.learning_rate))
    return stages


def _source(data: DataSettings, kind: str, reader: "CorpusReader", packed: PackedFolder | None) -> Source:
    """A corpus of a stage, from the packed folder where there is one."""
    if packed is None:
        return Source(data.path, reader.trees(data, kind), data.weight)
    trees, dropped = packed.trees(rendering(data, kind, reader.config, reader.max_positions))
    reader.tell(data, len(trees.sizes.inputs_S), dropped)
    return Source(data.path, trees, data.weight)


@dataclass(frozen=True)
class CorpusReader:
    """Renders and encodes corpora as a run asks for them; `say` gets a line a corpus."""

    config: TrainConfig
    tokenizer: Tokenizer
    max_positions: int
    say: Say

    def trees(self, data: DataSettings, kind: str) -> list[TokenTree]:
        """The trees of a corpus, in memory. Raises as `read_stages`."""
        return self.read(data, kind, joined)[0]

    def read(self, data: DataSettings, kind: str, taken: Callable[[Parts], Item]) -> tuple[Item, int]:
        """What `taken` makes of a corpus's trees, which come in parts (`kcx_jax.data.joined`), and how many samples
        were left out as too long. It is called again from the start where the trees turn out to be others: where
        samples would else not fit the model, the schema is split into class groups.

        Texts that take more than half of the positions by themselves are no reason to split. Raises as `read_stages`.
        """
        prompts = data.prompts.config(self.config.seed)
        cuts: dict[int, int] = {}
        while True:
            limit = LengthLimit(self.max_positions)
            try:
                result = taken(self._parts(data, kind, prompts, cuts, limit))
            except _ShorterPrefix as found:
                cuts[found.number] = found.tokens
                continue
            except UsageError as error:
                raise UsageError(f"{data.path}: {error}") from error
            most = (prompts.max_tokens or limit.longest_prefix) - limit.excess
            if limit.excess and most >= 1:
                self.say(
                    f"{data.path}: the schema is split into class groups of at most {most} tokens, so that every "
                    f"sample fits the model's {self.max_positions} positions"
                )
                prompts, cuts = replace(prompts, max_tokens=most), {}
                continue
            if not self.config.allow_overlong:
                limit.check()
            if limit.samples == limit.dropped:
                raise KcxError(f"{data.path}: no sample to learn from.")
            self.tell(data, limit.samples - limit.dropped, limit.dropped)
            return result, limit.dropped

    def _parts(
        self, data: DataSettings, kind: str, prompts: PromptConfig, cuts: dict[int, int], limit: LengthLimit
    ) -> Parts:
        """The encoded parts; `cuts` has the tokens of prefixes that an earlier pass found to be too long.

        Where a tokenizer joins the end of a prefix with what follows, a tree's prefix ends before what any of its
        branches changes (`encode_tree`). Raises `_ShorterPrefix` where a part shows that of the parts before it.
        """
        number, length = -1, 0
        for part in rendered_parts(data, kind, prompts, self.config.branches, self.tokenizer):
            tree = encode_tree(self.tokenizer, part.tree, part.language)
            if part.number != number:
                number, length = part.number, min(len(tree.prefix), cuts.get(part.number, len(tree.prefix)))
            if len(tree.prefix) < length:
                raise _ShorterPrefix(number, len(tree.prefix))
            fitting = limit.fitting(cut_at(tree, length))
            if fitting is not None:
                yield number, fitting

    def tell(self, data: DataSettings, samples: int, dropped: int) -> None:
        """The line of a corpus."""
        left_out = f", {dropped} left out as longer than {self.max_positions} tokens" if dropped else ""
        self.say(f"{data.path}: {samples} samples for {', '.join(data.tasks)}{left_out}")


class _ShorterPrefix(Exception):
    """The tree of a number has a prefix of fewer tokens than its first part has."""

    def __init__(self, number: int, tokens: int):
        super().__init__(number, tokens)
        self.number, self.tokens = number, tokens
