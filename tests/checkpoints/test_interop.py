"""What is exported loads in transformers and PEFT, without remote code, and computes the same logits."""

import gzip
import json
from itertools import islice

import numpy as np
import pytest

from kcx_jax.checkpoints import export_pretrained, load_pretrained
from kcx_jax.checkpoints.pickle_file import read_pickle
from kcx_jax.decoding import Generator
from kcx_jax.errors import KcxError
from kcx_jax.tokenizer import load_tokenizer
from kcx_jax.tokenizer.fast import save_fast

pytestmark = pytest.mark.interop

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")
nn, F = torch.nn, torch.nn.functional


def our_logits(model, prompts) -> np.ndarray:
    return np.asarray(model.logits([prompts["long"]]))[0]


@pytest.mark.parametrize("name", ["base", "adapted"])
def test_the_llama_layout_loads_in_transformers(request, prompts, tmp_path, name):
    model = request.getfixturevalue(name)
    out = export_pretrained(model, tmp_path / "out", format="llama", shard_size="500KB")
    llama, told = transformers.AutoModelForCausalLM.from_pretrained(
        out, dtype=torch.float32, trust_remote_code=False, output_loading_info=True
    )
    assert type(llama).__name__ == "LlamaForCausalLM"
    assert not any(told[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    with torch.no_grad():
        found = llama(torch.tensor([prompts["long"]])).logits[0].numpy()
        plain = {"do_sample": False, "repetition_penalty": 1.0, "eos_token_id": None}
        new = llama.generate(torch.tensor([prompts["zh"]]), max_new_tokens=8, **plain)
    np.testing.assert_allclose(found, our_logits(model, prompts), atol=1e-4, rtol=0)
    ours = model.generate([prompts["zh"]], 8, stop_id=None)[0]
    assert new[0, len(prompts["zh"]) :].tolist() == ours.tolist()


def test_answers_end_where_those_of_transformers_end(base, prompts, tmp_path):
    """By any of the end tokens in generation_config.json."""
    out = export_pretrained(base, tmp_path / "out", format="llama")
    plain = [each.ids for each in Generator(base).generate_ids([], list(prompts.values()), 16)]
    told = {"eos_token_id": [2, plain[0][4], plain[-1][7]]}
    (out / "generation_config.json").write_text(json.dumps(told))
    llama = transformers.AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
    made = Generator(load_pretrained(out, dtype="float32")).generate_ids([], list(prompts.values()), 16)
    assert {answer.finish_reason for answer in made} == {"stop", "length"}
    for prompt, answer in zip(prompts.values(), made, strict=True):
        new = llama.generate(torch.tensor([prompt]), max_new_tokens=16)[0, len(prompt) :].tolist()
        assert list(answer.ids) == (new[:-1] if answer.finish_reason == "stop" else new)


def test_the_adapter_loads_in_peft(base, adapted, tiny, prompts, tmp_path):
    from safetensors.torch import load_file

    model = Baichuan(base.config)
    model.load_state_dict(load_file(tiny / "base_fp32" / "model.safetensors"))
    ids = torch.tensor([prompts["long"]])
    with torch.no_grad():
        np.testing.assert_allclose(model(ids)[0].numpy(), our_logits(base, prompts), atol=1e-4, rtol=0)
        out = export_pretrained(adapted, tmp_path / "out", format="peft")
        model = peft.PeftModel.from_pretrained(model, out).base_model
        np.testing.assert_allclose(model(ids)[0].numpy(), our_logits(adapted, prompts), atol=1e-4, rtol=0)


def state() -> dict:
    """Module state as torch keeps it: tied, transposed, sliced and empty tensors of the dtypes of weights."""
    torch.manual_seed(0)
    whole = torch.randn(6, 8)
    return {
        "whole": whole,
        "tied": whole,
        "transposed": whole.T,
        "slice": whole[1:4, 2:5],
        "turned": torch.randn(2, 3, 4).permute(2, 0, 1),
        "half": torch.randn(3).half(),
        "bfloat16": torch.randn(5, 2).bfloat16(),
        "scalar": torch.tensor(2.5),
        "empty": torch.empty(0, 3),
        "parameter": nn.Parameter(torch.randn(4)),
    }


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}])
@pytest.mark.parametrize(
    "make", [state, lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)).state_dict()]
)
def test_files_of_torch_are_read_as_torch_reads_them(tmp_path, make, options):
    path = tmp_path / "x.bin"
    torch.save(make(), path, **options)
    expected = torch.load(path, weights_only=True)
    found = {name: tensor.open() for name, tensor in read_pickle(path).items()}
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype.name == str(tensor.dtype).removeprefix("torch.")
        assert found[name].shape == tensor.shape
        np.testing.assert_array_equal(found[name].astype(np.float32), tensor.detach().float().numpy())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": torch.zeros(3, dtype=torch.float64)}, "tensor a has dtype float64"),
        ({"a": torch.zeros(3, dtype=torch.uint16)}, "_rebuild_tensor_v3"),
        ({"state_dict": {"a": torch.zeros(3)}, "epoch": 3}, "holds a dict under 'state_dict'"),
        ({"a": torch.zeros(3).expand(2, 3)}, r"\[2, 3\] with strides \[0, 1\]"),
        ({"a": torch.eye(2).to_sparse()}, "_rebuild_sparse_tensor"),
        (nn.Linear(2, 2), r"torch\.nn\.modules\.linear\.Linear"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}])
def test_what_torch_saves_beyond_plain_weights(tmp_path, content, message, options):
    torch.save(content, tmp_path / "x.bin", **options)
    with pytest.raises(KcxError, match=message):
        read_pickle(tmp_path / "x.bin")


# Baichuan2-7B's forward pass, written from its description, with the release's module names.


class Norm(nn.Module):
    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(size)), eps

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)


class Attention(nn.Module):
    def __init__(self, size: int, heads: int):
        super().__init__()
        self.heads = heads
        self.W_pack = nn.Linear(size, 3 * size, bias=False)
        self.o_proj = nn.Linear(size, size, bias=False)

    def forward(self, x):
        rows, steps, size = x.shape
        q, k, v = (
            y.view(rows, steps, self.heads, -1).transpose(1, 2) for y in self.W_pack(x).chunk(3, dim=-1)
        )
        y = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(rows, steps, size))


def rotate(x):
    half = x.shape[-1] // 2
    angles = torch.outer(torch.arange(x.shape[-2]), 10000.0 ** (-torch.arange(half) / half))
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()], dim=-1)


class Mlp(nn.Module):
    def __init__(self, size: int, inner: int):
        super().__init__()
        self.gate_proj = nn.Linear(size, inner, bias=False)
        self.up_proj = nn.Linear(size, inner, bias=False)
        self.down_proj = nn.Linear(inner, size, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.input_layernorm = Norm(config.hidden_size, config.norm_eps)
        self.self_attn = Attention(config.hidden_size, config.num_heads)
        self.post_attention_layernorm = Norm(config.hidden_size, config.norm_eps)
        self.mlp = Mlp(config.hidden_size, config.intermediate_size)

    def forward(self, x):
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class Body(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))
        self.norm = Norm(config.hidden_size, config.norm_eps)

    def forward(self, ids):
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


class Baichuan(nn.Module):
    """ids [B, T] -> logits [B, T, V]."""

    def __init__(self, config):
        super().__init__()
        self.model = Body(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def forward(self, ids):
        return self.model(ids) @ F.normalize(self.lm_head.weight).T

    def prepare_inputs_for_generation(self):
        """PEFT asks every causal model for this; nothing is generated here."""


TEXTS = [
    *(
        "",
        " ",
        "  two leading",
        "trailing ",
        "a\nb\n\n    c\t",
        "Hello  world",
        "def f(x):\n        return x",
    ),
    *(
        "1234.5",
        "你好，世界！",
        "。。。。。",
        "😀 𠮷 e\u0301",
        "<reserved_106>hi<reserved_107>",
        "<b>x</b>",
        "\x00",
        "\ufeff",
    ),
]


@pytest.fixture(scope="module", params=["baichuan2_tiny/base_fp32", "baichuan2_tokenizer", "ours"])
def pair(request, shared, tmp_path_factory):
    """A tokenizer of ours, and its export in transformers."""
    folder = tmp_path_factory.mktemp("tokenizers")
    if request.param == "ours":
        from kcx_jax.tokenizer import train_tokenizer

        text = "def f(x):\n    return x  # 你好，世界 Hello world 1234\n"
        ours = train_tokenizer([text] * 20, 500, folder / "ours")
    else:
        ours = load_tokenizer(shared / "fixtures" / request.param)
    save_fast(ours, folder / "fast")
    (folder / "fast" / "config.json").write_text(json.dumps({"model_type": "llama"}))
    theirs = transformers.AutoTokenizer.from_pretrained(folder / "fast", trust_remote_code=False)
    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id) == (1, 2, 0)
    return ours, theirs


def test_transformers_gives_the_same_ids(pair, shared):
    compare(pair, [*TEXTS, *real_texts(shared, lines=20)])


@pytest.mark.slow
@pytest.mark.parametrize("pair", ["baichuan2_tokenizer"], indirect=True)
def test_transformers_gives_the_released_ids_for_every_text(pair, shared):
    compare(pair, real_texts(shared, lines=None))


def compare(pair, texts):
    ours, theirs = pair
    for text in texts:
        ids = ours.encode(text, allow_special=True)
        assert theirs(text)["input_ids"] == ids, text
        assert theirs.decode(ids, skip_special_tokens=True) == ours.decode(ids)


def real_texts(shared, lines: int | None) -> list[str]:
    """Each line once, the first ones of every file or all; a line without an end is cut."""
    texts: dict[str, None] = {}
    for path in sorted((shared / "data").rglob("*")):
        if path.is_file():
            with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as handle:
                texts |= dict.fromkeys(line[:2000] for line in islice(handle, lines))
    assert len(texts) > 500
    return list(texts)
