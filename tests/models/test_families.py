"""Every family by the one block: transformers' own models, trees, cached decoding, ALiBi by hand.

Shapes: B = rows, T = tokens, P = prefix, K = branches, L = slots of a branch, D = hidden size.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from kcx_jax.checkpoints.names import param_places
from kcx_jax.decoding.prefixes import read_prefix
from kcx_jax.models import (
    Transformer,
    abstract_params,
    config_from_hf,
    config_to_hf,
    empty_cache,
    unstacked,
)
from kcx_jax.ops import Cached, Causal, Tree

pytestmark = pytest.mark.usefixtures("quick_compilation")

SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
FAMILIES = {
    "llama 2": {"model_type": "llama"},
    "llama 3": {
        "model_type": "llama",
        "num_key_value_heads": 2,
        "rope_theta": 5e5,
        "rope_scaling": LLAMA3,
        "tie_word_embeddings": True,
    },
    "llama with biases": {
        "model_type": "llama",
        "attention_bias": True,
        "mlp_bias": True,
        "head_dim": 6,
        "rope_scaling": {"type": "linear", "factor": 2.0},
    },
    "mistral": {"model_type": "mistral", "num_key_value_heads": 1, "sliding_window": 5},
    "mistral without a window": {"model_type": "mistral", "num_key_value_heads": 2, "sliding_window": None},
    "qwen 2": {
        "model_type": "qwen2",
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
        "rope_theta": 1e6,
    },
    "qwen 2.5 for long texts": {"model_type": "qwen2", "num_key_value_heads": 2, "rope_scaling": YARN},
    "qwen 2 with a window": {
        "model_type": "qwen2",
        "num_key_value_heads": 4,
        "use_sliding_window": True,
        "sliding_window": 4,
        "max_window_layers": 0,
    },
    "qwen 3": {"model_type": "qwen3", "num_key_value_heads": 2, "head_dim": 10, "rope_theta": 1e6},
}
BAICHUAN = {
    "baichuan 7b": {"model_type": "baichuan"},
    "baichuan 13b": {"model_type": "baichuan", "max_position_embeddings": ..., "model_max_length": 64},
}


def config_of(changes):
    merged = SIZES | changes
    return config_from_hf({key: value for key, value in merged.items() if value is not ...})


def random_params(config, dtype, seed=0):
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape) * 0.3, dtype), abstract_params(config)
    )


@pytest.mark.interop
@pytest.mark.parametrize("changes", FAMILIES.values(), ids=list(FAMILIES))
def test_logits_equal_those_of_transformers(changes):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    hf_config = transformers.AutoConfig.for_model(**(SIZES | changes))
    theirs = transformers.AutoModelForCausalLM.from_config(hf_config).eval().float()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in theirs.parameters():  # biases and norms too: zeros and ones would hide a mistake
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.3)
    config = config_of(changes)
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), abstract_params(config))
    state = theirs.state_dict()
    places = param_places(config)
    assert set(places) == set(state) - ({"lm_head.weight"} if config.tied_head else set())
    for name, place in places.items():
        place.of(params)[...] = state[name].numpy()
    tokens, lengths = np.random.default_rng(0).integers(3, 64, (3, 40)), np.array([40, 33, 1])
    attended = np.arange(40) >= 40 - lengths[:, None]  # padded on the left
    with torch.no_grad():
        ids, mask = torch.tensor(tokens), torch.tensor(attended)
        wanted = theirs(
            ids, attention_mask=mask.long(), position_ids=(mask.cumsum(1) - 1).clamp(0)
        ).logits.numpy()
    found = logits(Transformer(config), params, tokens, Causal(jnp.asarray(lengths), left_padded=True))
    for row, length in enumerate(lengths):
        assert_allclose(found[row, -length:], wanted[row, -length:], atol=1e-4, rtol=0)


@partial(jax.jit, static_argnums=0)
def logits(module, params, tokens, layout, cache=None):
    values = {"params": params}
    hidden, _ = module.apply(values, tokens, layout.positions(tokens.shape[1]), layout, cache)
    return module.apply(values, hidden, method="logits")


@partial(jax.jit, static_argnums=0)
def hidden_states(module, params, tokens, positions, layout, cache=None):
    return module.apply({"params": params}, tokens, positions, layout, cache)


@pytest.mark.parametrize("changes", (FAMILIES | BAICHUAN).values(), ids=list(FAMILIES | BAICHUAN))
def test_a_tree_and_cached_steps_equal_the_whole_rows(changes):
    """One prefix of 9 tokens with branches of 6 and 4: windows and biases reach across the border."""
    config = config_of(changes)
    rng = np.random.default_rng(1)
    prefix, branches = rng.integers(3, 64, 9), [rng.integers(3, 64, 6), rng.integers(3, 64, 4)]
    P, L, lengths = 9, 6, np.array([6, 4])
    with jax.enable_x64(True):
        module, params = Transformer(config, dtype=jnp.float64), random_params(config, jnp.float64)
        rows = np.zeros((2, P + L), np.int32)
        for row, branch in zip(rows, branches, strict=True):
            row[: P + len(branch)] = [*prefix, *branch]
        layout = Causal(jnp.asarray(P + lengths))
        expected, _ = hidden_states(module, params, rows, layout.positions(P + L), layout)

        stream = np.concatenate([prefix, *branches])[None]
        index = np.array([[P + i for i in range(6)], [P + 6 + min(i, 3) for i in range(6)]])
        slots = [*range(P), *(P + i for i in range(6)), *(P + L + i for i in range(4))]
        tree = Tree(np.arange(P)[None], np.array([P]), index[None], lengths[None], np.array([slots]))
        positions = np.array([[*range(P), *range(P, P + 6), *range(P, P + 4)]])
        (found,), _ = hidden_states(module, params, stream, positions, jax.tree.map(jnp.asarray, tree))
        assert_allclose(found[:P], expected[0, :P], rtol=1e-9, atol=1e-12)
        for start, row, length in ((P, 0, 6), (P + 6, 1, 4)):
            assert_allclose(
                found[start : start + length], expected[row, P : P + length], rtol=1e-9, atol=1e-12
            )

        shared = read_prefix(module, {"params": params}, prefix.tolist(), None, 0)
        cache, own = empty_cache(config, 2, L, jnp.float64), jnp.zeros(2, jnp.int32)
        for start, width in ((0, 3), (3, 1), (4, 2)):
            layout = Cached(*shared, own + start)
            tokens = rows[:, P + start : P + start + width]
            new, cache = hidden_states(module, params, tokens, layout.positions(width), layout, cache)
            for row, length in enumerate(lengths):
                stop = min(start + width, length)
                assert_allclose(
                    new[row, : max(0, stop - start)],
                    expected[row, P + start : P + stop],
                    rtol=1e-9,
                    atol=1e-12,
                )


def test_alibi_is_what_its_paper_says():
    """Baichuan2-13B's layer by loops: a score loses its head's slope times the distance."""
    config = config_of(
        BAICHUAN["baichuan 13b"] | {"num_attention_heads": 5, "hidden_size": 40, "num_hidden_layers": 1}
    )
    slopes = [2**-2, 2**-4, 2**-6, 2**-8, 2**-1]  # of four heads, then the first of eight
    tokens = np.random.default_rng(0).integers(3, 64, 7)
    with jax.enable_x64(True):
        params = random_params(config, jnp.float64)
        layout = Causal(jnp.asarray([7]))
        found, _ = hidden_states(
            Transformer(config, dtype=jnp.float64), params, tokens[None], layout.positions(7), layout
        )
    w = {name: np.asarray(leaf[0]) for name, leaf in params["layers"].items()}

    def norm(x, weight):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * weight

    x = np.asarray(params["embed_tokens"])[tokens]
    q, k, v = np.split(norm(x, w["input_layernorm"]) @ w["W_pack"].T, 3, axis=1)
    seen = np.zeros((7, 40))
    for head, slope in enumerate(slopes):
        own = slice(8 * head, 8 * head + 8)
        for i in range(7):
            scores = np.array([q[i, own] @ k[j, own] / np.sqrt(8) - slope * (i - j) for j in range(i + 1)])
            weights = np.exp(scores - scores.max())
            seen[i, own] = weights / weights.sum() @ v[: i + 1, own]
    x = x + seen @ w["o_proj"].T
    h = norm(x, w["post_attention_layernorm"])
    gate = h @ w["gate_proj"].T
    x = x + (gate / (1 + np.exp(-gate)) * (h @ w["up_proj"].T)) @ w["down_proj"].T
    assert_allclose(found[0], norm(x, np.asarray(params["norm"])), rtol=1e-9)


@pytest.mark.parametrize("changes", (FAMILIES | BAICHUAN).values(), ids=list(FAMILIES | BAICHUAN))
def test_a_config_written_reads_back(changes):
    config = config_of(changes)
    assert config_from_hf(config_to_hf(config)) == config


def test_unrolled_layers_compute_the_same_without_a_loop():
    config = config_of(FAMILIES["qwen 3"])
    params, layout = random_params(config, jnp.float32), Causal(jnp.asarray([5]))
    tokens = np.arange(3, 8)[None]
    looped, unrolled = (Transformer(config, unrolled=unrolled) for unrolled in (False, True))
    programs = [logits.lower(module, params, tokens, layout).as_text() for module in (looped, unrolled)]
    assert ["while" in program for program in programs] == [True, False]
    wanted = logits(looped, params, tokens, layout)
    assert_allclose(logits(unrolled, params, tokens, layout), wanted, atol=1e-5)
    apart = {**params, "layers": unstacked(params["layers"])}
    assert_allclose(logits(unrolled, apart, tokens, layout), wanted, atol=1e-5)
