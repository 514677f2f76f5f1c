"""Prompt trees -> token trees: one cut between schema and sentence, one between sentence and answer."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from kcx_jax.errors import KcxError
from kcx_jax.tokenizer.cut import encode_below

if TYPE_CHECKING:
    from kcx_jax.prompts import PromptTree
    from kcx_jax.tokenizer import Tokenizer


@dataclass(frozen=True, eq=False)
class TokenBranch:
    """One sample below a prefix: int32 ids of its context (may be empty) and of its answer, end token
    included; of which record, in which language (of a pair, both), for messages.
    """

    context: np.ndarray
    answer: np.ndarray
    record_id: str = ""
    language: str = ""

    @property
    def inputs(self) -> int:
        """Tokens the model reads: all but the end token, which is only ever a target."""
        return len(self.context) + len(self.answer) - 1


class StoredBranches(Sequence[TokenBranch]):
    """Branches that are made one by one when they are asked for; their lengths are known without that."""

    @property
    @abstractmethod
    def inputs(self) -> np.ndarray:
        """Tokens that the model reads of each branch."""

    @property
    @abstractmethod
    def targets(self) -> np.ndarray:
        """Tokens of each branch's answer."""


@dataclass(frozen=True, eq=False)
class TokenTree:
    """int32 ids of a prefix and of any number of branches below it; `name` says what it is in messages, `passes`
    how often an epoch has each branch (on average: 0.5 is in every other epoch).

    Raises `KcxError` for a branch without context below an empty prefix: nothing could predict its first
    token.
    """

    prefix: np.ndarray
    branches: Sequence[TokenBranch]
    name: str = ""
    passes: float = 1.0

    def __post_init__(self) -> None:
        if not len(self.prefix):
            for number in np.flatnonzero(self.inputs < self.targets)[:1].tolist():
                raise KcxError(
                    f"{self.name} record {self.branches[number].record_id or number!r}: neither schema nor context "
                    "stands before its answer."
                )

    @cached_property
    def inputs(self) -> np.ndarray:
        """Tokens that the model reads of each branch."""
        if isinstance(self.branches, StoredBranches):
            return self.branches.inputs
        return np.array([branch.inputs for branch in self.branches], np.int32)

    @cached_property
    def targets(self) -> np.ndarray:
        """Tokens of each branch's answer."""
        if isinstance(self.branches, StoredBranches):
            return self.branches.targets
        return np.array([len(branch.answer) for branch in self.branches], np.int32)


def token_tree(
    prefix: Sequence[int], branches: Sequence[tuple[Sequence[int], Sequence[int]]], name: str = ""
) -> TokenTree:
    """A `TokenTree` from plain ids; every answer must already end with the end token."""
    return TokenTree(_ids(prefix), tuple(TokenBranch(_ids(c), _ids(a)) for c, a in branches), name)


def encode_tree(tokenizer: "Tokenizer", tree: "PromptTree", language: str = "") -> TokenTree:
    """Token ids of a prompt tree, every answer closed by the end token; `language` is that of its records.

    Prefix ids followed by a branch's ids are the ids of the joint text: where a branch's first characters
    change the prefix's last tokens, those tokens move into the branches. Raises `KcxError` naming the record
    when a context and its answer share a token, because decoding, which sees the context alone, could not
    start there.
    """
    contexts = [branch.context for branch in tree.branches]
    joint = [branch.context + branch.answer for branch in tree.branches]
    prefix_ids, ids = encode_below(tokenizer, tree.prefix, contexts + joint)
    cuts = list(zip(tree.branches, ids[: len(contexts)], ids[len(contexts) :], strict=True))
    for branch, context_ids, joint_ids in cuts:
        if joint_ids[: len(context_ids)] != context_ids:
            raise KcxError(
                f"record {branch.record_id!r}: the tokenizer joins the end of the context "
                f"{branch.context[-20:]!r} with the answer {branch.answer[:20]!r} in one token. Use a "
                "tokenizer whose pieces do not cross '= ['."
            )
    if cuts and tokenizer.encode(tree.prefix + joint[0]) != prefix_ids + cuts[0][2]:
        raise KcxError(
            f"record {tree.branches[0].record_id!r}: schema and sentence encoded apart differ from the joint "
            "text. The tokenizer adds tokens at the start of a text; switch that off (add_dummy_prefix, "
            "add_bos_token)."
        )
    branches = tuple(
        TokenBranch(
            _ids(context_ids),
            _ids([*joint_ids[len(context_ids) :], tokenizer.eos_id]),
            branch.record_id,
            language,
        )
        for branch, context_ids, joint_ids in cuts
    )
    return TokenTree(_ids(prefix_ids), branches, tree.task)


def _ids(ids: Sequence[int]) -> np.ndarray:
    return np.asarray(ids, dtype=np.int32)
