"""The task put to a chat model in words and JSON, without any code: classes as a list, the answer as one object."""

import json
from collections.abc import Sequence

from kcx_jax.corpora import Mention
from kcx_jax.prompts.extraction import TASK_LINES
from kcx_jax.prompts.splitting import listed_concepts
from kcx_jax.schema import Concept, Schema, Task

SYSTEM = """\
You read a sentence and write down what it says of the kinds that the user lists. Your whole reply is one JSON \
object, without an explanation and without a code fence. Its keys are the names of the kinds, as they are listed; a \
kind of which the sentence holds nothing has an empty list. Copy every text from the sentence character by character, \
and list the same words twice where they are said twice."""

_FORMS: dict[Task, str] = {
    "ner": '{"Person": ["Ada Lovelace"], "City": ["London"]}',
    "re": '{"BirthPlace": [{"subject": "Ada Lovelace", "object": "London"}]}',
    "ed": '{"Attack": ["attacked"]}',
    "eae": '{"Attack": [{"trigger": "attacked", "arguments": {"attacker": ["the rebels"], "time": ["3 May"]}}]}',
}


def conversation(schema: Schema, task: Task, text: str, pair: Sequence[Mention] = ()) -> list[dict[str, str]]:
    """The messages that ask for `task` about one sentence, and about the `pair` in it where one is given. The same
    classes, in other words, as the code prompt's.
    """
    kinds = "".join(_kind(schema, concept, task) for concept in listed_concepts(schema.for_task(task), task))
    sentence = json.dumps(text, ensure_ascii=False)
    content = f"{TASK_LINES[task]}\nKinds:\n{kinds}Form of the reply: {_FORMS[task]}\nSentence: {sentence}"
    if pair:
        ends = " and ".join(f"{json.dumps(each.text, ensure_ascii=False)} ({each.type})" for each in pair)
        content += f"\nOnly what relates these two: {ends}"
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": content}]


def _kind(schema: Schema, concept: Concept, task: Task) -> str:
    """A line for a kind: its name, what stands at its ends or in its roles, and its description."""
    roles = schema.roles_of(concept.name) if task in ("re", "eae") else ()
    if task == "re":
        subject, target = (" or ".join(role.types) for role in roles)
        ends = f" (subject: {subject}; object: {target})"
    else:
        ends = f" (arguments: {', '.join(role.name for role in roles)})" if roles else ""
    words = f": {concept.docstring}" if concept.docstring else ""
    return f"- {concept.name}{ends}{words}\n"
