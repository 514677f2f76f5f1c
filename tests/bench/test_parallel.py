"""`kcx bench parallel`: what it measures and reports, not how fast this machine is."""

import pytest

from kcx_jax.bench.parallel import bench_parallel


def test_every_side_sends_all_and_stands_beside_the_openai_package():
    lines: list[str] = []
    report = bench_parallel(records=30, concurrency=5, latency=0.0, rounds=1, say=lines.append).to_json()
    assert [line.split(":")[0] for line in lines] == [
        "kcx",
        "openai, keeping nothing",
        "kcx's transport, keeping nothing",
    ]
    for side in ("kcx", "openai", "transport"):
        assert min(report[side].values()) > 0
    ours, package = (report[side]["requests_per_second"] for side in ("kcx", "openai"))
    assert report["ratio"] == pytest.approx(ours / package)
    assert (report["settings"]["records"], report["settings"]["concurrency"]) == (30, 5)
