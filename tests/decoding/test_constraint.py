"""What a row may write next: every answer of training, what another engine allows, and nothing that does not parse."""

import json
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kcx_jax.corpora import read_records
from kcx_jax.decoding.automaton import make_automaton
from kcx_jax.decoding.constraint import Place, advanced, allowed, on_device, open_ways, sizes_of, stacked
from kcx_jax.decoding.grammar import Grammar
from kcx_jax.decoding.spans import find_spans, no_spans
from kcx_jax.decoding.syntax import Syntax
from kcx_jax.decoding.text import STATES, free_text, token_states
from kcx_jax.decoding.vocabulary import Vocabulary
from kcx_jax.errors import KcxError
from kcx_jax.prompts.extraction import answer_text, sentence_context
from kcx_jax.schema import TASKS, load_schema, ontology, parse_answer, quote, role_to_identifier
from kcx_jax.tokenizer import load_tokenizer, train_tokenizer

SCHEMA = load_schema(
    """
class Person(Entity): ...
class Per(Entity): ...
class City(Entity): ...
class Capital(City): ...
class BirthPlace(Relation):
    head: Person
    tail: City
class Knows(Relation): ...
class Attack(Event):
    attacker: list[Person]
    time: list[str]
    place: list[City | str]
class Meet(Event): ...
"""
)
ODD = 'Ada said: "Per(\\"x\\")", 李白\t去了\\x碎叶城 — 😀 e\u0301 e\u0301… "."\r\n"City"'
SENTENCES = ["Ada was born in London.", "李白生于碎叶城，李白。", ODD, "a", " ", "aaaa aaaa", "۱۲ مارس", ""]


@partial(jax.jit, static_argnums=3)
def _allowed(structure, sentences, place, vocabulary):
    return allowed(open_ways(structure, sentences, place), sentences, vocabulary)


@jax.jit
def _advanced(structure, sentences, place, token):
    return advanced(structure, open_ways(structure, sentences, place), sentences, place, token)


class Walker:
    """One row on its way."""

    def __init__(self, sentence, vocabulary, automaton, structure):
        free = structure.text is not None
        spans = [no_spans(STATES) if free else find_spans(sentence, vocabulary, automaton.wanted)]
        sizes = tuple(map(max, sizes_of(spans), (256, 512, 64)))
        self.vocabulary, self.structure = vocabulary, structure
        self.sentences = stacked(spans, sizes)
        start = automaton.start if sentence or free else automaton.nothing
        self.place = Place(jnp.array([start]), jnp.zeros((1, sizes[0]), bool), jnp.zeros(1, bool))
        self.end = len(automaton.slot_N) - 1

    def allowed(self):
        mask_BV = _allowed(self.structure, self.sentences, self.place, self.vocabulary.size)
        return set(np.flatnonzero(mask_BV[0]).tolist())

    def take(self, token):
        self.place = _advanced(self.structure, self.sentences, self.place, jnp.array([token]))

    @property
    def ended(self):
        return int(self.place.node_B[0]) == self.end


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A tokenizer with pieces that mix quotes and text."""
    texts = [f'results = [Person("{name}"), City("{name}.")]\n"{name}"\n' for name in ("Ada", "李白", "a b")]
    return train_tokenizer([*texts, *SENTENCES[:-1]] * 20, 580, tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module", params=["small", "released", "bytes"])
def vocabulary(request, small):
    """Of a small SentencePiece model, of Baichuan2's, and of a byte-level one with many quotes."""
    if request.param == "small":
        return Vocabulary(small)
    if request.param == "released":
        shared = request.getfixturevalue("shared")
        return Vocabulary(load_tokenizer(shared / "fixtures/baichuan2_tokenizer"))
    return Vocabulary(load_tokenizer(_byte_level(request.getfixturevalue("tmp_path_factory"))))


def _byte_level(tmp_path_factory):
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    words = pre_tokenizers.Split(Regex(r"\s+(?!\S)|\s?\w+|\s?[^\s\w]+|\s+"), "isolated")
    bytewise = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, bytewise])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=900, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    texts = ['results = [Person("Ada."), City("…")] "a" "." “李白” ," ". ("', *SENTENCES[:-1]]
    tokenizer.train_from_iterator(texts * 40, trainer)
    tokenizer.add_special_tokens(["<|end|>"])
    folder = tmp_path_factory.mktemp("bytes")
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"eos_token": "<|end|>"}')
    return folder


@pytest.fixture(scope="module")
def automata(vocabulary):
    """(task, canonical, level) -> automaton and its arrays."""
    made = {}

    def get(task, canonical, level="schema+span"):
        if (task, canonical, level) not in made:
            graph = Syntax(task) if level == "syntax" else Grammar(SCHEMA, task)
            automaton = make_automaton(graph, vocabulary, canonical)
            text = None if level == "schema+span" else free_text(automaton, token_states(vocabulary))
            made[task, canonical, level] = automaton, on_device(automaton, text)
        return made[task, canonical, level]

    return get


_WORDS_WITH_A_SIGN = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+"


@pytest.mark.parametrize("size", [350, 500, 800])
@pytest.mark.parametrize("task", TASKS)
def test_a_tokenizer_that_cuts_signs_by_what_is_before_them_spells_its_own_answers(tmp_path, task, size):
    """As Llama 3's: "[Person" alone begins with a sign and its word, behind a space the sign stands for itself."""
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(_WORDS_WITH_A_SIGN), "isolated"),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    hints = "def f(x: list[Person], y: dict[Person, City]) -> set[Person]: return a[Person]\nattacker: list[Person]\n"
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([hints * 3, *SENTENCES[:-1]] * 30, trainer)
    tokenizer.add_special_tokens(["<|end|>"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "<|end|>"}')
    vocabulary = Vocabulary(load_tokenizer(tmp_path))
    answers = {
        "ner": ' [Person("Ada"), City("London"), Person("Bob")]',
        "re": ' [BirthPlace(Person("Ada"), City("London")), BirthPlace(Person("Bob"), City("London"))]',
        "ed": ' [Attack("hit"), Attack("met")]',
        "eae": ' [Attack("hit", attacker=[Person("Ada"), Person("Bob")], time=["May"]), Attack("met")]',
    }
    schema = load_schema(
        "class Person(Entity): ...\nclass City(Entity): ...\nclass BirthPlace(Relation):\n    head: Person\n"
        "    tail: City\nclass Attack(Event):\n    attacker: list[Person]\n    time: list[str]\n"
    )
    automaton = make_automaton(Grammar(schema, task), vocabulary)
    sentence = "Ada hit Bob in London in May; Bob met Ada"
    walker = Walker(sentence, vocabulary, automaton, on_device(automaton))
    for token in [*vocabulary.tokenizer.encode(answers[task]), vocabulary.eos_id]:
        assert token in walker.allowed(), vocabulary.bytes[token]
        walker.take(token)
    assert walker.ended


def _text(vocabulary, ids):
    return b"".join(vocabulary.bytes[token] for token in ids).decode()


def _walk(walker, choose, most):
    ids = []
    while len(ids) < most and not walker.ended:
        ids.append(choose(walker.allowed(), ids))
        walker.take(ids[-1])
    return ids


def _hurried(rng, walker, after):
    """Draws tokens; after so many one that ends something, where it can."""

    def choose(tokens, ids):
        text = walker.vocabulary.bytes
        ends = [t for t in tokens if t == walker.vocabulary.eos_id or set(text[t]) & set(b'"()])')]
        if not walker.structure.slot_N[walker.place.node_B[0]]:  # text may have brackets of its own
            ends = [t for t in ends if b"]" in text[t]] or ends
        else:
            ends = [t for t in ends if b'"' in text[t]]
        return int(rng.choice(sorted(ends if ends and len(ids) > after else tokens)))

    return choose


@pytest.mark.parametrize("canonical", [True, False])
@pytest.mark.parametrize("task", TASKS)
def test_what_is_written_at_random_is_an_answer(vocabulary, automata, task, canonical):
    rng = np.random.default_rng([TASKS.index(task), canonical])
    automaton, structure = automata(task, canonical)
    listed = 0
    for sentence in SENTENCES * 3:
        walker = Walker(sentence, vocabulary, automaton, structure)
        ids = _walk(walker, _hurried(rng, walker, rng.integers(0, 30)), 400)
        assert ids[-1] == vocabulary.eos_id
        parsed = parse_answer(_text(vocabulary, ids[:-1]), SCHEMA.for_task(task))
        assert not parsed.problems
        listed += len(parsed.instances)
        for text in _strings(parsed.instances):
            assert text
            assert text in sentence
    assert listed > 5


def _strings(instances):
    for each in instances:
        if hasattr(each, "trigger"):
            yield each.trigger
            for fillers in each.arguments.values():
                yield from (filler if isinstance(filler, str) else filler.text for filler in fillers)
        else:
            yield from (end.text for end in ((each.head, each.tail) if hasattr(each, "head") else (each,)))


@pytest.mark.parametrize(
    ("corpus", "tasks"),
    [
        ("re/crossre_en", ("ner", "re")),
        ("ner/wikineural/en/val.first5000.conllu", ("ner",)),
        ("ner/cluener/dev.json", ("ner",)),
    ],
)
def test_the_ids_of_every_answer_of_training_are_canonical(shared, corpus, tasks):
    vocabulary = Vocabulary(load_tokenizer(shared / "fixtures/baichuan2_tokenizer"))
    path = shared / "data" / corpus
    files = [path] if path.is_file() else sorted(path.glob("*-dev.json"))
    records = [record for file in files for record in list(read_records(file))[:40]]
    for task in tasks:
        names = {m.type for r in records for m in r.entities or ()}
        links = {link.type for r in records for link in r.relations or ()} if task == "re" else set()
        lines = [f"class {name}(Entity): ..." for name in sorted(names)]
        schema = load_schema("\n".join([*lines, *(f"class {name}(Relation): ..." for name in sorted(links))]))
        automaton = make_automaton(Grammar(schema, task), vocabulary)
        structure = on_device(automaton)
        for record in records[:60]:
            walker = Walker(record.text, vocabulary, automaton, structure)
            for token in _training_ids(vocabulary, record, schema, task):
                assert token in walker.allowed(), (record.id, vocabulary.bytes[token])
                walker.take(token)
            assert walker.ended


def _training_ids(vocabulary, record, schema, task):
    """The ids of an answer as training has them, with the end token."""
    context = sentence_context(record.text)
    before = vocabulary.tokenizer.encode(context)
    ids = vocabulary.tokenizer.encode(context + answer_text(record, schema, task))
    assert ids[: len(before)] == before
    return [*ids[len(before) :], vocabulary.eos_id]


def _lark(task):
    """The same answers as another engine's grammar, written down by hand."""
    item = {
        "ner": '("Person" | "Per" | "City" | "Capital") "(" TEXT ")"',
        "ed": '("Attack" | "Meet") "(" TEXT ")"',
        "re": 'birth | knows\nbirth: "BirthPlace(Person(" TEXT "), " city ")"\n'
        'knows: "Knows(" any ", " any ")"\ncity: ("City" | "Capital") "(" TEXT ")"\n'
        'any: ("Entity" | "Person" | "Per" | "City" | "Capital") "(" TEXT ")"',
        "eae": 'attack | "Meet(" TEXT ")"\n'
        'attack: "Attack(" TEXT (", attacker=[" person (", " person)* "]")? '
        '(", time=[" TEXT (", " TEXT)* "]")? (", place=[" spot (", " spot)* "]")? ")"\n'
        'person: "Person(" TEXT ")"\nspot: TEXT | ("City" | "Capital") "(" TEXT ")"',
    }[task]
    return f'%llguidance {{"no_forcing": true}}\nstart: " [" (item (", " item)*)? "]"\nitem: {item}\n'


def _lark_of(schema, task):
    """The same for any schema."""

    def mention(types):
        def fits(entity):
            return entity.name in types or any(
                fits(each) for each in schema.entities if each.name == entity.parent
            )

        fitting = schema.entities if "Entity" in types else filter(fits, schema.entities)
        return " | ".join(
            f'"{name}(" TEXT ")"' for name in [*{"Entity"} & {*types}, *(each.name for each in fitting)]
        )

    def role(role):
        filler = " | ".join(filter(None, ["TEXT" if "str" in role.types else "", mention(role.types)]))
        return f'(", {role_to_identifier(role.name)}=[" ({filler}) (", " ({filler}))* "]")?'

    if task in ("ner", "ed"):
        items = [f'"{each.name}(" TEXT ")"' for each in schema.concepts]
    elif task == "re":
        ends = [
            (each.name, *(mention(role.types) for role in schema.roles_of(each.name)))
            for each in schema.relations
        ]
        items = [f'"{name}(" ({head}) ", " ({tail}) ")"' for name, head, tail in ends]
    else:
        items = [
            f'"{each.name}(" TEXT {" ".join(map(role, schema.roles_of(each.name)))} ")"'
            for each in schema.events
        ]
    rules = "".join(f"item{number}: {item}\n" for number, item in enumerate(items))
    which = " | ".join(f"item{number}" for number in range(len(items)))
    return f'%llguidance {{"no_forcing": true}}\nstart: " [" (item (", " item)*)? "]"\nitem: {which}\n{rules}'


def _names(task):
    """Answers of any names, as one expression written down by hand."""
    name, text = "[A-Za-z_][A-Za-z0-9_]*", f'"{FREE}"'
    mention = rf"{name}\({text}\)"
    filler = f"({text}|{mention})"
    item = {
        "ner": mention,
        "ed": mention,
        "re": rf"{name}\({mention}, {mention}\)",
        "eae": rf"{name}\({text}(, {name}=\[{filler}(, {filler})*\])*\)",
    }[task]
    expression = rf" \[({item}(, {item})*)?\]"
    return f'%llguidance {{"no_forcing": true}}\nstart: /{expression}/\n'


FREE = r'([^"\\\x00-\x1f\x7f-\x9f]|\\[nrt"\\]|\\x[0-9a-f][0-9a-f])+'


def _matcher(vocabulary, task, sentence, level="schema+span", lark=None):
    from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

    class Source:
        eos_token_id, bos_token_id = vocabulary.eos_id, None
        special_token_ids = tuple(t for t, text in enumerate(vocabulary.bytes) if not text)
        tokens = tuple(text or b"<symbol>" for text in vocabulary.bytes)

        def __call__(self, text):
            return vocabulary.tokenizer.encode(text if isinstance(text, str) else text.decode())

    if level == "syntax":
        grammar = _names(task)
    elif level == "schema":
        grammar = f'{_lark(task)}TEXT: /"{FREE}"/\n'
    else:
        grammar = (lark or _lark(task)) + _of_sentence(sentence)
    matcher = LLMatcher(LLTokenizer(TokenizerWrapper(Source()), slices=[]), grammar)
    assert not matcher.get_error(), matcher.get_error()
    return matcher


def _of_sentence(sentence):
    chunks = json.dumps({"substring_chunks": [quote(character)[1:-1] for character in sentence]})
    return f'TEXT: "\\"" INNER "\\""\nINNER: SUB & /(?s:.+)/\nSUB: %regex {chunks}\n'


@pytest.mark.interop
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("sentence", SENTENCES[:-1], ids=range(len(SENTENCES) - 1))
def test_plain_masks_are_those_of_llguidance_and_canonical_ones_less(vocabulary, automata, task, sentence):
    rng = np.random.default_rng(len(sentence))
    for canonical in (False, True):
        walker = Walker(sentence, vocabulary, *automata(task, canonical))
        _compare(walker, _matcher(vocabulary, task, sentence), rng, 80, equal=not canonical)


def _compare(walker, matcher, rng, most, equal):
    """Walks at random: what is allowed is what the other engine allows, or a part of it."""
    ids, choose = [], _hurried(rng, walker, most // 3)
    while not walker.ended and len(ids) < most:
        ours, theirs = walker.allowed(), _their_mask(matcher, walker.vocabulary)
        assert ours == theirs if equal else ours <= theirs, b"".join(
            walker.vocabulary.bytes[token] for token in ids
        )
        ids.append(choose(ours, ids))
        assert matcher.consume_token(ids[-1])
        walker.take(ids[-1])


def _their_mask(matcher, vocabulary):
    numpy = pytest.importorskip("llguidance.numpy", reason="needs llguidance (extra interop)")
    bits = numpy.allocate_token_bitmask(1, vocabulary.size)
    numpy.fill_next_token_bitmask(matcher, bits, 0)
    return set(np.flatnonzero(np.unpackbits(bits.view(np.uint8), bitorder="little")).tolist())


GOLD = {  # by the inventory
    "wikineural": ("ner/wikineural/en/test.first1000.conllu", "wikineural", "ner"),
    "cluener": ("ner/cluener/dev.json", "cluener", "ner"),
    "crossre": ("re/crossre_en/ai-dev.json", "crossre", "re"),
    "semeval2010-task8": ("re/semeval2010_task8/TEST_FILE_FULL.TXT", "semeval2010", "re"),
    "fewfc": ("event/fewfc/dev_base.json", "fewfc", "eae"),
    "phee": ("event/phee/json/dev.json", "phee", "eae"),
    "geneva": ("event/geneva/ctt-s400-dev.json", "oneie", "ed"),
}


@pytest.mark.interop
@pytest.mark.parametrize("inventory", GOLD)
def test_along_gold_answers_masks_are_those_of_llguidance(shared, vocabulary, inventory):
    """Under the corpus's own inventory; one answer lists nothing, and one sentence is about 2,000 bytes long."""
    path, reader, task = GOLD[inventory]
    schema = ontology.schema_for(inventory).for_task(task)
    automata = [make_automaton(Grammar(schema, task), vocabulary, canonical) for canonical in (False, True)]
    structures = [*map(on_device, automata)]
    for record in _chosen([*read_records(shared / "data" / path, reader, inventory=inventory)], schema, task):
        ids = _training_ids(vocabulary, record, schema, task)
        walkers = [Walker(record.text, vocabulary, *each) for each in zip(automata, structures, strict=True)]
        matcher = _matcher(vocabulary, task, record.text, lark=_lark_of(schema, task))
        for place, token in enumerate(ids):
            plain, canonical = (walker.allowed() for walker in walkers)
            assert plain == _their_mask(matcher, vocabulary), (record.id, ids[:place])
            assert token in canonical <= plain
            assert matcher.consume_token(token)
            for walker in walkers:
                walker.take(token)
        assert all(walker.ended for walker in walkers)


def _chosen(records, schema, task):
    """Some that list something, one that lists nothing, and the longest sentence, repeated up to 2,000 bytes."""
    lists = []
    for record in records:
        try:
            lists += [record] if "(" in answer_text(record, schema, task) else []
        except KcxError:  # what stands nowhere cannot be written down
            continue
    longest = max(lists, key=lambda record: len(record.text))
    times = 2000 // len(longest.text.encode()) + 1
    empty = replace(lists[0], entities=(), relations=(), events=())
    return [*lists[:: -(-len(lists) // 3)], empty, replace(longest, text=longest.text * times)]


@pytest.mark.interop
@pytest.mark.parametrize("level", ["syntax", "schema"])
@pytest.mark.parametrize("task", TASKS)
def test_masks_of_free_text_are_those_of_llguidance(vocabulary, automata, task, level):
    pytest.importorskip("llguidance", reason="needs llguidance (extra interop)")
    for seed in range(4):
        walker = Walker("", vocabulary, *automata(task, False, level))
        _compare(walker, _matcher(vocabulary, task, "", level), np.random.default_rng(seed), 60, equal=True)


@pytest.mark.parametrize("level", ["syntax", "schema"])
@pytest.mark.parametrize("task", TASKS)
def test_what_is_written_of_free_text_parses(vocabulary, automata, task, level):
    rng = np.random.default_rng(TASKS.index(task))
    automaton, structure = automata(task, level == "schema", level)
    listed = 0
    for _ in range(8):
        walker = Walker("", vocabulary, automaton, structure)
        ids = _walk(walker, _hurried(rng, walker, rng.integers(0, 20)), 400)
        assert ids[-1] == vocabulary.eos_id
        parsed = parse_answer(_text(vocabulary, ids[:-1]), SCHEMA.for_task(task))
        foreign = {"unknown_class", "wrong_argument"} if level == "syntax" else set()
        assert {problem.kind for problem in parsed.problems} <= foreign
        listed += len(parsed.instances) + len(parsed.problems)
        assert all(_strings(parsed.instances))
    assert listed


def test_a_tokenizer_that_cannot_spell_code_is_refused(small):
    class Mute(Vocabulary):
        def __init__(self):
            super().__init__(small)
            self.ids = {text: ids for text, ids in self.ids.items() if b"[" not in text}

    with pytest.raises(KcxError, match="no pieces that spell"):
        make_automaton(Grammar(SCHEMA, "ner"), Mute(), canonical=False)
