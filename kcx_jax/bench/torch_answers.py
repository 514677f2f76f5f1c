"""Answers by transformers: `generate` over a copy of a prefix's cache for every row. Imports no JAX.

Shapes: B = rows, T = positions (prefix and contexts), N = new tokens, V = vocabulary.
"""

import copy
import time
from pathlib import Path
from typing import Any

import numpy as np

from kcx_jax.bench.answer_work import GOLD_BIAS, Answered, Work, answered
from kcx_jax.bench.conditions import threads


def by_transformers(folder: Path, times: int) -> Answered:
    """The model and the work of `folder`, in float32."""
    import torch
    from transformers import DynamicCache, LlamaForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.set_num_threads(threads())
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    model.generation_config.eos_token_id = None  # no answer ends but where it is led to
    work = Work.read(folder)
    with torch.inference_mode():
        start = time.perf_counter()
        cache = DynamicCache(config=model.config)
        model(torch.tensor([work.prefix]), cache=cache, logits_to_keep=1)
        prefix_seconds = time.perf_counter() - start
        return answered(lambda: _answers(model, work, cache), times, prefix_seconds)


def _answers(model: Any, work: Work, cache: Any) -> list[list[int]]:
    answers: list[list[int]] = [[] for _ in work.contexts]
    for batch in work.batches():
        for number, ids in zip(batch, _batch(model, work, cache, batch), strict=True):
            answers[number] = ids
    return answers


def _batch(model: Any, work: Work, cache: Any, batch: list[int]) -> list[list[int]]:
    """Contexts are padded on the left, between the prefix and themselves."""
    import torch

    own = copy.deepcopy(cache)
    own.batch_repeat_interleave(len(batch))
    contexts = [work.contexts[number] for number in batch]
    width = len(work.prefix) + max(map(len, contexts))
    ids_BT, mask_BT = np.zeros((len(batch), width), np.int64), np.ones((len(batch), width), np.int64)
    ids_BT[:, : len(work.prefix)] = work.prefix
    for row, context in enumerate(contexts):
        mask_BT[row, len(work.prefix) : width - len(context)] = 0
        ids_BT[row, width - len(context) :] = context
    written_BT = model.generate(
        torch.from_numpy(ids_BT),
        attention_mask=torch.from_numpy(mask_BT),
        cache=own,
        max_new_tokens=work.new_tokens,
        do_sample=False,
        pad_token_id=0,
        **({} if work.gold is None else _led(work, batch, width)),
    )
    found = written_BT[:, width:].tolist()
    if work.gold is None:
        return found
    return [_ended(ids, work.gold[number][-1]) for number, ids in zip(batch, found, strict=True)]


def _led(work: Work, batch: list[int], start: int) -> dict[str, Any]:
    """Options with which `generate` writes the gold answers; behind their end, the end token again."""
    import torch
    from transformers import LogitsProcessor, LogitsProcessorList

    assert work.gold is not None
    gold = [work.gold[number] for number in batch]
    end = gold[0][-1]
    gold_NB1 = torch.full((work.new_tokens, len(batch), 1), end)
    for row, ids in enumerate(gold):
        gold_NB1[: len(ids), row, 0] = torch.tensor(ids[: work.new_tokens])
    bias_B1 = torch.full((len(batch), 1), GOLD_BIAS)

    class Gold(LogitsProcessor):
        def __call__(self, ids_BT: Any, scores_BV: Any) -> Any:
            return scores_BV.scatter_add_(1, gold_NB1[ids_BT.shape[1] - start], bias_B1)

    return {"eos_token_id": end, "logits_processor": LogitsProcessorList([Gold()])}


def _ended(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end) + 1] if end in ids else ids
