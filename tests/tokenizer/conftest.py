"""Tiny tokenizers trained here: one of Baichuan2's kind, and folders shaped like those of other families."""

import json
from pathlib import Path

import pytest
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from kcx_jax.tokenizer import load_tokenizer, train_tokenizer
from kcx_jax.tokenizer.sentencepiece_tokenizer import SentencePieceTokenizer

SENTENCES = [
    'class Person(Entity):\n    """A human being. Examples: Ada Lovelace, 李白"""\n',
    '# sentence = "Ada Lovelace met Adam in London."\nresults = [Person("Ada Lovelace"), City("London")]\n',
    "    Ada was born in London in 1815. 李白出生于碎叶城。李白去了长安。",
]
TEXTS = [*SENTENCES, "it's  \n  here\n\n\tnow,   \r\n\r\nor <b>there</b>"] * 30

_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
FAMILIES = ("llama3", "qwen2", "gpt2", "llama2", "mistral")


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> SentencePieceTokenizer:
    return train_tokenizer(SENTENCES * 30, 560, tmp_path_factory.mktemp("tokenizer") / "tiny")


@pytest.fixture(scope="session")
def released(shared) -> SentencePieceTokenizer:
    return load_tokenizer(shared / "fixtures" / "baichuan2_tokenizer")


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> dict[str, Path]:
    """A model folder without weights of each family."""
    root = tmp_path_factory.mktemp("families")
    makers = {"llama3": llama3, "qwen2": qwen2, "gpt2": gpt2, "llama2": llama2, "mistral": mistral}
    for name, make in makers.items():
        for file, content in make().items():
            (root / name).mkdir(exist_ok=True)
            (root / name / file).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return {name: root / name for name in makers}


@pytest.fixture(scope="session", params=FAMILIES)
def folder(request, folders) -> Path:
    return folders[request.param]


@pytest.fixture(scope="session")
def family(folder):
    return load_tokenizer(folder)


def _byte_level(splitter, symbols: list[str], texts=TEXTS, **bpe) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(**bpe))
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens(symbols)
    return tokenizer


def _words_then_bytes():
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def llama3() -> dict[str, dict]:
    """`ignore_merges`, no pad token, an end token in config.json that is not the chat's."""
    symbols = ["<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|eot_id|>"]
    symbols += ["<|start_header_id|>", "<|end_header_id|>"]
    tokenizer = _byte_level(_words_then_bytes(), symbols, ignore_merges=True)
    begin = tokenizer.token_to_id("<|begin_of_text|>")
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", begin)]
            ),
        ]
    )
    return {
        "tokenizer.json": json.loads(tokenizer.to_str()),
        "tokenizer_config.json": {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},
        "config.json": {"bos_token_id": begin, "eos_token_id": [begin + 1, begin + 3]},
    }


def qwen2() -> dict[str, dict]:
    """NFC, no begin token, added tokens that are not special: signals, and a word somebody added."""
    tokenizer = _byte_level(_words_then_bytes(), ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.normalizer = normalizers.NFC()
    signals = ["<tool_call>", "</tool_call>", "<|fim_prefix|>", "<think>"]
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in signals])
    tokenizer.add_tokens([AddedToken("碎叶城外", normalized=False, lstrip=True)])
    return {
        "tokenizer.json": json.loads(tokenizer.to_str()),
        "tokenizer_config.json": {
            "bos_token": None,
            "eos_token": {"__type": "AddedToken", "content": "<|im_end|>"},
            "pad_token": "<|endoftext|>",
        },
    }


def gpt2() -> dict[str, dict]:
    """The end token is a piece of the model too, settings in the older file, a space before a text."""
    texts = [*SENTENCES, "it's now  \n"] * 30  # no piece goes on behind a newline, one ends in "  \n"
    tokenizer = _byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True), [], texts)
    content = json.loads(tokenizer.to_str())
    number = len(content["model"]["vocab"])
    content["model"]["vocab"]["<|endoftext|>"] = number
    content["added_tokens"] = [_added(number, "<|endoftext|>")]
    content["truncation"] = {"max_length": 3, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    return {"tokenizer.json": content, "special_tokens_map.json": {"eos_token": {"content": "<|endoftext|>"}}}


def _space_marked(symbols: list[str]) -> dict:
    """A "▁" BPE with bytes, in which merges lead to `</s>` and to a byte piece."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    trainer = trainers.BpeTrainer(
        vocab_size=560, special_tokens=[*symbols, *_BYTES, "</", "s>", "<0x", "41>"], show_progress=False
    )
    tokenizer.train_from_iterator([line for text in TEXTS for line in text.split("\n")], trainer)
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [_added(number, symbol) for number, symbol in enumerate(symbols)]
    vocab = content["model"]["vocab"]
    for piece in "sx014<>/":
        vocab.setdefault(piece, len(vocab))
    made = [("<", "/"), ("s", ">"), ("</", "s>"), ("4", "1"), ("41", ">"), ("<0x", "41>")]
    made += [("<", "0"), ("<0", "x")]
    for left, right in made:
        vocab.setdefault(left + right, len(vocab))
    content["model"]["merges"] = [*map(list, made), *content["model"]["merges"]]
    content["decoder"] = {
        "type": "Sequence",
        "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ],
    }
    content["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
    }
    return content


def llama2() -> dict[str, dict]:
    """The older shape: a normaliser puts the space before a text; merges as strings."""
    content = _space_marked(["<unk>", "<s>", "</s>"])
    content["normalizer"] = {
        "type": "Sequence",
        "normalizers": [{"type": "Prepend", "prepend": "▁"}, content["normalizer"]],
    }
    content["model"]["merges"] = [" ".join(pair) for pair in content["model"]["merges"]]
    begin, end = ({"__type": "AddedToken", "content": symbol} for symbol in ("<s>", "</s>"))
    settings = {"bos_token": begin, "eos_token": end, "unk_token": "<unk>"}
    return {"tokenizer.json": content, "tokenizer_config.json": settings}


def mistral() -> dict[str, dict]:
    """The newer shape: the pre-tokeniser puts the space there; ids from config.json alone."""
    content = _space_marked(["<unk>", "<s>", "</s>", "[INST]", "[/INST]"])
    content["normalizer"] = None
    content["pre_tokenizer"] = {
        "type": "Metaspace",
        "replacement": "▁",
        "prepend_scheme": "first",
        "split": False,
    }
    return {
        "tokenizer.json": content,
        "config.json": {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None, "unk_token_id": 0},
    }


def _added(number: int, content: str) -> dict:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": number, "content": content, **flags}
