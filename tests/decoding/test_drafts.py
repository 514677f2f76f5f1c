"""Drafts change how many steps an answer takes, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from kcx_jax.checkpoints import load_pretrained
from kcx_jax.decoding import Constraint, Generator
from kcx_jax.decoding.copies import GROUPS, KINDS_OF_A_GROUP, WORDS, find_copies
from kcx_jax.decoding.rules import Rulebook
from kcx_jax.decoding.spans import NOWHERE, find_spans
from kcx_jax.decoding.vocabulary import Vocabulary
from kcx_jax.ops.sampling import GREEDY, Sampling
from kcx_jax.prompts.extraction import extraction_prefix, sentence_context
from kcx_jax.schema import load_schema, quote

SCHEMA = load_schema(
    """
class Person(Entity): ...
class City(Entity): ...
class BirthPlace(Relation):
    head: Person
    tail: City
class Attack(Event):
    attacker: list[Person]
    time: list[str]
"""
)
SENTENCES = [
    "Ada was born in London.",
    "李白生于碎叶城，李白。",
    "a",
    "Mr. Smith said: “no”",
    "",
    "aaaa aaaa aaaa",
    "۱۲ مارس",
    "On 3 May, New York\tcame 😀 to Ada Lovelace.",
]
DRAWN = Sampling(temperature=1.5, top_k=40, top_p=0.95, min_p=0.001, repetition_penalty=1.1, seed=5)


def _answers(model, task="ner", sampling=GREEDY, order=None, **options):
    generator = model if isinstance(model, Generator) else Generator(model, **options)
    closing = generator.model.tokenizer.encode("[]")[-1]
    sampling = replace(sampling, logit_bias=((closing, -4.0),))  # few empty answers
    order = range(len(SENTENCES)) if order is None else order
    texts = [SENTENCES[place] for place in order]
    prefix = extraction_prefix(SCHEMA, task)
    prefix_ids, rules = (
        generator.model.tokenizer.encode(prefix),
        generator.rulebook.rows(Constraint(SCHEMA, task), texts),
    )
    contexts = [generator.model.tokenizer.encode(sentence_context(text)) for text in texts]
    made = generator.generate_ids(prefix_ids, contexts, 24, rules, sampling, numbers=list(order))
    return dict(zip(order, made, strict=True))


@pytest.mark.parametrize(
    ("task", "sampling"), [("ner", GREEDY), ("re", DRAWN), ("eae", replace(DRAWN, presence_penalty=0.7))]
)
def test_with_drafts_is_without(tiny, task, sampling):
    """Over widths, numbers of slots and of lines, orders, and whether the whole head is computed."""
    plain = _answers(tiny, task, sampling, width=1, slots=1)
    assert not any(answer.drafted for answer in plain.values())
    assert len({answer.ids for answer in plain.values()}) > 3
    rng = np.random.default_rng(3)
    for width, lines, slots, raw in [(2, 1, 3, False), (4, 3, 1, True), (8, 1, 8, False), (5, 2, 3, False)]:
        order = rng.permutation(len(SENTENCES)).tolist()
        options = {"width": width, "lines": lines, "slots": slots, "raw_logprobs": raw}
        drafted = _answers(tiny, task, sampling, order, **options)
        for place, answer in drafted.items():
            assert answer.ids == plain[place].ids, (place, options)
            assert answer.finish_reason == plain[place].finish_reason
            np.testing.assert_allclose(answer.logprobs, plain[place].logprobs, atol=1e-4)
        assert sum(answer.accepted for answer in drafted.values()) > 0
        forwards = [sum(answer.forwards for answer in each.values()) for each in (plain, drafted)]
        assert forwards[1] < forwards[0]


@pytest.mark.parametrize("width", [1, 4])
def test_every_answer_takes_as_many_steps_as_it_has_tokens_that_were_not_drafted(tiny, width):
    ends = 0
    for answer in _answers(tiny, slots=3, width=width).values():
        assert answer.accepted <= answer.drafted
        # One token a step and one of the first read. The end token is read where its bracket was drafted, no step is
        # spent on it otherwise.
        end = 1 + answer.forwards + answer.accepted - len(answer.ids)
        assert end in ((0, 1) if answer.finish_reason == "stop" and width > 1 else (0,))
        ends += answer.finish_reason == "stop"
    assert ends > 0


def _steps(tiny, generator, text, answer):
    """The steps that it takes to write this answer, and what is counted then."""
    tokenizer, constraint = tiny.tokenizer, Constraint(SCHEMA, "ner")
    context, prefix = (
        tokenizer.encode(sentence_context(text)),
        tokenizer.encode(extraction_prefix(SCHEMA, "ner")),
    )
    rules = generator.rulebook.rows(constraint, [text])
    teacher = tokenizer.encode(sentence_context(text) + answer)[len(context) :]
    (made,) = generator.generate_ids(prefix, [context], 80, rules, teacher=[teacher])
    assert made.text == answer
    return made.forwards


def _listed(classes, names):
    return f" [{', '.join(f'{each}({chr(34)}{name}{chr(34)})' for each, name in zip(classes, names, strict=True))}]"


def test_a_class_is_drafted_again_and_lists_go_on_to_the_last_name(tiny):
    """Teachers that write other classes than most: an answer goes by its own, not by what others took most often."""
    tokenizer = tiny.tokenizer

    def steps(*classes):
        generator = Generator(tiny, slots=1, width=8)
        for names in [("Ada", "Bea", "Cleo", "Dora", "Emma")] * 4:
            _steps(tiny, generator, f"{', '.join(names)}.", _listed(["City"] * 5, names))
        names = "Gus", "Hal", "Ivy", "Jon", "Kim"
        return generator, _steps(tiny, generator, f"{', '.join(names)}.", _listed(classes, names))

    generator, usual = steps(*["City"] * 5)
    rule = generator.rulebook.rule(Constraint(SCHEMA, "ner"))
    taken_2E = np.asarray(rule.tally.taken_2E)
    for token, named in ((",", 1), ("]", 0)):  # lists go on while a name is to come
        without, with_name = taken_2E[:, rule.structure.token_E == tokenizer.encode(f'")"){token}')[-1]].sum(
            axis=1
        )
        assert (without > 0, with_name > 0) == (not named, bool(named))
    # Only to begin with the other class takes a step more; it is drafted from there on.
    assert steps(*["Person"] * 5)[1] <= usual + 1 < steps("Person", "City", "Person", "City", "Person")[1]


def test_a_second_line_of_drafts_ends_a_text_where_the_first_goes_on(tiny):
    """Texts that end where texts usually go on: the line that turns off there saves a step for each."""
    text = "Ada Bea saw Cleo Dora saw Emma Fay."

    def forwards(lines, *names):
        generator = Generator(tiny, slots=1, width=24, lines=lines)
        for written in [("Ada Bea", "Cleo Dora", "Emma Fay")] * 3:
            _steps(tiny, generator, text, _listed(["Person"] * 3, written))
        return _steps(tiny, generator, text, _listed(["Person"] * len(names), names))

    usual = "Ada Bea", "Cleo Dora", "Emma Fay"
    assert forwards(3, *usual) == forwards(1, *usual)
    assert forwards(3, "Ada", "Cleo Dora", "Emma Fay") < forwards(1, "Ada", "Cleo Dora", "Emma Fay")


def test_what_a_teacher_says_is_written_where_it_is_allowed(tiny):
    generator = Generator(tiny, slots=3)
    tokenizer = tiny.tokenizer
    texts = ["Ada was born in London.", "London", "no one"]
    gold = [' [Person("Ada"), City("London")]', ' [City("London")]', " []"]
    contexts = [tokenizer.encode(sentence_context(text)) for text in texts]
    teacher = [
        tokenizer.encode(sentence_context(text) + answer)[len(ids) :]
        for text, answer, ids in zip(texts, gold, contexts, strict=True)
    ]
    prefix = tokenizer.encode(extraction_prefix(SCHEMA, "ner"))
    rules = generator.rulebook.rows(Constraint(SCHEMA, "ner"), texts)
    for _ in range(2):
        made = generator.generate_ids(prefix, contexts, 64, rules, teacher=teacher)
        assert [answer.text for answer in made] == gold
        assert {answer.finish_reason for answer in made} == {"stop"}
    # The second time what is usual is known: fewer steps than one for two tokens.
    assert sum(answer.forwards for answer in made) < sum(map(len, teacher)) / 2


def test_in_bfloat16_a_deterministic_generator_writes_the_same_whatever_is_beside(shared):
    narrow = load_pretrained(shared / "fixtures/baichuan2_tiny/base_fp32", dtype="bfloat16")
    generator = Generator(narrow, slots=3, width=4, deterministic=True)
    together = _answers(generator)
    generator.generate_ids(generator.model.tokenizer.encode(extraction_prefix(SCHEMA, "ner"))[:20], [[5]], 2)
    for place in (5, 0, 7):
        assert _answers(generator, order=[place])[place] == together[place]
    assert _answers(generator, order=[*reversed(range(len(SENTENCES)))]) == together


@pytest.mark.parametrize("sentence", SENTENCES)
def test_copies_follow_the_sentence(tiny, sentence):
    vocabulary = Vocabulary(tiny.tokenizer)
    spans = find_spans(sentence, vocabulary, ())
    copies = find_copies(sentence, spans, vocabulary)
    edges = set(zip(spans.from_E.tolist(), spans.token_E.tolist(), strict=True))
    for place, token in enumerate(copies.next_P.tolist()):
        assert (place, token) in edges if token != NOWHERE else place not in spans.from_E
    assert (copies.unique_U[copies.which_T] == spans.token_E).all()
    assert len(set(copies.unique_U.tolist())) == copies.unique_U.size
    assert spans.border_P[copies.kind_P != NOWHERE].all()
    assert copies.kind_P.max() < GROUPS * KINDS_OF_A_GROUP
    assert (copies.kind_P[-1] == 0) == bool(sentence)
    text = "".join(quote(character)[1:-1] for character in sentence).encode()
    for place, (word, last) in enumerate(zip(copies.word_P.tolist(), copies.last_P.tolist(), strict=True)):
        assert (word == NOWHERE) == (last == NOWHERE)
        if word != NOWHERE:
            assert text[place:].decode()[0].isalnum()
            assert max(word, last) < 2 * WORDS
            assert word < WORDS or text[place:].decode()[0].isupper()


def test_the_last_word_of_a_name_is_known_where_it_begins(tiny):
    """What is next to each other with capitals is one name; the first word of a sentence has a capital by custom."""
    vocabulary = Vocabulary(tiny.tokenizer)

    def words(text):
        copies = find_copies(text, find_spans(text, vocabulary, ()), vocabulary)
        places = np.flatnonzero(copies.word_P != NOWHERE)
        numbers = dict(
            zip([text[at:].split()[0] for at in places], copies.word_P[places].tolist(), strict=True)
        )
        lasts = dict(zip(numbers, copies.last_P[places].tolist(), strict=True))
        return numbers, lasts

    numbers, lasts = words("He met Ada King Noel , then Bea")
    assert lasts["Ada"] == lasts["King"] == lasts["Noel"] == numbers["Noel"]
    assert lasts["He"] == numbers["He"] < WORDS <= numbers["Bea"]
    assert words("They . He met Ada")[0]["He"] < WORDS <= words("Ada King met him")[0]["Ada"]


def test_words_that_texts_pass_over_are_not_drafted_again(tiny):
    """A word with a capital that begins no text costs a step once; one without, that begins texts, too."""
    generator = Generator(tiny, slots=1, width=24)
    answer = ' [City("Zug"), City("rome")]'
    for _ in range(3):
        _steps(tiny, generator, "saw Zug , rome", answer)
    fewest = _steps(tiny, generator, "saw Zug , rome", answer)
    assert _steps(tiny, generator, "saw On Zug , rome", answer) > fewest
    assert _steps(tiny, generator, "saw On Zug , rome", answer) <= fewest


def test_a_class_is_drafted_by_the_last_word_of_the_name(tiny):
    generator = Generator(tiny, slots=1, width=24)
    one = (
        "saw Ada Quill , Bea Hill , Cleo Quill",
        ' [Person("Ada Quill"), City("Bea Hill"), Person("Cleo Quill")]',
    )
    other = (
        "saw Dora Hill , Emma Quill , Fay Hill",
        ' [City("Dora Hill"), Person("Emma Quill"), City("Fay Hill")]',
    )
    for _ in range(3):
        for case in (one, other):
            _steps(tiny, generator, *case)
    same = "saw Dora Hill , Emma Hill , Fay Hill", ' [City("Dora Hill"), City("Emma Hill"), City("Fay Hill")]'
    assert _steps(tiny, generator, *other) <= _steps(tiny, generator, *same)


def test_a_text_goes_on_where_it_is_behind_the_one_before(tiny):
    """Its first piece stands in front of it too, where another follows."""
    generator = Generator(tiny, slots=1, width=24)
    texts = "Zubin", "Zucol", "Zudar"
    text = f"saw {' , '.join(texts)} ,"
    answer = _listed(["Person"] * 3, texts)
    first = {tuple(tiny.tokenizer.encode(f'"{each}'))[1] for each in texts}
    assert len(first) == 1, "all begin with one piece"
    for _ in range(3):
        steps = _steps(tiny, generator, text, answer)
    apart = [each.replace("Zu", start) for each, start in zip(texts, ("Zu", "Ka", "Po"), strict=True)]
    others = answer
    for one, other in zip(texts, apart, strict=True):
        text, others = text.replace(one, other), others.replace(one, other)
    assert steps <= _steps(tiny, generator, text, others)


def test_a_stopped_run_leaves_the_rulebook_usable(tiny, monkeypatch):
    book = Rulebook(tiny.tokenizer)
    rule = book.rule(Constraint(SCHEMA, "ner"))
    generator = Generator(tiny, slots=2)
    generator.rulebook = book
    contexts = [tiny.tokenizer.encode(sentence_context(SENTENCES[0]))]
    rows = book.rows(Constraint(SCHEMA, "ner"), SENTENCES[:1])

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("kcx_jax.decoding.batch.run", stopped)
        with pytest.raises(KeyboardInterrupt):
            generator.generate_ids([5], contexts, 4, rows)
    assert not rule.tally.taken_2E.is_deleted()
    generator.generate_ids([5], contexts, 4, rows)
    assert int(rule.tally.taken_2E.sum()) > 0
