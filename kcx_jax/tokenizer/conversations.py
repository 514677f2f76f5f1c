"""Conversations as ids, in the formats of several families: their markers are symbols, whatever is typed stays text.

Baichuan2 (`chat`), ChatML (Qwen), and Llama 3's. A family is known by its symbols. Sources: the releases' templates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kcx_jax.errors import UsageError
from kcx_jax.tokenizer.chat import Message
from kcx_jax.tokenizer.face import Tokenizer

ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class ChatFormat:
    """What is written around a turn; ``{role}`` is its role. `end` is the symbol behind an answer, if there is one
    beside the tokenizer's end token. `system_first`: a system text stands at the beginning and has no marker.
    """

    symbol: str  # which of a tokenizer's symbols tells the family
    opening: str
    closing: str = ""
    begin: str = ""
    end: str | None = None
    markers: tuple[str, str] = ("user", "assistant")  # what {role} becomes
    system_first: bool = False


_FORMATS = (
    ChatFormat("<|im_start|>", "<|im_start|>{role}\n", "<|im_end|>\n", end="<|im_end|>"),
    ChatFormat(
        "<|start_header_id|>",
        "<|start_header_id|>{role}<|end_header_id|>\n\n",
        "<|eot_id|>",
        begin="<|begin_of_text|>",
        end="<|eot_id|>",
    ),
    ChatFormat("<reserved_106>", "{role}", markers=("<reserved_106>", "<reserved_107>"), system_first=True),
)


@dataclass(frozen=True)
class Conversation:
    """A conversation up to where its answer begins: what stands before the last turn, the last turn, and the ids that
    end the answer beside the end token.
    """

    before: tuple[int, ...]
    last: tuple[int, ...]
    end_ids: tuple[int, ...]


def conversation_ids(tokenizer: Tokenizer, messages: Sequence[Message]) -> Conversation:
    """The ids that the assistant's answer to `messages` is generated from.

    Raises `UsageError` for a tokenizer of no family known here, for no message, and for roles that cannot be.
    """
    form = _format_of(tokenizer)
    if not messages:
        raise UsageError("a conversation has at least one message.")
    turns = [_turn(tokenizer, form, number, message) for number, message in enumerate(messages)]
    begin = tokenizer.encode(form.begin, allow_special=True)
    answer = _opening(tokenizer, form, "assistant")
    end = () if form.end is None else tuple(tokenizer.encode(form.end, allow_special=True))
    before = [*begin, *(token for turn in turns[:-1] for token in turn)]
    return Conversation(tuple(before), (*turns[-1], *answer), end)


def _format_of(tokenizer: Tokenizer) -> ChatFormat:
    symbols = set(tokenizer.reserved)
    for form in _FORMATS:
        if form.symbol in symbols:
            return form
    known = ", ".join(form.symbol for form in _FORMATS)
    raise UsageError(
        f"the model's tokenizer has the symbols of no chat format known here ({known}): ask for a completion of a "
        "prompt instead (/v1/completions)."
    )


def _opening(tokenizer: Tokenizer, form: ChatFormat, role: str) -> list[int]:
    marker = dict(zip(("user", "assistant"), form.markers, strict=True)).get(role, role)
    return tokenizer.encode(form.opening.format(role=marker), allow_special=True)


def _turn(tokenizer: Tokenizer, form: ChatFormat, number: int, message: Message) -> list[int]:
    role, content = message["role"], tokenizer.encode(message["content"])
    if role not in ROLES:
        raise UsageError(f"message {number + 1} has the role {role!r}; there are {', '.join(ROLES)}.")
    if form.system_first and role == "system":
        if number:
            raise UsageError(f"message {number + 1}: this model's system text stands at the beginning alone.")
        return content
    closing = tokenizer.encode(form.closing, allow_special=True) if form.closing else []
    return [*_opening(tokenizer, form, role), *content, *closing]
