"""Answers from a chat endpoint: our code prompt, and a system message that says how to continue it."""

import math
import re
from collections.abc import Iterable, Iterator

from kcx_jax.extraction.answers import Answer, Ask, Figures, Room
from kcx_jax.llm import ChatClient, Reply, ReplyError
from kcx_jax.llm.tokens import BYTES_PER_TOKEN
from kcx_jax.scoring.raw.partial_json import without_thought

SYSTEM = """\
You complete Python code that lists what a sentence says. The user shows class definitions, a comment that \
names the task, and a sentence. Write the value of `results` and nothing else: one Python list, without an \
explanation and without a code fence.

Use only the classes shown. Copy every string from the sentence character by character. List one item for \
every mention, in the order of the sentence; the same words twice are two items. Items look like this:
NER: [Person("Ada Lovelace"), City("London")]
RE: [BirthPlace(Person("Ada Lovelace"), City("London"))]
ED: [Attack("attacked")]
EAE: [Attack("attacked", attacker=[Person("the rebels")], time=["3 May"])]
Leave out roles that the sentence does not fill. If there is nothing to list, write []."""

_FENCE = re.compile(r"^[ \t]*```[\w+-]*[ \t]*$", re.MULTILINE)
_LISTS = [
    re.compile(rf"^[ \t]*(?:results[ \t]*=[ \t]*)?(?={first})", re.MULTILINE)
    for first in (r"\[\s*(?:\]|\w+\s*\()", r"\[")  # of instances, or of none; else of whatever
]


class ChatAnswers:
    """An `AnswerSource` over a chat client.

    `max_tokens` bounds a reply; None leaves it to the endpoint. `context_tokens` is how many tokens a request and its
    reply may have together, as far as that is known: larger schemas are split, longer texts cut (tokens are guessed
    from bytes).
    """

    def __init__(self, client: ChatClient, max_tokens: int | None = None, context_tokens: int | None = None):
        self.client = client
        self.max_tokens, self.context_tokens = max_tokens, context_tokens
        self._answers = self._tokens = self._cached = 0

    @property
    def room(self) -> Room | None:
        """See `AnswerSource`."""
        if self.context_tokens is None:
            return None
        left = max(0, self.context_tokens - _tokens(SYSTEM))
        return Room.of(left, self.max_tokens, _tokens)

    @property
    def figures(self) -> Figures:
        """See `AnswerSource`."""
        return Figures(self._answers, None, self._tokens, self._cached)

    def stream(self, asks: Iterable[Ask]) -> Iterator[Answer]:
        """See `AnswerSource`. Requests are sent several at a time."""
        conversations = (
            [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": ask.question.prefix + ask.context},
            ]
            for ask in asks
        )
        for reply in self.client.complete_many(conversations, max_tokens=self.max_tokens, stage="extract"):
            if isinstance(reply, Reply):
                self._tokens += reply.usage.input_tokens or 0
                self._cached += reply.usage.cached_tokens or 0
            self._answers += 1
            yield _answer(reply)


def _tokens(text: str) -> int:
    """How many tokens a text is, about; rather too many."""
    return math.ceil(len(text.encode("utf-8")) / BYTES_PER_TOKEN)


def code_of(reply: str) -> str:
    """The list that a reply wraps in a fence, prose or an assignment; without one all but what was thought before."""
    reply, _ = without_thought(reply)
    text = _FENCE.sub("", reply)
    starts = (found for each in _LISTS if (found := each.search(text)))
    start = next(starts, None)
    return text[start.end() :].rstrip() if start else reply


def _answer(reply: Reply | ReplyError) -> Answer:
    if isinstance(reply, ReplyError):
        return Answer("", "none", str(reply))
    return Answer(code_of(reply.text), "length" if reply.finish_reason == "length" else "stop")
