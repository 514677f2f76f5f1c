"""Prefix ids + branch ids = the ids of the joint text, for tokenizers that cut anywhere."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.data import TokenTree, drop_overlong, encode_tree, token_tree
from kcx_jax.errors import KcxError
from kcx_jax.prompts import Branch, PromptTree
from kcx_jax.schema import Schema
from kcx_jax.tokenizer import train_tokenizer

EOS = 2


@dataclass(frozen=True)
class Greedy:
    """A tokenizer that takes the longest piece each time, so that pieces cross any border."""

    pieces: tuple[str, ...]
    eos_id = EOS
    looks_ahead = False

    @property
    def vocab_size(self) -> int:
        return len(self.pieces)

    def piece(self, token_id: int) -> str:
        return self.pieces[token_id]

    def encode(self, text: str) -> list[int]:
        ids = []
        while text:
            best = max((p for p in self.pieces if text.startswith(p)), key=len)
            ids.append(self.pieces.index(best))
            text = text[len(best) :]
        return ids


ALPHABET = "ab\n= ["
texts = st.text(ALPHABET, max_size=8)
pieces = st.lists(st.text(ALPHABET, min_size=2, max_size=3), max_size=8).map(
    lambda longer: ("<s>", "<unk>", "</s>", *ALPHABET, *longer)
)


def starts_with(tokenizer, text, start):
    """Whether the ids of `text` start with those of `start`."""
    ids = tokenizer.encode(start)
    return tokenizer.encode(text)[: len(ids)] == ids


@settings(max_examples=300, deadline=None)
@given(
    pieces=pieces,
    prefix=texts.map(lambda text: text + "\n"),
    branches=st.lists(st.tuples(texts, texts.map(lambda text: " [" + text)), min_size=1, max_size=4),
)
def test_ids_apart_are_the_ids_of_the_joint_text(pieces, prefix, branches):
    tokenizer = Greedy(pieces)
    tree = PromptTree(
        "ner", prefix, tuple(Branch(c, a, str(i)) for i, (c, a) in enumerate(branches)), Schema(())
    )
    shared = [c for c, a in branches if not starts_with(tokenizer, prefix + c + a, prefix + c)]
    if shared:
        with pytest.raises(KcxError, match="in one token"):
            encode_tree(tokenizer, tree)
        return
    encoded = encode_tree(tokenizer, tree)
    for (context, answer), branch in zip(branches, encoded.branches, strict=True):
        joint = tokenizer.encode(prefix + context + answer)
        before = tokenizer.encode(prefix + context)
        assert [*encoded.prefix, *branch.context, *branch.answer] == [*joint, EOS]
        # Decoding starts from the prompt's ids, whatever moved from the prefix.
        assert [*encoded.prefix, *branch.context] == before


def test_an_unstable_token_moves_into_the_branches():
    tokenizer = Greedy(("<s>", "<unk>", "</s>", *ALPHABET, "\na"))
    tree = PromptTree("ner", "b\n", (Branch("a=", " [", "0"), Branch("b=", " [", "1")), Schema(()))
    encoded = encode_tree(tokenizer, tree)
    assert list(encoded.prefix) == tokenizer.encode("b")
    assert [list(b.context) for b in encoded.branches] == [tokenizer.encode("\na="), tokenizer.encode("\nb=")]


def test_a_context_that_shares_a_token_with_its_answer_is_refused_by_record():
    tokenizer = Greedy(("<s>", "<unk>", "</s>", *ALPHABET, "= "))
    tree = PromptTree("ner", "b\n", (Branch("a=", " [", "doc1-7"),), Schema(()))
    with pytest.raises(KcxError, match=r"record 'doc1-7'.*in one token"):
        encode_tree(tokenizer, tree)


def test_a_tokenizer_that_adds_a_token_in_front_is_refused():
    class Prefixed(Greedy):
        def encode(self, text):
            return [0, *super().encode(text)] if text else []

    tree = PromptTree("ner", "b\n", (Branch("a=", " [", "r"),), Schema(()))
    with pytest.raises(KcxError, match=r"record 'r'.*joint"):
        encode_tree(Prefixed(("<s>", "<unk>", "</s>", *ALPHABET)), tree)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    lines = ['sentence = "Ada Lovelace met Adam in London."\nresults = [Person("Ada Lovelace")]\n'] * 60
    return train_tokenizer(lines, 500, tmp_path_factory.mktemp("tokenizer"))


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.text(max_size=30), min_size=1, max_size=4))
def test_a_trained_tokenizer_on_any_text(trained, texts):
    prefix = "class Person(Entity):\n# NER\n"
    branches = tuple(Branch(f"sentence = {text!r}\nresults =", f" [{text}]", "r") for text in texts)
    encoded = encode_tree(trained, PromptTree("ner", prefix, branches, Schema(())))
    assert list(encoded.prefix) == trained.encode(prefix)
    for branch, tokens in zip(branches, encoded.branches, strict=True):
        joint = trained.encode(prefix + branch.context + branch.answer)
        assert [*encoded.prefix, *tokens.context, *tokens.answer] == [*joint, EOS]


def test_overlong_samples_are_counted_and_refused_unless_allowed():
    trees = [token_tree([5] * 10, [([6] * n, [7, EOS]) for n in range(8)], name="ner")]
    with pytest.raises(
        KcxError, match=r"3 of 8 samples are longer than the model's 15 positions, the longest 18"
    ):
        drop_overlong(trees, 15)
    kept, dropped = drop_overlong(trees, 15, allow=True)
    assert dropped == 3
    assert [len(b.context) for b in kept[0].branches] == [0, 1, 2, 3, 4]
    assert drop_overlong(trees, 18)[1] == 0


def test_an_answer_that_nothing_precedes_is_refused():
    with pytest.raises(KcxError, match="neither schema nor context"):
        token_tree([], [([], [7, EOS])])
    assert isinstance(token_tree([], [([6], [7, EOS])]), TokenTree)
