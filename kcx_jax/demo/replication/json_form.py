"""The same samples with JSON in place of code: the question in words, the answer as one object.

The question is the one that a chat model gets (`evaluation.runs.json_prompt`), and the answer is read as a chat
model's is. A kind of which a sentence holds nothing is left out of its answer.
"""

import json
from collections.abc import Sequence
from typing import Any

from kcx_jax.corpora import Record
from kcx_jax.decoding import Generator
from kcx_jax.evaluation import Answered
from kcx_jax.evaluation.runs.json_prompt import conversation
from kcx_jax.prompts import Branch, PromptTree, answer_instances
from kcx_jax.schema import Entity, Event, Relation, Schema, Task
from kcx_jax.scoring.raw import grounded_answer, parse_raw
from kcx_jax.scoring.raw.claims import Labels

_SENTENCE = "Sentence: "


def json_tree(tree: PromptTree, records: Sequence[Record], task: Task) -> PromptTree:
    """`tree`, which asks for `task` about some of `records`, with its questions and answers in JSON.

    Raises what `answer_instances` raises.
    """
    by_id = {record.id: record for record in records}
    branches = []
    for branch in tree.branches:
        record = by_id[branch.record_id]
        branches.append(Branch(_context(record.text), _answer(record, tree.schema, task), record.id))
    return PromptTree(tree.task, _prefix(tree.schema, task), tuple(branches), tree.schema)


def json_answers(
    generator: Generator, records: Sequence[Record], schema: Schema, task: Task, max_new_tokens: int
) -> list[Answered]:
    """What a model tuned on `json_tree` answers, in the order of `records`; greedy, held to nothing."""
    contexts = [_context(record.text) for record in records]
    labels = Labels(schema)
    answered = []
    found = generator.generate(_prefix(schema, task), contexts, max_new_tokens)
    for record, generated in zip(records, found, strict=True):
        parsed = parse_raw(generated.text, "chat", task, labels, schema, record.text)
        answered.append(Answered(record.id, generated.text, grounded_answer(parsed, record, task)))
    return answered


def _prefix(schema: Schema, task: Task) -> str:
    question = conversation(schema, task, "")[1]["content"]
    return question[: question.rindex(_SENTENCE)]


def _context(text: str) -> str:
    return f"{_SENTENCE}{json.dumps(text, ensure_ascii=False)}\nReply:"


def _answer(record: Record, schema: Schema, task: Task) -> str:
    kinds: dict[str, list[Any]] = {}
    for instance in answer_instances(record, schema, task):
        kinds.setdefault(type(instance).__name__, []).append(_item(instance, task))
    return f" {json.dumps(kinds, ensure_ascii=False)}"


def _item(instance: Entity | Relation | Event, task: Task) -> Any:
    match instance:
        case Entity():
            return instance.text
        case Relation():
            return {"subject": instance.head.text, "object": instance.tail.text}
    if task == "ed":
        return instance.trigger
    arguments = {role: [_text(value) for value in values] for role, values in instance.arguments.items()}
    return {"trigger": instance.trigger, "arguments": arguments}


def _text(value: Entity | str) -> str:
    return value if isinstance(value, str) else value.text
