"""What a step sends between devices: read from a program's text, and of a real step on eight fake devices."""

import pytest

from kcx_jax.bench.collectives import read_traffic
from kcx_jax.errors import KcxError
from kcx_jax.testing.devices import run_on_fake_devices

PROGRAM = """
%body.1 (p: f32[4]) -> f32[4] {
  %a = f32[10,100]{1,0} all-reduce(%x), channel_id=1, replica_groups=[2,4]<=[8], to_apply=%add
  %f = f32[5]{0} all-to-all(%x), replica_groups=mesh['axis_0'=2,'axis_1'=4,'axis_2'=3] {'axis_0','axis_2'}, dim={0}
  %w2 = f32[4]{0} while(%t), condition=%c2, body=%body.2, backend_config={"known_trip_count":{"n":"3"}}
}

%body.2 (p: f32[4]) -> f32[4] {
  %c = f32[4]{0} reduce-scatter(%w), replica_groups=[1,8]<=[8], dimensions={0}
}

ENTRY %main (p: f32[4]) -> f32[4] {
  %b = (bf16[8,16]{1,0}, bf16[]) all-gather(%y, %z), replica_groups={{0,1},{2,3}}, dimensions={0}
  %d = f32[4]{0} all-reduce(%w), replica_groups={{0},{1}}, to_apply=%add
  %w1 = f32[4]{0} while(%t), condition=%c1, body=%body.1, backend_config={"known_trip_count":{"n":"5"}}
  %e = f32[4]{0} add(%w, %all-reduce.7)
}
"""


def test_bytes_are_those_of_rings_as_often_as_loops_turn():
    traffic = read_traffic(PROGRAM)
    assert {kind: n for kind, n in traffic.count.items() if n} == {
        "all-reduce": 5,
        "all-gather": 1,
        "all-to-all": 5,
        "reduce-scatter": 15,
    }
    assert traffic.sent["all-reduce"] == pytest.approx(5 * 2 * 3 / 4 * 4000)
    assert traffic.sent["all-gather"] == pytest.approx(1 / 2 * (256 + 2))
    assert traffic.sent["all-to-all"] == pytest.approx(5 * 5 / 6 * 20)
    assert traffic.sent["reduce-scatter"] == pytest.approx(15 * 7 * 16)


def test_a_loop_of_unknown_length_is_refused():
    with pytest.raises(KcxError, match=r"body\.2.*does not tell"):
        read_traffic(PROGRAM.replace('"known_trip_count":{"n":"3"}', ""))


def test_devices_named_in_an_unknown_way_are_refused():
    with pytest.raises(KcxError, match="which devices send"):
        read_traffic(PROGRAM.replace("[1,8]<=[8]", "somewhere"))


def of_three_layers() -> dict:
    import jax

    from kcx_jax.bench.collectives import Layout, step_traffic
    from kcx_jax.data import Shape
    from kcx_jax.lora import LoraConfig
    from kcx_jax.models import ModelConfig, abstract_lora

    config, lora = ModelConfig(64, 32, 64, 3, 2), LoraConfig(rank=4, targets=("W_pack",))
    traffic = step_traffic(config, lora, Layout(data=8), Shape(8, 2, 4, 16, 8), 1, "float32")
    adapter = sum(leaf.size * 4 for leaf in jax.tree.leaves(abstract_lora(config, lora)))
    return {"sent": traffic.sent, "adapter": adapter}


def test_data_parallel_steps_send_the_adapters_gradient_and_little_else():
    found = run_on_fake_devices(of_three_layers)
    gradient = 2 * 7 / 8 * found["adapter"]
    assert gradient <= found["sent"]["all-reduce"] <= gradient + 100  # loss, count and the like
    assert sum(found["sent"].values()) == found["sent"]["all-reduce"]
