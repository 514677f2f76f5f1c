"""What --plan reads off a compiled step, and when it refuses."""

from pathlib import Path

import pytest

from kcx_jax.errors import KcxError
from kcx_jax.testing.devices import run_on_fake_devices
from kcx_jax.training import forecast as forecasting
from kcx_jax.training.config import parse_config


def on_devices(values, folder):
    told = forecasting.forecast(parse_config(values), lambda line: None)
    return told.trained, {kind: bytes for kind, bytes in told.traffic.sent.items() if bytes}


def test_data_parallel_tuning_sums_up_each_gradient_once(plain_config, tmp_path):
    values = {**plain_config, "rows_per_step": 8, "stages": plain_config["stages"][1:]}
    trained, sent = run_on_fake_devices(on_devices, values, str(tmp_path))
    # By a ring of eight: float32 gradients, the loss, and the number of targets.
    assert sent == {"all-reduce": 2 * 7 / 8 * (4 * trained + 8)}


def test_a_run_that_does_not_fit_is_refused_with_one_that_does(plain_config, monkeypatch):
    stages = plain_config["stages"][1:]
    config = parse_config({**plain_config, "rows_per_step": 4, "stages": stages})
    told = forecasting.forecast(config, lambda line: None)
    told.require_room()  # a CPU does not say what it has
    assert told.room is None
    monkeypatch.setattr(forecasting, "device_bytes", lambda: told.memory.total - 1)
    with pytest.raises(KcxError, match=rf"needs {told.memory.total:,} bytes .* With remat: true") as caught:
        forecasting.forecast(config, lambda line: None).require_room()
    assert not Path(config.run_dir).exists()
    fitting = parse_config({**plain_config, "rows_per_step": 4, "stages": stages, "remat": True})
    if "accumulate" in str(caught.value):
        fitting = fitting.model_copy(update={"accumulate": 4})
    assert forecasting.forecast(fitting, lambda line: None).memory.total < told.memory.total
    monkeypatch.setattr(forecasting, "device_bytes", lambda: 1000)
    with pytest.raises(KcxError, match="Use more devices"):
        forecasting.forecast(config, lambda line: None).require_room()
