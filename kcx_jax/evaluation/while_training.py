"""The F1 of a model that is still being trained, on a sample of its validation data."""

from itertools import islice
from pathlib import Path

from kcx_jax.checkpoints import LoadedModel
from kcx_jax.corpora import read_records
from kcx_jax.decoding import Generator
from kcx_jax.evaluation.answers import answer_records
from kcx_jax.extraction import Extractor
from kcx_jax.extraction.local import ModelAnswers
from kcx_jax.schema import load_schema
from kcx_jax.scoring import Counts, score
from kcx_jax.training.config import StageSettings

_MAX_NEW_TOKENS = 256


def decoded_f1(model: LoadedModel, stage: StageSettings, limit: int) -> float | None:
    """Strict micro-F1 over all tasks of the first `limit` records of each validation corpus, in [0, 1].

    None for a stage that aligns: what it learns is not asked of a user's text. Raises `KcxError` as `read_records` and
    `Extractor.extract` do.
    """
    if stage.kind == "align":
        return None
    extractor = Extractor(ModelAnswers(Generator(model), _MAX_NEW_TOKENS))
    counts = Counts()
    for data in stage.validation:
        schema = load_schema(Path(data.schema_path))
        records = list(
            islice(read_records(data.path, data.reader, data.language), min(limit, data.limit or limit))
        )
        for task in data.tasks:
            pair = data.prompts.pair and task == "re"  # the prompts that it is tuned on
            answered = answer_records(extractor, records, schema, task, pair)
            counts += score(records, [each.record for each in answered], [task]).units[task].total
    return counts.f1
