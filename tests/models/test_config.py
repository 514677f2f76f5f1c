"""config.json: read, written, and refused where it asks for what is not computed."""

import json

import pytest

from kcx_jax.errors import KcxError
from kcx_jax.models import ModelConfig, config_from_hf, config_to_hf
from kcx_jax.ops.rope import Rope

CONFIG = ModelConfig(vocab_size=640, hidden_size=64, intermediate_size=96, num_layers=2, num_heads=4)


def test_the_release_layout_is_read(shared):
    text = (shared / "fixtures/baichuan2_tiny/base_fp32/config.json").read_text()
    config = config_from_hf(json.loads(text))
    assert config == ModelConfig(2304, 64, 172, 3, 4, max_positions=4096)
    written = config_to_hf(config)
    assert {key: json.loads(text)[key] for key in written} == written


@pytest.mark.parametrize(
    "changes", [{}, {"rope": Rope(5e5), "z_loss_weight": 1e-4, "norm_eps": 1e-5, "eos_id": 7}]
)
def test_what_is_written_reads_back(changes):
    config = ModelConfig(**{**vars(CONFIG), **changes})
    assert config_from_hf(json.loads(json.dumps(config_to_hf(config)))) == config


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"model_type": "gemma"}, "gemma"),
        ({"model_type": None}, "model_type"),
        ({"architectures": ["BaiChuanForCausalLM"]}, "Baichuan 1"),
        ({"max_position_embeddings": ..., "model_max_length": 0}, "max_position_embeddings"),
        ({"tie_word_embeddings": True}, "tie_word_embeddings"),
        ({"num_key_value_heads": 2}, "num_key_value_heads"),
        ({"rope_scaling": {"type": "linear"}}, "rope_scaling"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2}}, "dynamic"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ({"rope_theta": -1}, "rope_theta"),
        ({"attention_bias": True}, "attention_bias"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"hidden_size": ...}, "missing hidden_size"),
        ({"hidden_size": 62}, "multiple of num_attention_heads"),
        ({"hidden_size": 60}, "RoPE rotates pairs"),
        ({"num_hidden_layers": 0}, "num_hidden_layers"),
        ({"vocab_size": "many"}, "vocab_size"),
        ({"rms_norm_eps": 0}, "rms_norm_eps"),
        ({"rms_norm_eps": "small"}, "rms_norm_eps"),
        ({"eos_token_id": 640}, "eos_token_id"),
        ({"eos_token_id": "</s>"}, "eos_token_id"),
        ({"z_loss_weight": -1}, "z_loss_weight"),
    ],
)
def test_other_architectures_and_broken_values_are_refused_by_name(changes, named):
    config = {key: value for key, value in {**config_to_hf(CONFIG), **changes}.items() if value is not ...}
    with pytest.raises(KcxError, match=named) as caught:
        config_from_hf(config, where="some/config.json")
    assert "some/config.json" in str(caught.value)
