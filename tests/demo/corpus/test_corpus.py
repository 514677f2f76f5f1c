"""The demo's corpus: valid, complete, reproducible records, alike in three languages, in disjoint splits."""

import hashlib
import json
import re
from collections import Counter
from random import Random

import pytest

from kcx_jax.corpora import Record
from kcx_jax.demo.corpus import LANGUAGES, everyday_frames, everyday_lexicon, generate, schema
from kcx_jax.demo.corpus import frames as frames_module
from kcx_jax.demo.corpus.frames import FRAME_FILES, OPENER_FILE, read_frames
from kcx_jax.demo.corpus.generate import _frame
from kcx_jax.demo.corpus.names import SPLITS, make_name, split_of
from kcx_jax.errors import KcxError

COUNT = 2500


@pytest.fixture(scope="module")
def splits() -> dict[str, list[dict[str, Record]]]:
    return {split: generate(7, COUNT, split) for split in SPLITS}


@pytest.fixture(scope="module")
def items(splits) -> list[dict[str, Record]]:
    return [item for split in SPLITS for item in splits[split]]


def _kinds(record: Record) -> Counter:
    return Counter(x.type for x in (*record.entities, *record.relations, *record.events))


def test_every_record_survives_the_checks_of_reading(items):
    for item in items:
        assert list(item) == list(LANGUAGES)
        for language, record in item.items():
            assert record.language == language
            assert Record.from_json(json.loads(json.dumps(record.to_json())), record.id) == record
            starts = [mention.start for mention in record.entities]
            assert starts == sorted(starts)


def test_roles_are_legal_under_the_schema(items):
    concepts = schema()
    for item in items:
        record = item["en"]
        type_of = {mention.id: mention.type for mention in record.entities}
        for link in record.relations:
            roles = {role.name: role.types for role in concepts.roles_of(link.type)}
            assert type_of[link.head] in roles["head"], (link, record.text)
            assert type_of[link.tail] in roles["tail"], (link, record.text)
        for event in record.events:
            roles = {role.name: role for role in concepts.roles_of(event.type)}
            given = Counter(argument.role for argument in event.arguments)
            assert all(times == 1 or roles[role].repeated for role, times in given.items()), record.text
            for argument in event.arguments:
                kind = "str" if argument.entity is None else type_of[argument.entity]
                assert kind in roles[argument.role].types, (event, record.text)


def test_an_item_says_the_same_in_every_language(items):
    def content(record: Record):
        arguments = [(e.type, [(a.role, a.entity) for a in e.arguments]) for e in record.events]
        return record.id, {m.id: m.type for m in record.entities}, record.relations, arguments

    for item in items:
        assert content(item["en"]) == content(item["zh"]) == content(item["es"])


def test_the_same_seed_gives_the_same_records_and_a_prefix_of_more():
    def digest(count: int) -> str:
        rows = [r.to_json() for item in generate(3, count, "train") for r in item.values()]
        return hashlib.sha256(json.dumps(rows[:60], ensure_ascii=False).encode()).hexdigest()

    assert digest(20) == digest(40)
    assert generate(3, 20, "train") != generate(4, 20, "train")


def test_name_parts_of_the_splits_are_disjoint():
    rng = Random(1)
    types = [concept.name for concept in schema().entities]
    parts = {
        split: {p for _ in range(500) for t in types for p in make_name(t, rng, split).parts}
        for split in SPLITS
    }
    assert not parts["train"] & parts["heldout"]
    assert min(map(len, parts.values())) > 100


def test_heldout_names_and_sentences_never_occur_in_training(splits):
    for language in LANGUAGES:
        seen = {item[language].text for item in splits["train"]}
        assert not seen & {item[language].text for item in splits["heldout"]}
        names = {m.text for item in splits["train"] for m in item[language].entities}
        assert not names & {m.text for item in splits["heldout"] for m in item[language].entities}


def test_a_spelling_belongs_to_one_stem():
    """No two stems are spelled alike in one language but not in another (else splits could leak)."""
    rng = Random(2)
    seen: dict[tuple[str, str], str] = {}
    for _ in range(20_000):
        forms = make_name("River", rng, "train").forms
        zh = forms["zh"].text[:-1]
        es = forms["es"].text.removeprefix("río ")
        en = forms["en"].text.removesuffix(" River")
        for language, spelling in (("zh", zh), ("es", es)):
            assert seen.setdefault((language, spelling), en) == en


def test_both_splits_show_every_concept_and_types_are_even(splits):
    expected = {concept.name for concept in schema().concepts}
    for split in SPLITS:
        counts = sum((_kinds(item["en"]) for item in splits[split]), Counter())
        assert set(counts) == expected
        types = [counts[concept.name] for concept in schema().entities]
        assert max(types) < 7 * min(types)
        others = [counts[c.name] for c in (*schema().relations, *schema().events)]
        assert max(others) < 5 * min(others)


def test_some_sentences_have_no_entity_and_none_has_more_than_five(items):
    sizes = Counter(len(item["en"].entities) for item in items)
    assert set(sizes) == set(range(6))
    assert 0.03 < sizes[0] / len(items) < 0.08


def test_every_frame_is_reachable():
    frames = read_frames(*FRAME_FILES)
    assert len(frames) >= 120
    rng = Random(5)
    assert {_frame(rng).where for _ in range(20_000)} == {frame.where for frame in frames}


def test_every_event_type_has_four_triggers_in_every_language(items):
    for language in LANGUAGES:
        triggers: dict[str, set[str]] = {}
        for item in items:
            for event in item[language].events:
                triggers.setdefault(event.type, set()).add(event.trigger.text.lower())
        assert min(map(len, triggers.values())) >= 4


def test_a_trigger_word_is_always_annotated(items):
    """An unannotated trigger in a sentence would teach the model to leave events out."""
    verbs = {e.trigger.text.lower() for item in items for e in item["en"].events}
    verbs = {verb for verb in verbs if verb.endswith("ed") or verb in {"met", "bought", "won", "saw"}}
    for item in items:
        found = {word for e in item["en"].events for word in e.trigger.text.lower().split()}
        for verb in verbs & set(re.findall(r"\w+", item["en"].text.lower())):
            assert verb in found, item["en"].text


def test_spelling_and_punctuation(items):
    for item in items:
        en, zh, es = (item[language].text for language in LANGUAGES)
        assert re.fullmatch(r"[A-Z].*[.?]", en), en
        assert not re.search(r"\b[Aa] [aeio]|\b[Aa]n [^aeiou]|  | [,.;?]", en), en
        assert re.fullmatch(r"[^ ,.;?]+[。？]", zh), zh
        assert re.fullmatch(r"¿?[A-ZÁÉÍÓÚ].*[.?]", es), es
        assert not re.search(r"\b(de|a) el\b|\by i|  | [,.;?]", es), es


def test_everyday_words():
    lexicon, frames = everyday_lexicon(), everyday_frames()
    assert len(lexicon) >= 12
    assert len(frames) >= 40
    assert not {name.lower() for name in lexicon} & {c.name.lower() for c in schema().concepts}
    for category, words in lexicon.items():
        assert 25 <= len(words) <= 40, category
    for language in LANGUAGES:
        every = [word[language] for words in lexicon.values() for word in words]
        assert not [word for word, times in Counter(every).items() if times > 1]
        assert all(re.findall(r"\{\d\}", f[language]) for f in frames)
    for frame in frames:
        assert len({tuple(sorted(re.findall(r"\{\d\}", text))) for text in frame.values()}) == 1


def test_the_vocabulary_stays_compact(items):
    words = Counter(w for x in items for w in re.findall(r"[a-z]+", re.sub(r"\b[A-Z]\w*", " ", x["en"].text)))
    characters = {c for item in items for c in item["zh"].text}
    assert len(words) < 1000
    assert len(characters) < 1000


def test_an_unknown_split_is_refused():
    with pytest.raises(KcxError, match=r"'dev'.*train, heldout"):
        generate(0, 1, "dev")


GOOD = "= p:Person c:City | BirthPlace(p, c)\nen {p} in {c}\nzh {p}在{c}\nes {p} en {c}\n"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("zh {p}", "zh ", r"bad.txt:3: each of the slots c, p"),
        ("es {p}", "fr {p}", r"bad.txt:1: a frame is"),
        ("c:City", "c-City", r"bad.txt:1: 'c-City' is no new slot"),
        ("c:City", "c=q", r"bad.txt:1: 'c=q' repeats a slot"),
        ("BirthPlace(p, c)", "BirthPlace(p, x)", r"bad.txt:1: .* not declared"),
        ("BirthPlace(p, c)", "BirthPlace p", r"bad.txt:1: cannot read the annotation"),
        ("{p} in", "{p} [met] in", r"bad.txt:2: one \[trigger\]"),
        ("en {c}", "en {c} {p:la}", r"bad.txt:4: .* needs two forms"),
        ("在", "在{", r"bad.txt:3: a bracket"),
    ],
)
def test_a_malformed_frame_is_named(tmp_path, monkeypatch, old, new, message):
    monkeypatch.setattr("kcx_jax.demo.corpus.tables.FOLDER", tmp_path)
    frames_module.read_frames.cache_clear()
    (tmp_path / "bad.txt").write_text(GOOD, encoding="utf-8")
    assert len(read_frames("bad.txt")) == 1
    frames_module.read_frames.cache_clear()
    (tmp_path / "bad.txt").write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(KcxError, match=message):
        read_frames("bad.txt")
    frames_module.read_frames.cache_clear()


def test_openers_name_nothing():
    assert not [frame for frame in read_frames(OPENER_FILE) if frame.entity_slots or frame.event]


def test_a_sentence_without_names_belongs_to_one_split(splits):
    for split in SPLITS:
        empty = [item["en"].text for item in splits[split] if not item["en"].entities]
        assert empty
        assert {split_of(text) for text in empty} == {split}
