"""The same work by PyTorch: transformers' Llama with peft for tuning, and its `generate` for decoding.

Sizes and token counts are ours; weights are random. One sample a row, rows of nearly one length padded on the right
without a mask (padding carries no loss, and causal attention never looks right), so that attention takes its fused
kernel. Needs torch, transformers and, for tuning, peft.
"""

import time
from typing import Any

import numpy as np

from kcx_jax.bench.torch_steps import Part, device, padded, peak, reset_peak, timed_steps, wait
from kcx_jax.bench.workload import Lengths, random_samples, random_tree
from kcx_jax.lora.adapter import LoraConfig
from kcx_jax.models import ModelConfig


def llama(config: ModelConfig) -> Any:
    """Random bfloat16 weights of `config`'s sizes on the GPU (if there is one), as a `LlamaForCausalLM`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    asked = LlamaConfig(  # type: ignore[call-arg]  # attn_implementation is taken as any other keyword
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        num_key_value_heads=config.num_kv_heads,
        max_position_embeddings=config.max_positions,
        rms_norm_eps=config.norm_eps,
        attn_implementation="sdpa",
    )
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device()):
            return LlamaForCausalLM(asked)
    finally:
        torch.set_default_dtype(before)


def peer_train(
    model: Any, lengths: Lengths, lora: LoraConfig, rows: int, recompute: bool, steps: int = 4, warm: int = 2
) -> dict[str, float]:
    """Figures of LoRA on all linear layers of `model` (from `llama`), `rows` samples a step under bfloat16 autocast."""
    import torch
    from peft import LoraConfig as PeftConfig
    from peft import get_peft_model

    asked = PeftConfig(
        r=lora.rank, lora_alpha=round(lora.alpha), target_modules="all-linear", task_type="CAUSAL_LM"
    )
    tuned = get_peft_model(model, asked)
    try:
        if recompute:
            tuned.gradient_checkpointing_enable({"use_reentrant": False})
            tuned.enable_input_require_grads()
        else:
            tuned.gradient_checkpointing_disable()
        tuned.train()
        batches = [_batch(lengths, model.config.vocab_size, rows, seed) for seed in range(warm + steps)]
        reset_peak()
        timed = timed_steps(tuned, [[part] for part, _ in batches], warm, torch.bfloat16)
        return {
            "rows": rows,
            "recomputes": float(tuned.is_gradient_checkpointing),
            "seconds_per_step": timed.seconds / steps,
            "samples_per_second": rows * steps / timed.seconds,
            "tokens_per_second": sum(tokens for _, tokens in batches[warm:]) / timed.seconds,
            "peak_bytes": peak(),
            "last_loss": timed.losses[-1],
        }
    finally:
        tuned.unload()


def _batch(lengths: Lengths, vocabulary: int, rows: int, seed: int) -> tuple[Part, int]:
    """Random samples as one part, and how many real tokens are read."""
    rng = np.random.default_rng(seed)
    chosen = [lengths.branches[i] for i in rng.integers(0, len(lengths.branches), rows)]
    samples = random_samples(Lengths(lengths.prefix, tuple(chosen)), vocabulary, seed)
    return padded(samples), sum(len(ids) - 1 for ids, _ in samples)


def peer_decode(model: Any, lengths: Lengths, sentences: int, new_tokens: int, rows: int) -> dict[str, float]:
    """Sentences/s of greedy `generate`, `rows` prompts at a time (padded on the left), schema and sentence in each."""
    import torch

    model.eval()
    tree = random_tree(lengths, model.config.vocab_size)
    prompts = [
        np.concatenate([tree.prefix, tree.branches[i % len(tree.branches)].context]) for i in range(sentences)
    ]
    prompts.sort(key=len)

    def write(some: list[np.ndarray]) -> None:
        width = max(map(len, some))
        ids, mask = np.zeros((len(some), width), np.int64), np.zeros((len(some), width), np.int64)
        for row, prompt in enumerate(some):
            ids[row, width - len(prompt) :], mask[row, width - len(prompt) :] = prompt, 1
        model.generate(
            torch.from_numpy(ids).to(device()),
            attention_mask=torch.from_numpy(mask).to(device()),
            max_new_tokens=new_tokens,
            min_new_tokens=new_tokens,
            do_sample=False,
            pad_token_id=0,
        )

    with torch.inference_mode():
        write(prompts[:rows])
        reset_peak()
        wait()
        start = time.perf_counter()
        for at in range(0, sentences, rows):
            write(prompts[at : at + rows])
        wait()
        seconds = time.perf_counter() - start
    return {
        "sentences_per_second": sentences / seconds,
        "new_tokens_per_second": sentences * new_tokens / seconds,
        "seconds": seconds,
        "peak_bytes": peak(),
    }
