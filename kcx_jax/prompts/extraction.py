"""Stage 2 and inference: a schema and a task, then sentences with their answers.

    class Person(Entity):
        \"\"\"A human being. Examples: Ada Lovelace, 李白\"\"\"
    # NER: list every entity in the sentence, in order.
    sentence = "Ada Lovelace was born in London."
    results = [Person("Ada Lovelace")]

Everything up to the task line is the prefix; the lines of a sentence are a branch. Where a corpus gives the
two mentions whose relation is asked for, a line names them, and no relation between them is an empty list:

    sentence = "Ada Lovelace was born in London."
    pair = Person("Ada Lovelace"), City("London")
    results = [BirthPlace(Person("Ada Lovelace"), City("London"))]

The wording is this project's own (the paper does not state one).
"""

from collections.abc import Iterable, Sequence

from kcx_jax.corpora import Record
from kcx_jax.corpora.pairs import of_the_pair, pair_of
from kcx_jax.errors import UsageError
from kcx_jax.prompts.instances import answer_instances, entity_instance
from kcx_jax.prompts.tree import Branch, PromptTree
from kcx_jax.schema import Entity, Schema, Task, quote, render_answer, render_schema

TASK_LINES: dict[Task, str] = {
    "ner": "# NER: list every entity in the sentence, in order.",
    "re": "# RE: list every relation between two entities of the sentence, in order.",
    "ed": "# ED: list the trigger of every event in the sentence, in order.",
    "eae": "# EAE: list every event in the sentence with its arguments, in order.",
}


def extraction_prefix(schema: Schema, task: Task) -> str:
    """What all sentences share: the classes the task needs, then the task's line, ending in a newline."""
    return f"{render_schema(schema.for_task(task))}{TASK_LINES[task]}\n"


def sentence_context(text: str, pair: Sequence[Entity] = ()) -> str:
    """The lines that put a sentence, name the pair whose relation is asked for, if one is, and ask for the results."""
    named = f"pair = {render_answer(pair)[1:-1]}\n" if pair else ""
    return f"sentence = {quote(text)}\n{named}results ="


def pair_instances(record: Record, schema: Schema) -> tuple[Entity, Entity]:
    """A record's pair as a prompt names it. Raises as `pair_of` and `entity_instance`."""
    first, second = (entity_instance(mention, schema, record.id, "the pair") for mention in pair_of(record))
    return first, second


def answer_text(record: Record, schema: Schema, task: Task) -> str:
    """The answer of a record as it follows ``results =``: a space, then the list."""
    return f" {render_answer(answer_instances(record, schema, task))}"


def extraction_branch(source: Record | str, schema: Schema, task: Task, pair: bool = False) -> Branch:
    """The branch of an annotated record, with its answer, or of a bare text, whose answer is to be found.

    pair: RE alone; the context names the record's pair, and the answer lists only what holds between the two.
    Raises `KcxError` when the record is not annotated for the task (`answer_instances`), and `UsageError`
    where a pair is asked for and there is none (`pair_of`).
    """
    if pair and task != "re":
        raise UsageError(f"a pair is given for the task re alone, not for {task}")
    if isinstance(source, str):
        if pair:
            raise UsageError("a bare text has no pair to give: pass a record with meta.pair")
        return Branch(sentence_context(source), "", "")
    if not pair:
        return Branch(sentence_context(source.text), answer_text(source, schema, task), source.id)
    context = sentence_context(source.text, pair_instances(source, schema))
    return Branch(context, answer_text(of_the_pair(source), schema, task), source.id)


def extraction_tree(schema: Schema, records: Iterable[Record], task: Task, pair: bool = False) -> PromptTree:
    """One prefix and a branch a record, in the order given."""
    branches = tuple(extraction_branch(record, schema, task, pair) for record in records)
    return PromptTree(task, extraction_prefix(schema, task), branches, schema.for_task(task))
