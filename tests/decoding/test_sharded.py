"""On a mesh answers are those of one device, whether or not it divides the slots, and all processes can read them."""

import json
import re

import pytest

from kcx_jax.testing.devices import run_on_fake_devices
from kcx_jax.testing.processes import run_in_processes

TEXTS = [
    "Ada was born in London.",
    "李白生于碎叶城，李白。",
    "a",
    "Mr. Smith said: “no”",
    "aaaa aaaa aaaa",
    "On 3 May, New York\tcame 😀 to Ada Lovelace.",
    "Rome",
    "one two three",
    "London, Ada, London",
]


def answered(model, way: str, slots: int, texts: list[str]) -> list:
    """The ids of each answer, and why it ended."""
    from kcx_jax.decoding import Constraint, Generator
    from kcx_jax.ops.sampling import GREEDY, Sampling
    from kcx_jax.prompts.extraction import extraction_prefix, sentence_context
    from kcx_jax.schema import load_schema

    schema = load_schema("class Person(Entity): ...\nclass City(Entity): ...")
    drawn = Sampling(temperature=1.5, top_k=40, repetition_penalty=1.1, seed=5)
    made = Generator(model, slots=slots).generate(
        extraction_prefix(schema, "ner"),
        list(map(sentence_context, texts)),
        12,
        None if way == "open" else Constraint(schema, "ner"),
        texts,
        drawn if way == "drawn" else GREEDY,
    )
    return [[each.ids, each.finish_reason] for each in made]


def likeliest(model, texts: list[str]) -> list:
    """The ids of three answers to each text, by beam search, and what they weigh."""
    from kcx_jax.decoding import Constraint, Generator
    from kcx_jax.prompts.extraction import extraction_prefix, sentence_context
    from kcx_jax.schema import load_schema

    schema = load_schema("class Person(Entity): ...\nclass City(Entity): ...")
    groups = Generator(model, slots=3).n_best(
        extraction_prefix(schema, "ner"),
        list(map(sentence_context, texts)),
        3,
        10,
        Constraint(schema, "ner"),
        texts,
    )
    return [[[each.ids, sum(each.logprobs)] for each in group] for group in groups]


def likeliest_on_a_mesh(folders: list[str], texts: list[str]) -> list:
    from kcx_jax.checkpoints import load_pretrained
    from kcx_jax.models import make_mesh

    return likeliest(load_pretrained(*folders, "float32", make_mesh(None, 2, 2, 2)), texts)


def on_a_mesh(folders: list[str], sizes: list[int], way: str, slots: int, texts: list[str]) -> dict:
    """What a mesh answers, how often that was compiled to what, and where its state lies afterwards."""
    import jax

    from kcx_jax.checkpoints import load_pretrained
    from kcx_jax.decoding import batch
    from kcx_jax.models import make_mesh

    states, compiled, run = [], [], batch.run

    def kept(*arguments):
        states.append(run(*arguments))
        return states[-1]

    def noted(event, seconds, fun_name="", **_):
        if event == "/jax/core/compile/backend_compile_duration" and fun_name == "jit(run)":
            compiled.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(noted)
    batch.run, batch._STEPS = kept, 4  # few steps: what a call leaves is taken up by the next one
    model = load_pretrained(*folders, "float32", make_mesh(None, *sizes))
    made = answered(model, way, slots, texts)
    cache, written = states[-1].slots.cache.k, states[-1].answers
    return {
        "answers": made,
        "calls": len(states),
        "compiled": len(compiled),
        "cache": list(cache.sharding.shard_shape(cache.shape))[1:3],
        "everywhere": all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(written)),
    }


@pytest.fixture(scope="module")
def folders(shared):
    folder = shared / "fixtures/baichuan2_tiny"
    return [str(folder / "base_fp32"), str(folder / "adapter")]


@pytest.mark.parametrize(
    ("sizes", "way", "slots", "part"),  # data, fsdp, tensor; rows and heads of a device
    [
        ((2, 2, 2), "constrained", 8, [2, 2]),
        pytest.param((2, 2, 2), "drawn", 3, [3, 2], marks=pytest.mark.slow),
        pytest.param((8, 1, 1), "drawn", 8, [1, 4], marks=pytest.mark.slow),
        pytest.param((2, 1, 4), "constrained", 4, [2, 1], marks=pytest.mark.slow),
        pytest.param((2, 1, 4), "open", 3, [3, 1], marks=pytest.mark.slow),
    ],
)
def test_eight_devices_answer_as_one(tiny_adapted, folders, sizes, way, slots, part):
    found = run_on_fake_devices(on_a_mesh, folders, sizes, way, slots, TEXTS)
    assert found["answers"] == json.loads(json.dumps(answered(tiny_adapted, way, slots, TEXTS)))
    assert len({str(each) for each in found["answers"]}) > 3
    assert found["cache"] == part
    assert found["everywhere"]
    assert found["calls"] > 1
    assert found["compiled"] == 1, "a state that comes back lies as a new one does"


@pytest.mark.slow
def test_beams_on_eight_devices_are_those_of_one(tiny_adapted, folders):
    found, alone = run_on_fake_devices(likeliest_on_a_mesh, folders, TEXTS), likeliest(tiny_adapted, TEXTS)
    ids = [[answer for answer, _ in group] for group in found]
    assert ids == [[list(answer) for answer, _ in group] for group in alone]
    assert any(len(group) == 3 for group in ids)
    weights = [[[weight for _, weight in group] for group in groups] for groups in (found, alone)]
    for left, right in zip(*weights, strict=True):
        assert left == pytest.approx(right, abs=1e-4)


def scores_program(vocabulary: int) -> str:
    """Compiled: scores of some tokens, from a head that lies over the vocabulary and over its columns."""
    import jax
    import jax.numpy as jnp
    from jax.sharding import NamedSharding, PartitionSpec

    from kcx_jax.models import batch_sharding, make_mesh
    from kcx_jax.ops.numerics import head_logits_of

    mesh = make_mesh(data=2, fsdp=2, tensor=2)
    head = jax.ShapeDtypeStruct(
        (vocabulary, 64), jnp.float32, sharding=NamedSharding(mesh, PartitionSpec("tensor", "fsdp"))
    )
    hidden, tokens = (
        jax.ShapeDtypeStruct((8, 2, last), dtype, sharding=batch_sharding(mesh))
        for last, dtype in ((64, jnp.float32), (96, jnp.int32))
    )
    with jax.set_mesh(mesh):
        return jax.jit(head_logits_of).lower(hidden, tokens, head, None).compile().as_text()


def test_no_device_gets_the_whole_head_for_the_scores_of_some_tokens():
    program = run_on_fake_devices(scores_program, 100_000)
    sizes = [int(size) for shape in re.findall(r"\w\d+\[([\d,]+)\]", program) for size in shape.split(",")]
    assert 50_000 in sizes
    assert max(sizes) == 50_000


def in_a_process(folders: list[str], texts: list[str]) -> list:
    import jax

    from kcx_jax.checkpoints import load_pretrained
    from kcx_jax.models import make_mesh

    mesh = make_mesh(data=1, tensor=jax.device_count())
    return answered(load_pretrained(*folders, "float32", mesh), "constrained", 4, texts)


@pytest.mark.multiprocess
def test_two_processes_answer_as_one(tiny_adapted, folders):
    want = json.loads(json.dumps(answered(tiny_adapted, "constrained", 4, TEXTS)))
    assert run_in_processes(in_a_process, folders, TEXTS) == [want, want]
