"""A prefix encoded once and its texts encoded apart are the joint texts, token by token."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.tokenizer import load_tokenizer
from kcx_jax.tokenizer.cut import encode_below

ALPHABET = 'aA \n\r\t"=李白😀<reserved_1>▁'


RELEASED = ("baichuan2_tiny/base_fp32", "baichuan2_tokenizer")


@pytest.fixture(scope="module", params=[*RELEASED, "llama3", "qwen2", "gpt2", "llama2", "mistral"])
def tokenizer(request):
    if request.param in RELEASED:
        return load_tokenizer(request.getfixturevalue("shared") / "fixtures" / request.param)
    return load_tokenizer(request.getfixturevalue("folders")[request.param])


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_prefix_and_text_ids_are_the_ids_of_the_joint_text(tokenizer, data):
    prefix = data.draw(st.text(ALPHABET, max_size=12))
    prefix += data.draw(st.sampled_from(["", "\n", "):\n"]))
    texts = data.draw(st.lists(st.text(ALPHABET, min_size=1, max_size=8), max_size=4))
    prefix_ids, text_ids = encode_below(tokenizer, prefix, texts)
    assert [prefix_ids + ids for ids in text_ids] == [tokenizer.encode(prefix + text) for text in texts]
    assert all(text_ids)


def test_a_prefix_that_ends_in_a_newline_stays_whole(tokenizer):
    prefix = "class Person(Entity):\n    pass\n# NER\n"
    prefix_ids, _ = encode_below(tokenizer, prefix, ['sentence = "Ada"\nresults ='])
    assert prefix_ids == tokenizer.encode(prefix)


def test_a_pattern_that_looks_past_the_prefix(folders):
    """Alone, the prefix ends in the piece "  \\n"; before a word, its newline is a word of its own."""
    tokenizer = load_tokenizer(folders["gpt2"])
    prefix_ids, (text_ids,) = encode_below(tokenizer, "it's  \n", ["here"])
    assert prefix_ids + text_ids == tokenizer.encode("it's  \nhere")
    assert prefix_ids != tokenizer.encode("it's  \n")


def test_which_patterns_look_past_a_newline(folders):
    found = {name: load_tokenizer(folder).looks_ahead for name, folder in folders.items()}
    assert found == {"llama3": False, "qwen2": False, "gpt2": True, "llama2": False, "mistral": False}


def test_a_text_is_encoded_without_its_prefix_where_no_piece_crosses(folders, monkeypatch):
    tokenizer = load_tokenizer(folders["llama3"])
    read = []
    encode = tokenizer.encode
    monkeypatch.setattr(tokenizer, "encode", lambda text: read.append(text) or encode(text))
    encode_below(tokenizer, "# NER\n", ["Ada", "李白"])
    assert sorted(read) == ["# NER\n", "Ada", "李白"]
    encode_below(tokenizer, "# NER\n", [" \n"])
    assert "# NER\n \n" in read
