"""Models of the Llama family and adapters of q, k and v: read, written, and computed as transformers and PEFT do."""

import numpy as np
import pytest

from kcx_jax.checkpoints import export_pretrained, load_pretrained
from kcx_jax.checkpoints.weights import open_weights
from kcx_jax.errors import UsageError
from kcx_jax.lora import LoraConfig

pytestmark = pytest.mark.interop

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")

SIZES = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "bos_token_id": 256,
    "eos_token_id": 257,
}
MODELS = {
    "llama": {"model_type": "llama", "attention_bias": True, "mlp_bias": True},
    "mistral": {"model_type": "mistral", "sliding_window": 6},
    "qwen2": {"model_type": "qwen2", "tie_word_embeddings": True},
    "qwen3": {"model_type": "qwen3", "head_dim": 12},
}
IDS = np.random.default_rng(0).integers(0, 256, (1, 24))


def write_tokenizer(folder):
    """A byte-level tokenizer that merges nothing, with the special tokens of Llama 3."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(text, special=True) for text in ("<|begin_of_text|>", "<|eot_id|>")]
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>"
    )
    fast.save_pretrained(folder)


@pytest.fixture(scope="module", params=MODELS.values(), ids=list(MODELS))
def folder(request, tmp_path_factory):
    """A random model as transformers saves it, in shards."""
    folder = tmp_path_factory.mktemp("model")
    theirs = transformers.AutoModelForCausalLM.from_config(
        transformers.AutoConfig.for_model(**(SIZES | request.param))
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.3)
    theirs.save_pretrained(folder, max_shard_size="30KB")
    write_tokenizer(folder)
    return folder


def theirs_of(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def their_logits(model):
    with torch.no_grad():
        return model(torch.tensor(IDS)).logits.numpy()


def our_logits(folder, **options):
    return np.asarray(load_pretrained(folder, dtype="float32", **options).logits(IDS))


def test_a_folder_loads_and_an_export_loads_back(folder, tmp_path):
    expected = their_logits(theirs_of(folder))
    np.testing.assert_allclose(our_logits(folder), expected, atol=1e-4, rtol=0)
    model = load_pretrained(folder, dtype=None)
    out = export_pretrained(model, tmp_path / "out", format="llama", shard_size="40KB")
    assert transformers.AutoConfig.from_pretrained(out).model_type == model.config.family
    np.testing.assert_allclose(their_logits(theirs_of(out)), expected, atol=1e-6, rtol=0)
    before, after = open_weights(folder), open_weights(out)
    assert set(before) == set(after)
    for name, tensor in before.items():
        np.testing.assert_array_equal(tensor.open(), after[name].open())
    with pytest.raises(UsageError, match="no Baichuan layout"):
        export_pretrained(model, tmp_path / "no", format="baichuan")


def saved_adapter(folder, out, seed=0, **options):
    """A random adapter as PEFT saves it, and the logits with it."""
    settings = {
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ["q_proj", "v_proj", "o_proj", "down_proj"],
        **options,
    }
    model = peft.get_peft_model(theirs_of(folder), peft.LoraConfig(task_type="CAUSAL_LM", **settings))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.2)
    model.save_pretrained(out)
    return their_logits(model.eval())


OPTIONS = {
    "plain": {},
    "rslora": {"use_rslora": True},
    "own ranks": {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"down_proj": 3}},
    "all": {"target_modules": "all-linear"},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
def test_peft_adapters_load_and_their_exports_load_back(folder, tmp_path, options):
    expected = saved_adapter(folder, tmp_path / "adapter", **options)
    np.testing.assert_allclose(our_logits(folder, adapter=tmp_path / "adapter"), expected, atol=1e-4, rtol=0)
    model = load_pretrained(folder, tmp_path / "adapter", dtype="float32")
    out = export_pretrained(model, tmp_path / "out", format="peft")
    again = peft.PeftModel.from_pretrained(theirs_of(folder), out)
    np.testing.assert_allclose(their_logits(again.eval()), expected, atol=1e-4, rtol=0)
    np.testing.assert_allclose(np.asarray(model.merged().logits(IDS)), expected, atol=1e-4, rtol=0)


def test_a_chain_of_adapters_is_exported_as_one_of_the_summed_rank(folder, tmp_path):
    chain = [tmp_path / "one", tmp_path / "two"]
    saved_adapter(folder, chain[0])
    saved_adapter(
        folder, chain[1], seed=1, r=3, lora_alpha=5, target_modules=["q_proj", "k_proj", "gate_proj"]
    )
    model = load_pretrained(folder, chain, dtype="float32")
    assert model.lora_config.rank_of("q_proj") == 7
    both = peft.PeftModel.from_pretrained(theirs_of(folder), chain[0]).merge_and_unload()
    both = peft.PeftModel.from_pretrained(both, chain[1])
    expected = their_logits(both.eval())
    np.testing.assert_allclose(np.asarray(model.logits(IDS)), expected, atol=1e-4, rtol=0)
    out = export_pretrained(model, tmp_path / "out", format="peft")
    again = peft.PeftModel.from_pretrained(theirs_of(folder), out)
    np.testing.assert_allclose(their_logits(again.eval()), expected, atol=1e-4, rtol=0)


def test_an_adapter_of_the_fused_kernel_works_on_the_same_model_as_llama(base, adapted, prompts, tmp_path):
    """Split: the rank stays. Trained there and brought back, it is fused again, of three times the rank."""
    ids = [prompts["mix"]]
    expected = np.asarray(adapted.logits(ids))
    llama = export_pretrained(base, tmp_path / "llama", format="llama")
    split = export_pretrained(adapted, tmp_path / "split", format="peft", qkv="split")
    theirs = peft.PeftModel.from_pretrained(theirs_of(llama), split)
    assert theirs.peft_config["default"].r == adapted.lora_config.rank
    with torch.no_grad():
        np.testing.assert_allclose(theirs(torch.tensor(ids)).logits.numpy(), expected, atol=1e-4, rtol=0)
    back = load_pretrained(base.name, split, dtype="float32")
    assert set(back.lora_config.targets) > {"q_proj", "k_proj", "v_proj"}
    np.testing.assert_allclose(np.asarray(back.logits(ids)), expected, atol=1e-4, rtol=0)
    fused = export_pretrained(back, tmp_path / "fused", format="peft")
    again = load_pretrained(base.name, fused, dtype="float32")
    assert again.lora_config.rank_of("W_pack") == 3 * adapted.lora_config.rank_of("W_pack")
    np.testing.assert_allclose(np.asarray(again.logits(ids)), expected, atol=1e-4, rtol=0)


def test_layouts_and_options_that_do_not_fit_are_refused(base, tmp_path):
    with pytest.raises(UsageError, match="qkv"):
        export_pretrained(base, tmp_path / "out", format="llama", qkv="split")
    with pytest.raises(UsageError, match="twice"):
        LoraConfig(targets=("W_pack", "q_proj"))
