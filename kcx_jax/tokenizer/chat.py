"""Baichuan2's chat format: a marker before every turn, nothing between them.

A prompt is the system text, then for each turn its role's marker and its text, then the assistant's marker. Source:
the release's `generation_utils.py` and `fine-tune.py`; goldens of both are in the tests.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kcx_jax.errors import UsageError
from kcx_jax.tokenizer.face import Tokenizer

USER_ID, ASSISTANT_ID = 195, 196
IGNORED = -100  # the label of a token that is not learnt

Message = Mapping[str, str]  # {"role": "system" | "user" | "assistant", "content": text}
_MARKERS = {"user": USER_ID, "assistant": ASSISTANT_ID}


class LabelledIds(NamedTuple):
    """A sample of supervised tuning: ids, and the label of each."""

    input_ids: list[int]
    labels: list[int]


def chat_ids(
    tokenizer: Tokenizer, messages: Sequence[Message], max_new_tokens: int, max_positions: int
) -> list[int]:
    """The ids that an answer is generated from.

    Of a conversation that does not leave room for `max_new_tokens` the newest whole rounds stay (a round begins with a
    user's turn); if even the last one is too long, its end stays. Text that spells a marker stays text. Raises
    `UsageError` for an unknown role, or a system text that is not at the beginning.
    """
    room = max_positions - max_new_tokens
    if room < 1:
        raise UsageError(f"{max_new_tokens} new tokens leave no room in {max_positions} positions.")
    system, rounds = _rounds(tokenizer, messages)
    left = room - len(system) - 1
    kept: list[int] = []
    for one in reversed(rounds):
        if kept and len(kept) + len(one) > left:
            break
        kept = one + kept
    return [*system, *kept, ASSISTANT_ID][-room:]


def _rounds(tokenizer: Tokenizer, messages: Sequence[Message]) -> tuple[list[int], list[list[int]]]:
    """The ids of the system text, and of each round."""
    system: list[int] = []
    rounds: list[list[int]] = []
    for number, message in enumerate(messages):
        role, ids = message["role"], tokenizer.encode(message["content"])
        if role == "system" and number == 0:
            system = ids
        elif role not in _MARKERS:
            raise UsageError(
                f"message {number + 1} has the role {role!r}; a conversation has at most one system text, at its "
                "beginning, and turns of user and assistant."
            )
        else:
            if role == "user" or not rounds:
                rounds.append([])
            rounds[-1] += [_MARKERS[role], *ids]
    return system, rounds


def tuning_sample(tokenizer: Tokenizer, conversation: Sequence[Message], max_length: int) -> LabelledIds:
    """A conversation as the release tunes on it, cut on the right at `max_length`.

    The assistant's text and the end token are learnt; so is, in place of a user's marker, the end token.
    """
    ids: list[int] = []
    labels: list[int] = []
    for message in conversation:
        text = tokenizer.encode(message["content"])
        if message["role"] == "user":
            ids += [USER_ID, *text]
            labels += [tokenizer.eos_id, *[IGNORED] * len(text)]
        else:
            ids += [ASSISTANT_ID, *text]
            labels += [IGNORED, *text]
    return LabelledIds([*ids, tokenizer.eos_id][:max_length], [*labels, tokenizer.eos_id][:max_length])
