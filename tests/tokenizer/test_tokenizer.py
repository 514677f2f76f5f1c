"""Text in, the same text out; reserved symbols are never forged; the released model's own ids."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.errors import KcxError
from kcx_jax.tokenizer import load_tokenizer
from kcx_jax.tokenizer.sentencepiece_tokenizer import SentencePieceTokenizer

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
FRAGMENTS = "<reserved_106>|<reserved_|1|06>|<SEP>|</s>|<s>|<unk>|<0x41>|▁| |    |\n|\t"
FRAGMENTS += "|<|Ada|李白|é|e\u0301|😀|\x00|\ufeff|<b>"
TRICKY = st.lists(st.sampled_from(FRAGMENTS.split("|"))).map("".join)


@settings(deadline=None, max_examples=300)
@given(text=ANY_TEXT | TRICKY)
def test_any_text_comes_back(trained: SentencePieceTokenizer, text: str):
    assert trained.decode(trained.encode(text)) == text


@settings(deadline=None, max_examples=100)
@given(text=ANY_TEXT | TRICKY)
def test_any_text_comes_back_from_the_released_model(released: SentencePieceTokenizer, text: str):
    assert released.decode(released.encode(text)) == text


@settings(deadline=None)
@given(text=TRICKY)
def test_typed_text_never_becomes_a_reserved_symbol(trained: SentencePieceTokenizer, text: str):
    reserved = {0, 1, 2, *(i for i in range(trained.vocab_size) if trained.piece(i) in trained.reserved)}
    assert len(reserved) > 100
    assert reserved.isdisjoint(trained.encode(text))


def test_the_release_turns_a_typed_marker_into_its_id_only_when_asked(released: SentencePieceTokenizer):
    text = "<reserved_106>你好<reserved_107>"
    assert released.encode(text, allow_special=True) == [195, *released.encode("你好"), 196]
    assert not {195, 196} & set(released.encode(text))
    assert [released.piece(i) for i in released.encode("</s>")] == ["</", "s", ">"]
    assert released.encode("<b>") == [released.encode("<b>", allow_special=True)[0]]  # markup is text


@settings(deadline=None)
@given(parts=st.lists(TRICKY | st.integers(0, 400)))
def test_what_ids_show_one_by_one_is_what_they_show_together(trained: SentencePieceTokenizer, parts):
    """Symbols among them: some are shown, and some are left out."""
    ids = [each for part in parts for each in (trained.encode(part) if isinstance(part, str) else [part])]
    symbol = next(i for i in range(trained.vocab_size) if trained.piece(i) == "<reserved_106>")
    for some in (ids, [*ids, symbol, *ids]):
        shown = b"".join(trained.shown_bytes[token] for token in some)
        assert shown.decode("utf-8", "replace").replace("\ufffd", "") == trained.decode(some).replace(
            "\ufffd", ""
        )


def test_golden_ids(shared):
    folder = shared / "fixtures" / "baichuan2_tiny"
    golden = json.loads((folder / "golden" / "tokenizer.json").read_text())
    tokenizer = load_tokenizer(folder / "base_fp32")
    assert (tokenizer.vocab_size, tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (2304, 1, 2, 0)
    for case in golden["encode"]:
        ids = tokenizer.encode(case["text"], allow_special=True)
        assert ids == case["ids"], case["text"]
        assert [tokenizer.piece(i) for i in ids] == case["pieces"]
        assert tokenizer.decode(ids) == case["decoded"]
        if "<reserved_" not in case["text"]:
            assert tokenizer.encode(case["text"]) == ids
    for case in golden["decode"]:
        assert tokenizer.decode(case["ids"]) == case["text_skip_special"]


def test_saved_files_equal_those_read(shared, tmp_path):
    folder = shared / "fixtures" / "baichuan2_tiny" / "base_fp32"
    load_tokenizer(folder).save(tmp_path)
    for name in ("tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"):
        assert (tmp_path / name).read_bytes().strip() == (folder / name).read_bytes().strip()


def test_our_own_files_have_the_release_keys(shared, trained: SentencePieceTokenizer, tmp_path):
    released = shared / "fixtures" / "baichuan2_tiny" / "base_fp32"
    trained.save(tmp_path)
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        assert json.loads((tmp_path / name).read_text()) == json.loads((released / name).read_text())


def test_faults_are_named(trained: SentencePieceTokenizer, tmp_path):
    with pytest.raises(KcxError, match=r"lone surrogate U\+D83D at character 1"):
        trained.encode("a\ud83d")
    with pytest.raises(KcxError, match="token id 560 is outside"):
        trained.decode([560])
    with pytest.raises(KcxError, match=r"tokenizer\.model"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(trained.model[:1000])
    with pytest.raises(KcxError, match="truncated or damaged"):
        load_tokenizer(tmp_path)


def test_a_tokenizer_that_changes_its_text_is_refused(trained: SentencePieceTokenizer):
    other = type(trained.proto)()
    other.CopyFrom(trained.proto)
    other.normalizer_spec.add_dummy_prefix = True
    with pytest.raises(KcxError, match="puts a space before a text"):
        SentencePieceTokenizer(other.SerializeToString())
