"""Answers by llama.cpp in float32, keys and values too: rows share a prefix's cache. Imports no JAX.

`llama_cpp` (llama-cpp-python) and `gguf` are for races alone: no extra brings them.

Shapes: B = rows, V = vocabulary.
"""

import ctypes
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kcx_jax.bench.answer_work import GOLD_BIAS, Answered, Ids, Work, answered
from kcx_jax.bench.conditions import threads
from kcx_jax.errors import KcxError

FILE = "model.gguf"
HOW_TO_INSTALL = (
    "Build it: CMAKE_ARGS='-DGGML_NATIVE=ON -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF "
    "-DLLAMA_BUILD_TOOLS=OFF' pip install --no-binary llama-cpp-python llama-cpp-python==0.3.36 gguf"
)
_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_gguf(folder: Path) -> None:
    """The Llama checkpoint of `folder` (one `model.safetensors` in float32) as GGUF beside it, without a vocabulary."""
    import gguf
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text())
    heads = config["num_attention_heads"]
    writer = gguf.GGUFWriter(folder / FILE, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["hidden_size"] // heads)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for name, weight in load_file(folder / "model.safetensors").items():
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            weight = _paired(weight, heads)
        writer.add_tensor(_gguf_name(name), weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _gguf_name(name: str) -> str:
    outer = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    stem = name.removesuffix(".weight")
    if stem in outer:
        return f"{outer[stem]}.weight"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{_NAMES[part]}.weight"


def _paired(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head so that RoPE turns neighbours, as llama.cpp's Llama has it, and not the two halves."""
    return weight.reshape(heads, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def by_llamacpp(folder: Path, times: int) -> Answered:
    """The model (`write_gguf`) and the work of `folder`."""
    work = Work.read(folder)
    with _context(folder, work) as engine:
        start = time.perf_counter()
        engine.read([(0, work.prefix)], [0])
        prefix_seconds = time.perf_counter() - start
        for row in range(1, work.rows + 1):
            engine.share(row)
        return answered(lambda: _answers(engine, work), times, prefix_seconds)


class _Engine:
    """One context of llama.cpp: sequence 0 is the prefix, the rows are those from 1 on."""

    def __init__(self, api: Any, context: Any, vocabulary: int, tokens: int):
        self._api, self._context, self._vocabulary = api, context, vocabulary
        self._memory = api.llama_get_memory(context)
        self._batch = api.llama_batch_init(tokens, 0, 1)

    def read(self, rows: Sequence[tuple[int, Ids]], starts: Sequence[int]) -> np.ndarray:
        """Read ids of sequences from their positions on: float32 logits [B, V] behind each one's last."""
        batch, at, last = self._batch, 0, []
        for (row, ids), first in zip(rows, starts, strict=True):
            for offset, token in enumerate(ids):
                batch.token[at], batch.pos[at] = token, first + offset
                batch.n_seq_id[at], batch.seq_id[at][0] = 1, row
                batch.logits[at] = offset == len(ids) - 1
                at += 1
            last.append(at - 1)
        batch.n_tokens = at
        if failed := self._api.llama_decode(self._context, batch):
            raise KcxError(f"llama.cpp could not read {at} tokens (llama_decode gave {failed}).")
        found = [self._api.llama_get_logits_ith(self._context, number) for number in last]
        return np.stack([np.ctypeslib.as_array(each, (self._vocabulary,)) for each in found])

    def share(self, row: int) -> None:
        """The prefix as the beginning of a row, without a copy."""
        self._api.llama_memory_seq_cp(self._memory, 0, row, -1, -1)

    def forget(self, row: int, position: int) -> None:
        """What a row has from a position on."""
        self._api.llama_memory_seq_rm(self._memory, row, position, -1)


@contextmanager
def _context(folder: Path, work: Work) -> Iterator[_Engine]:
    import llama_cpp as api

    longest = max(map(len, work.contexts))
    api.llama_log_set(_silent, ctypes.c_void_p(0))
    model = api.llama_model_load_from_file(str(folder / FILE).encode(), api.llama_model_default_params())
    asked = api.llama_context_default_params()
    asked.n_ctx = -(-(len(work.prefix) + work.rows * (longest + work.new_tokens)) // 256) * 256
    asked.n_batch = asked.n_ubatch = max(len(work.prefix), work.rows * longest)
    asked.n_seq_max = work.rows + 1
    asked.n_threads = asked.n_threads_batch = threads()
    asked.type_k = asked.type_v = api.GGML_TYPE_F32
    asked.kv_unified = True
    asked.flash_attn_type = api.LLAMA_FLASH_ATTN_TYPE_DISABLED  # it rounds to float16
    context = api.llama_init_from_model(model, asked)
    if not model or not context:
        raise KcxError(f"llama.cpp could not load {folder / FILE}.")
    vocabulary = api.llama_vocab_n_tokens(api.llama_model_get_vocab(model))
    try:
        yield _Engine(api, context, vocabulary, asked.n_batch)
    finally:
        api.llama_free(context)
        api.llama_model_free(model)


@ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
def _silent(level: int, text: bytes, data: None) -> None:
    pass


def _answers(engine: _Engine, work: Work) -> list[list[int]]:
    answers: list[list[int]] = [[] for _ in work.contexts]
    for batch in work.batches():
        rows = dict(enumerate(batch, start=1))  # sequence -> context
        ids = [(row, work.contexts[number]) for row, number in rows.items()]
        places = {row: len(work.prefix) for row in rows}
        while ids:
            logits_BV = engine.read(ids, [places[row] for row, _ in ids])
            for row, read in ids:
                places[row] += len(read)
            ids = _next(work, rows, [row for row, _ in ids], logits_BV, answers)
        for row in rows:
            engine.forget(row, len(work.prefix))
    return answers


def _next(
    work: Work, rows: dict[int, int], live: list[int], logits_BV: np.ndarray, answers: list[list[int]]
) -> list[tuple[int, Ids]]:
    """Append the likeliest tokens to the answers of the live rows: those that go on, each with its token."""
    going: list[tuple[int, Ids]] = []
    if work.gold is not None:
        for at, row in enumerate(live):
            number = rows[row]
            logits_BV[at, work.gold[number][len(answers[number])]] += GOLD_BIAS
    for row, token in zip(live, logits_BV.argmax(axis=1).tolist(), strict=True):
        number = rows[row]
        answers[number].append(token)
        ended = work.gold is not None and token == work.gold[number][-1]
        if not ended and len(answers[number]) < work.new_tokens:
            going.append((row, [token]))
    return going
