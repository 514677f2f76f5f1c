"""Constructed languages: true spans, the source's annotation, injective words and names, and no bytes as tokens."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
import sentencepiece

from kcx_jax.corpora import Mention, Record
from kcx_jax.demo.base import SHIPPED
from kcx_jax.demo.corpus import (
    CONSTRUCTED,
    LANGUAGES,
    construct,
    everyday_frames,
    everyday_lexicon,
    generate,
    in_language,
    phrase,
    source_of,
)
from kcx_jax.demo.corpus.names import SPLITS
from kcx_jax.errors import KcxError, UsageError

COUNT = 2000


@pytest.fixture(scope="module")
def splits() -> dict[str, list[dict[str, Record]]]:
    return {
        split: [
            item | {language: in_language(item, language) for language in CONSTRUCTED}
            for item in generate(7, COUNT, split)
        ]
        for split in SPLITS
    }


@pytest.fixture(scope="module")
def items(splits) -> list[dict[str, Record]]:
    return [item for split in SPLITS for item in splits[split]]


@pytest.fixture(scope="module")
def pieces() -> Callable[[str], list[int]]:
    model = sentencepiece.SentencePieceProcessor()
    model.Load(str(SHIPPED / "tokenizer.model"))

    def encoded(text: str) -> list[int]:
        ids = model.EncodeAsIds(text)
        assert not any(model.IsByte(id_) or model.IsUnknown(id_) for id_ in ids), text
        return ids

    return encoded


@pytest.mark.parametrize("language", CONSTRUCTED)
def test_every_record_survives_the_checks_of_reading(items, language):
    for item in items:
        record = item[language]
        assert record.language == language
        assert Record.from_json(json.loads(json.dumps(record.to_json())), record.id) == record
        starts = [mention.start for mention in record.entities]
        assert starts == sorted(starts)


@pytest.mark.parametrize("language", CONSTRUCTED)
def test_nothing_but_text_and_places_differs_from_the_source(items, language):
    def content(record: Record):
        events = [(e.type, [(a.role, a.entity) for a in e.arguments]) for e in record.events]
        return record.id, {m.id: m.type for m in record.entities}, record.relations, events

    for item in items:
        assert content(item[language]) == content(item[source_of(language)])


@pytest.mark.parametrize("language", CONSTRUCTED)
def test_a_span_covers_the_form_of_what_it_covered(items, language):
    """Mentions are equal where the source's are; triggers and untyped arguments are the forms of their words."""
    for item in items:
        source, record = item[source_of(language)], item[language]
        before = {mention.id: mention.text for mention in source.entities}
        after = {mention.id: mention.text for mention in record.entities}
        for one in before:
            for other in before:
                assert (before[one] == before[other]) == (after[one] == after[other])
        for old, new in zip(source.events, record.events, strict=True):
            assert new.trigger.text.lower() == phrase(old.trigger.text, language).lower()
            for was, became in zip(old.arguments, new.arguments, strict=True):
                if was.entity is None:
                    assert became.text.lower() == phrase(was.text, language).lower()


@pytest.mark.parametrize("language", CONSTRUCTED)
def test_names_and_sentences_are_mapped_injectively(items, language):
    source = source_of(language)
    names, sentences = {}, {}
    for item in items:
        before = {mention.id: mention.text for mention in item[source].entities}
        for mention in item[language].entities:
            assert names.setdefault(mention.text, before[mention.id]) == before[mention.id]
        text = item[source].text
        assert item[language].text not in (item[other].text for other in LANGUAGES)
        assert sentences.setdefault(item[language].text, text) == text


@pytest.mark.parametrize("language", CONSTRUCTED)
def test_words_are_mapped_injectively_and_none_is_a_natural_one(language):
    words = [word[source_of(language)] for words in everyday_lexicon().values() for word in words]
    forms = [phrase(word, language) for word in words]
    assert len(set(forms)) == len(set(words))
    assert not {form for form in forms if len(form) > 1} & set(words)


@pytest.mark.parametrize("language", CONSTRUCTED)
def test_the_splits_share_neither_sentences_nor_names_in_any_language(splits, language):
    seen = {record.text for item in splits["train"] for record in item.values()}
    names = {m.text for item in splits["train"] for record in item.values() for m in record.entities}
    for item in splits["heldout"]:
        assert item[language].text not in seen
        assert not names & {mention.text for mention in item[language].entities}


@pytest.mark.parametrize("language", CONSTRUCTED)
def test_sentences_are_pieces_of_the_shipped_tokenizer_and_not_much_longer(items, language, pieces):
    tokens = sum(len(pieces(item[language].text)) for item in items)
    natural = 30 * len(items) if language != "qac" else 22 * len(items)  # English; Chinese
    assert tokens < 1.4 * natural


def test_everyday_sentences_have_forms_in_every_language(pieces):
    lexicon = everyday_lexicon()
    for language in CONSTRUCTED:
        source = source_of(language)
        for frame in everyday_frames():
            words = [words[0][source] for words in lexicon.values()][:3]
            text = frame[source].format(*words)
            start = text.lower().index(words[0].lower())
            mention = Mention(
                "e0", "Animal", start, start + len(words[0]), text[start : start + len(words[0])]
            )
            made = construct(Record("", source, text, (mention,)), language)
            pieces(made.text)
            assert made.entities[0].text.lower() == phrase(words[0], language).lower()


def test_what_overlaps_or_repeats_stays_so():
    text = "Bado University and Bado bought dogs."
    mentions = (
        *(Mention("e0", "University", 0, 15, text[:15]), Mention("e1", "City", 0, 4, text[:4])),
        Mention("e2", "City", 20, 24, text[20:24]),
    )
    made = {m.id: m for m in construct(Record("r", "en", text, mentions), "qaa").entities}
    assert made["e1"].text == made["e2"].text
    assert (made["e0"].start, made["e1"].start) == (0, 0)
    assert made["e0"].text.startswith(made["e1"].text)


def test_the_same_record_is_written_in_the_same_way():
    (item,) = generate(5, 1, "train")
    assert in_language(item, "qaa").text == in_language(generate(5, 1, "train")[0], "qaa").text
    assert len({in_language(item, language).text for language in (*LANGUAGES, *CONSTRUCTED)}) == 6


def test_what_has_no_form_is_refused():
    with pytest.raises(UsageError, match=r"'qad'.*en, zh, es, qaa, qab, qac"):
        source_of("qad")
    with pytest.raises(KcxError, match="Xylophones"):
        construct(Record("r", "en", "Xylophones."), "qaa")
    with pytest.raises(KcxError, match=r"made of en.*is zh"):
        construct(Record("r", "zh", "狗。"), "qaa")
    (item,) = [each for each in generate(0, 40, "train") if each["en"].entities][:1]
    record = item["en"]
    first = record.entities[0]
    cut = replace(first, spans=((first.start, first.start + 1), (first.end - 1, first.end)))
    with pytest.raises(KcxError, match="discontinuous"):
        construct(replace(record, entities=(cut, *record.entities[1:])), "qaa")
