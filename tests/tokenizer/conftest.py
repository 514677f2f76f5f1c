"""A tiny tokenizer trained here, and the released one where the shared folder is."""

import pytest

from kcx_jax.tokenizer import Tokenizer, load_tokenizer, train_tokenizer

TEXTS = [
    'class Person(Entity):\n    """A human being. Examples: Ada Lovelace, 李白"""\n',
    '# sentence = "Ada Lovelace met Adam in London."\nresults = [Person("Ada Lovelace"), City("London")]\n',
    "    Ada was born in London in 1815. 李白出生于碎叶城。李白去了长安。",
] * 30


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Tokenizer:
    return train_tokenizer(TEXTS, 560, tmp_path_factory.mktemp("tokenizer") / "tiny")


@pytest.fixture(scope="session")
def released(shared) -> Tokenizer:
    return load_tokenizer(shared / "fixtures" / "baichuan2_tokenizer")
