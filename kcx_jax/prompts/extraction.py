"""Stage 2 and inference: a schema and a task, then sentences with their answers.

    class Person(Entity):
        \"\"\"A human being. Examples: Ada Lovelace, 李白\"\"\"
    # NER: list every entity in the sentence, in order.
    sentence = "Ada Lovelace was born in London."
    results = [Person("Ada Lovelace")]

Everything up to the task line is the prefix; the two lines of a sentence are a branch. The wording is this
project's own (the paper does not state one).
"""

from collections.abc import Iterable

from kcx_jax.corpora import Record
from kcx_jax.prompts.instances import answer_instances
from kcx_jax.prompts.tree import Branch, PromptTree
from kcx_jax.schema import Schema, Task, quote, render_answer, render_schema

TASK_LINES: dict[Task, str] = {
    "ner": "# NER: list every entity in the sentence, in order.",
    "re": "# RE: list every relation between two entities of the sentence, in order.",
    "ed": "# ED: list the trigger of every event in the sentence, in order.",
    "eae": "# EAE: list every event in the sentence with its arguments, in order.",
}


def extraction_prefix(schema: Schema, task: Task) -> str:
    """What all sentences share: the classes the task needs, then the task's line, ending in a newline."""
    return f"{render_schema(schema.for_task(task))}{TASK_LINES[task]}\n"


def sentence_context(text: str) -> str:
    """The lines that put a sentence and ask for its results."""
    return f"sentence = {quote(text)}\nresults ="


def answer_text(record: Record, schema: Schema, task: Task) -> str:
    """The answer of a record as it follows ``results =``: a space, then the list."""
    return f" {render_answer(answer_instances(record, schema, task))}"


def extraction_branch(source: Record | str, schema: Schema, task: Task) -> Branch:
    """The branch of an annotated record, with its answer, or of a bare text, whose answer is to be found.

    Raises `KcxError` when the record is not annotated for the task (`answer_instances`).
    """
    if isinstance(source, str):
        return Branch(sentence_context(source), "", "")
    return Branch(sentence_context(source.text), answer_text(source, schema, task), source.id)


def extraction_tree(schema: Schema, records: Iterable[Record], task: Task) -> PromptTree:
    """One prefix and a branch a record, in the order given."""
    branches = tuple(extraction_branch(record, schema, task) for record in records)
    return PromptTree(task, extraction_prefix(schema, task), branches, schema.for_task(task))
