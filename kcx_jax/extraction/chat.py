"""Answers from a chat endpoint: our code prompt, and a system message that says how to continue it."""

import re
from collections.abc import Iterable, Iterator, Sequence

from kcx_jax.extraction.answers import Answer, Question
from kcx_jax.llm import ChatClient, Reply, ReplyError
from kcx_jax.prompts import sentence_context

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
_LIST = re.compile(r"^[ \t]*(?:results[ \t]*=[ \t]*)?(?=\[)", re.MULTILINE)


class ChatAnswers:
    """An `AnswerSource` over a chat client. `max_tokens` bounds a reply; None leaves it to the endpoint."""

    def __init__(self, client: ChatClient, max_tokens: int | None = None):
        self.client = client
        self.max_tokens = max_tokens

    def stream(self, questions: Sequence[Question], texts: Iterable[str]) -> Iterator[tuple[Answer, ...]]:
        """See `AnswerSource`. Requests are sent several at a time."""
        prefixes = [question.prefix for question in questions]
        conversations = (
            [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": prefix + sentence_context(text)},
            ]
            for text in texts
            for prefix in prefixes
        )
        replies = self.client.complete_many(conversations, max_tokens=self.max_tokens, stage="extract")
        answers = (_answer(reply) for reply in replies)
        # One iterator, drawn from once a prefix, gives the answers in groups.
        yield from zip(*[answers] * len(prefixes), strict=True)


def code_of(reply: str) -> str:
    """The list that a reply wraps in a fence, prose or an assignment; the whole reply without one."""
    text = _FENCE.sub("", reply)
    start = _LIST.search(text)
    return text[start.end() :].rstrip() if start else reply


def _answer(reply: Reply | ReplyError) -> Answer:
    if isinstance(reply, ReplyError):
        return Answer("", "none", str(reply))
    return Answer(code_of(reply.text), "length" if reply.finish_reason == "length" else "stop")
