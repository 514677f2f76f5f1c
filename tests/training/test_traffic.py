"""What a step sends between devices, read from a program's text."""

import pytest

from kcx_jax.training.traffic import read_traffic

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
  %h = f32[6]{0} all-to-all(%x), replica_groups=mesh['axis_0'=2,'axis_1'=4], device_ids=([4,2]T(1,0)) {'axis_0'}
  %g = (f32[2]{0}, f32[16]{0}) all-gather-start(%p), replica_groups={}, dimensions={0}
}
"""


def test_bytes_are_those_of_rings_as_often_as_loops_turn():
    traffic = read_traffic(PROGRAM, 8)
    assert traffic.exact
    assert {kind: n for kind, n in traffic.count.items() if n} == {
        "all-reduce": 5,
        "all-gather": 2,
        "all-to-all": 6,
        "reduce-scatter": 15,
    }
    assert traffic.sent["all-reduce"] == pytest.approx(5 * 2 * 3 / 4 * 4000)
    assert traffic.sent["all-gather"] == pytest.approx(1 / 2 * (256 + 2) + 7 / 8 * 64)
    assert traffic.sent["all-to-all"] == pytest.approx(5 * 5 / 6 * 20 + 1 / 2 * 24)
    assert traffic.sent["reduce-scatter"] == pytest.approx(15 * 7 * 16)


@pytest.mark.parametrize(
    ("told", "untold", "calls"),
    [('"known_trip_count":{"n":"3"}', "", 5), ("[1,8]<=[8]", "somewhere", 15)],
)
def test_what_the_program_does_not_tell_is_said(told, untold, calls):
    traffic = read_traffic(PROGRAM.replace(told, untold), 8)
    assert not traffic.exact
    assert traffic.count["reduce-scatter"] == calls
    assert traffic.sent["reduce-scatter"] == calls * 7 * 16


def test_a_program_of_one_device_sends_nothing():
    assert read_traffic("HloModule empty", 1).calls == 0
