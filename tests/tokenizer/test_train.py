"""A trained tokenizer has the release's properties, and a name keeps its pieces wherever it stands."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.errors import KcxError
from kcx_jax.tokenizer import train_tokenizer
from kcx_jax.tokenizer.sentencepiece_tokenizer import SentencePieceTokenizer

TEXTS = [
    "Ada Lovelace met Adam in London in 1815. 李白出生于碎叶城。\n    pass\n"
] * 20  # enough for 519 pieces
WORDS = st.lists(st.text("adelmonvcrst", min_size=1, max_size=9).map(str.title), min_size=1, max_size=3)


def test_properties_of_the_release(trained: SentencePieceTokenizer):
    assert [trained.piece(i) for i in (0, 1, 2, 3, 4, 5, 6)] == [
        "<unk>",
        "<s>",
        "</s>",
        "<SEP>",
        "<CLS>",
        "\n",
        "\t",
    ]
    assert [trained.piece(i) for i in (101, 195, 196)] == [
        "<reserved_12>",
        "<reserved_106>",
        "<reserved_107>",
    ]
    assert [trained.piece(i) for i in trained.encode("1815")] == ["1", "8", "1", "5"]
    assert trained.vocab_size == 560
    spec = trained.proto.trainer_spec
    assert (spec.byte_fallback, spec.split_digits, spec.allow_whitespace_only_pieces) == (True, True, True)


@settings(deadline=None)
@given(name=WORDS.map(" ".join) | st.text("李白出生碎叶城去了长安", min_size=1, max_size=4))
def test_a_name_has_the_same_pieces_in_every_place(trained: SentencePieceTokenizer, name: str):
    pieces = trained.encode(name)
    for before, after in [
        (' ("', '")'),
        ("met ", " in"),
        ("白去了", "。"),
        ("\n", "\n"),
        ("(", ","),
        ("    ", "'s"),
    ]:
        joint = trained.encode(before + name + after)
        assert joint == trained.encode(before) + pieces + trained.encode(after)


def test_an_indent_is_one_piece(trained: SentencePieceTokenizer):
    assert [trained.piece(i) for i in trained.encode("\n     1")] == ["\n", "▁▁▁▁", "▁", "1"]


def test_same_texts_same_bytes_and_the_options(tmp_path):
    options = {"stable_spans": False, "extra_pieces": ["[Person("]}
    first = train_tokenizer(TEXTS, 510, tmp_path / "a", **options)
    second = train_tokenizer(iter(TEXTS), 510, tmp_path / "b", **options)
    assert first.model == second.model == (tmp_path / "b" / "tokenizer.model").read_bytes()
    assert first.piece(first.encode("[Person(Ada")[0]) == "[Person("
    assert first.piece(195) == "<reserved_106>"
    assert any(first.piece(i).startswith("▁L") for i in first.encode(" London"))


@pytest.mark.parametrize("piece", ["[Person(", '"), ', '."""\nclass ', ": list[", " | "])
def test_an_extra_piece_stays_whole_whatever_it_is_made_of(piece, tmp_path):
    tokenizer = train_tokenizer(TEXTS, 510, tmp_path / "a", extra_pieces=[piece])
    before, whole = tokenizer.encode("Ada"), tokenizer.encode(f"Ada{piece}Ada")
    assert len(whole) == 2 * len(before) + 1
    assert tokenizer.decode(whole) == f"Ada{piece}Ada"


def test_faults_are_named(tmp_path):
    with pytest.raises(KcxError, match="9000 pieces on these texts: Vocabulary size too high"):
        train_tokenizer(TEXTS, 9000, tmp_path / "a")
    with pytest.raises(KcxError, match="lone surrogate"):
        train_tokenizer(["\ud83d"], 510, tmp_path / "a")
    assert not (tmp_path / "a").exists()
    train_tokenizer(TEXTS, 510, tmp_path / "a")
    with pytest.raises(KcxError, match="exists already"):
        train_tokenizer(TEXTS, 510, tmp_path / "a")
