"""Plain rows and cached decoding.

Shapes: B = rows, T = tokens of a row, D = hidden size, P = prefix slots, S = slots of a row's own cache.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from kcx_jax.decoding.prefixes import read_prefix
from kcx_jax.models import Transformer, empty_cache
from kcx_jax.ops import Cached, Causal

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.mark.parametrize("left_padded", [False, True])
def test_a_token_sees_itself_and_the_real_tokens_before_it(tiny, random_values, touched_tokens, left_padded):
    T, lengths = 6, [6, 4, 1]
    tokens = jnp.arange(3 * T).reshape(3, T)
    layout = Causal(jnp.asarray(lengths), left_padded=left_padded)
    touched = touched_tokens(Transformer(tiny), random_values(tiny), tokens, layout.positions(T), layout)
    for row, length in enumerate(lengths):
        first = T - length if left_padded else 0
        for t in range(first, first + length):
            assert touched[row][t] == set(tokens[row, first : t + 1].tolist())


@partial(jax.jit, static_argnums=0)
def step(module, values, tokens, layout, cache=None):
    return module.apply(values, tokens, layout.positions(tokens.shape[1]), layout, cache)


@pytest.mark.parametrize("prefix_length", [0, 3, 5])
def test_cached_steps_equal_the_whole_row(tiny, random_values, prefix_length):
    rng = np.random.default_rng(prefix_length)
    counts = [np.array(c) for c in ([3, 1, 2], [1, 1, 1], [2, 0, 1], [1, 1, 1], [1, 0, 1])]
    B, P, S = 3, 5, 8  # the first row fills its cache, and a padded step of the others reaches past the end
    prefix = rng.integers(0, 37, P)
    module = Transformer(tiny, dtype=jnp.float64)
    with jax.enable_x64(True):
        values = random_values(tiny, dtype=jnp.float64)
        shared = read_prefix(module, values, prefix[:prefix_length].tolist(), None, 0)
        own, own_length = empty_cache(tiny, B, S, jnp.float64), np.zeros(B, np.int32)
        rows, found = np.zeros((B, P + S), np.int32), np.zeros((B, P + S, tiny.hidden_size))
        rows[:, :prefix_length] = prefix[:prefix_length]
        for count, width in zip(counts, (3, 1, 3, 1, 3), strict=True):
            tokens = rng.integers(0, 37, (B, width))  # beyond `count` they are padding
            layout = Cached(*shared, jnp.asarray(own_length))
            hidden, own = step(module, values, jnp.asarray(tokens), layout, own)
            for row, new in enumerate(count):
                start = prefix_length + own_length[row]
                rows[row, start : start + new] = tokens[row, :new]
                found[row, start : start + new] = hidden[row, :new]
            own_length = own_length + count
        whole = Causal(jnp.asarray(prefix_length + own_length))
        expected, _ = step(module, values, jnp.asarray(rows), whole)
    assert own_length.max() == S
    for row, length in enumerate(own_length):
        own_part = slice(prefix_length, prefix_length + length)
        assert_allclose(found[row, own_part], expected[row, own_part], rtol=1e-9, atol=1e-12)
