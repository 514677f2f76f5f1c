"""A run's store: what was saved comes back bit by bit, and nothing else is taken for it."""

import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from kcx_jax.checkpoints import RunStore
from kcx_jax.checkpoints.checksum import checksums
from kcx_jax.errors import KcxError

BASE = {"config": "a", "tensors": "b", "values": "c"}


def state_of(seed: int) -> dict:
    a, b = jax.random.normal(jax.random.key(seed), (2, 4, 3))
    lora = {"a": a, "b": b.astype(jnp.bfloat16)}
    return {"lora": lora, "optimizer": optax.adamw(1e-3).init(lora), "step": jnp.int32(seed)}


def assert_same(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_saved_is_restored_bit_by_bit(tmp_path):
    with RunStore(tmp_path / "run", BASE, keep_last=2) as store:
        assert store.latest() is None
        for step in (10, 20, 30):
            store.save(step, state_of(step), {"epoch": 1, "step": step}, {"losses": [0.5, step]})
    with RunStore(tmp_path / "run", BASE) as store:
        assert store.latest() == 30
        restored = store.restore(30, state_of(0))
        assert_same(restored.state, state_of(30))
        assert restored.data_position == {"epoch": 1, "step": 30}
        assert restored.metadata == {"losses": [0.5, 30]}
        assert_same(store.restore(20, state_of(0)).state, state_of(20))
        with pytest.raises(KcxError, match="read step 10"):
            store.restore(10, state_of(0))


def test_saving_takes_a_copy_at_once(tmp_path):
    step = jax.jit(lambda state: jax.tree.map(lambda leaf: leaf + 1, state), donate_argnums=0)
    state = state_of(3)
    with RunStore(tmp_path) as store:
        store.save(1, state, {})
        step(state)
        assert_same(store.restore(1, state_of(0)).state, state_of(3))


def test_a_step_that_was_being_written_when_the_run_died_is_not_there(tmp_path):
    with RunStore(tmp_path) as store:
        store.save(1, state_of(1), {})
    shutil.copytree(tmp_path / "1", tmp_path / "2.orbax-checkpoint-tmp")
    with RunStore(tmp_path) as store:
        assert store.latest() == 1


def test_another_base_is_refused(tmp_path):
    with RunStore(tmp_path, BASE) as store:
        store.save(1, state_of(1), {})
    with pytest.raises(KcxError, match="another base: it differs in its values"):
        RunStore(tmp_path, {**BASE, "values": "x"})
    with pytest.raises(KcxError, match="config, tensors, values"):
        RunStore(tmp_path, None)


def test_other_leaves_are_named(tmp_path):
    wider = state_of(1)
    wider["lora"]["a"] = jnp.zeros((5, 3))
    with RunStore(tmp_path) as store:
        store.save(1, state_of(1), {})
        with pytest.raises(
            KcxError, match=r"holds \[\[4, 3\], 'float32'\] at \['lora'\]\['a'\].*\[\[5, 3\], 'float32'\]"
        ):
            store.restore(1, wider)
        with pytest.raises(KcxError, match=r"at \['step'\], this run expects nothing"):
            store.restore(1, {name: leaf for name, leaf in state_of(1).items() if name != "step"})


def test_a_damaged_step_is_named(tmp_path):
    with RunStore(tmp_path) as store:
        store.save(1, state_of(1), {})
    (tmp_path / "1" / "state" / "manifest.ocdbt").write_bytes(b"")
    with RunStore(tmp_path) as store, pytest.raises(KcxError, match=f"cannot read step 1 of {tmp_path}"):
        store.restore(1, state_of(1))


def flip(path):
    """Change one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


DAMAGE = {
    "lost": lambda path: path.unlink(),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "flipped": flip,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_whatever_a_file_suffers_what_comes_back_was_written(damage, tmp_path):
    with RunStore(tmp_path / "run", BASE) as store:
        for step in (1, 2):
            store.save(step, state_of(step), {"at": step})
    files = [path.relative_to(tmp_path) for path in (tmp_path / "run" / "2").rglob("*") if path.is_file()]
    passed_over = 0
    for number, path in enumerate(files):
        copy = tmp_path / str(number)
        shutil.copytree(tmp_path / "run", copy / "run")
        DAMAGE[damage](copy / path)
        with RunStore(copy / "run", BASE) as store:
            restored = store.restore_newest(lambda position: state_of(0))
            step = restored.data_position["at"]
            assert_same(restored.state, state_of(step))
            assert step == 2 - len(restored.passed_over)
            if step == 1:
                passed_over += 1
                (told,) = restored.passed_over
                assert "step 2 of" in told
                assert told.endswith(f"It lies in {copy / 'run' / '2.damaged'} now.")
                store.save(2, state_of(5), {"at": 2})  # the run writes it anew
        if step == 1:
            with RunStore(copy / "run", BASE) as store:
                newest = store.restore_newest(lambda position: state_of(0))
            assert newest.passed_over == ()
            assert_same(newest.state, state_of(5))
    assert 3 <= passed_over < len(files)  # some files only matter to Orbax itself


def test_where_no_step_is_whole_none_is_touched(tmp_path):
    with RunStore(tmp_path, BASE) as store:
        assert store.restore_newest(lambda position: state_of(0)) is None
        for step in (1, 2):
            store.save(step, state_of(step), {})
    for step in (1, 2):
        (tmp_path / str(step) / "_CHECKPOINT_METADATA").unlink()
    before = sorted(tmp_path.rglob("*"))
    with (
        RunStore(tmp_path, BASE) as store,
        pytest.raises(KcxError, match=r"no step .* is whole.*step 2.*step 1"),
    ):
        store.restore_newest(lambda position: state_of(0))
    assert sorted(tmp_path.rglob("*")) == before


@given(
    st.sampled_from(["float32", "bfloat16", "int32", "int8", "bool"]),
    st.lists(st.integers(1, 4), max_size=3),
    st.data(),
)
@settings(max_examples=25)
def test_any_changed_element_changes_the_checksum(dtype, shape, data):
    old = np.asarray(np.random.default_rng(0).integers(0, 2, shape), dtype)
    new = np.array(old)
    place = tuple(data.draw(st.integers(0, size - 1)) for size in shape)
    new[place] = not new[place]
    assert checksums([jnp.array(old)]) != checksums([jnp.array(new)])


def test_elements_that_change_places_change_the_checksum():
    rows = jnp.arange(12.0).reshape(3, 4)
    others = [rows[::-1], rows[:, ::-1], rows.at[0, 0].set(rows[0, 1]).at[0, 1].set(rows[0, 0])]
    assert len({checksums([each])["[0]"] for each in (rows, *others)}) == 4


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KcxError, match=r"cannot open .*file/run"):
        RunStore(tmp_path / "file" / "run")


def test_written_sharded_read_elsewhere(tmp_path):
    mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,))
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    state = {"w": jax.device_put(jnp.arange(8.0), sharding)}
    with RunStore(tmp_path) as store:
        store.save(1, state, {})
        plain = {"w": jnp.zeros(8)}
        restored = store.restore(1, plain).state["w"]
        assert restored.sharding == plain["w"].sharding
        np.testing.assert_array_equal(restored, np.arange(8.0))


ON_A_FULL_DISK = """
import resource, sys
import jax
from kcx_jax.checkpoints import RunStore
from kcx_jax.errors import KcxError
store = RunStore(sys.argv[1])
noise = jax.random.normal(jax.random.key(0), (500_000,))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))  # no file may grow beyond it
try:
    store.save(1, {"x": noise}, {})
    store.wait()
except KcxError as error:
    print(f"kcx: {error}", file=sys.stderr)
else:
    sys.exit("it was written all the same")
"""


def test_a_disk_that_takes_no_more_is_one_message(tmp_path):
    folder = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", ON_A_FULL_DISK, folder], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(f"kcx: cannot finish writing {folder}"), done.stderr
    assert done.stderr.count("\n") == 1


FOUND_THE_LOOP_CLOSED = """
import asyncio, sys, threading
import jax
from kcx_jax.checkpoints import RunStore
report = asyncio.BaseEventLoop.call_soon_threadsafe

def found_closed(loop, *call, **options):  # the report comes through, so that the writing ends
    report(loop, *call, **options)
    if threading.current_thread().name.startswith("Dummy"):  # not started by Python: TensorStore's
        raise RuntimeError(sys.argv[2])

with RunStore(sys.argv[1]) as store:
    asyncio.BaseEventLoop.call_soon_threadsafe = found_closed
    store.save(1, {"x": jax.numpy.ones(8)}, {})
"""


@pytest.mark.parametrize(("message", "is_shown"), [("Event loop is closed", False), ("another fault", True)])
def test_threads_that_come_late_print_nothing(message, is_shown, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FOUND_THE_LOOP_CLOSED, tmp_path, message],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert (f"RuntimeError: {message}" in done.stderr) == is_shown
    assert bool(done.stderr) == is_shown
