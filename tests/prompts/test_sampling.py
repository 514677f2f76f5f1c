"""What a seed varies, and that nothing else does."""

import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.prompts.sampling import shuffle_schema
from kcx_jax.schema import load_schema, render_schema

SOURCE = "\n".join(
    [
        "class A0(Entity): pass",
        *(f"class A{n}(A{n // 2}): pass" for n in range(1, 8)),
        "class Near(Relation): pass",
        "class Far(Relation): pass",
        "class Go(Event):",
        "    goal: A3",
    ]
)
SCHEMA = load_schema(SOURCE)


@given(st.integers(), st.text(max_size=5))
def test_a_shuffle_is_a_permutation_that_reads_back(seed, key):
    shuffled = shuffle_schema(SCHEMA, seed, key)
    assert sorted(each.name for each in shuffled.concepts) == sorted(SCHEMA.by_name)
    assert dict(shuffled.by_name) == dict(SCHEMA.by_name)
    assert load_schema(render_schema(shuffled)) == shuffled


def test_orders_differ_between_keys_and_seeds():
    orders = {shuffle_schema(SCHEMA, seed, key).concepts for seed in range(4) for key in "abcd"}
    assert len(orders) > 8


def test_another_process_with_another_hash_seed_draws_the_same():
    code = (
        "import sys; from kcx_jax.prompts.sampling import shuffle_schema\n"
        "from kcx_jax.schema import load_schema, render_schema\n"
        "sys.stdout.write(render_schema(shuffle_schema(load_schema(sys.argv[1]), 7, 'tree')))"
    )
    here = render_schema(shuffle_schema(SCHEMA, 7, "tree"))
    for hash_seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", code, SOURCE],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout == here
