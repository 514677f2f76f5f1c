"""What the demo's base model reads before any tuning: text, translations, copying, and exercises in code.

It sees the corpus's training split in several languages as plain text and in pairs, and learns to read a schema
and to list spans of a sentence: everyday words (animals, foods, ...), and what the corpus annotates under other
names (`exercises`). It never sees a class, relation or event of the demo's schema.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random

from kcx_jax.corpora import Mention, Record
from kcx_jax.demo.corpus import (
    LANGUAGES,
    UNSPACED,
    construct,
    everyday_frames,
    everyday_lexicon,
    generate,
    in_language,
    phrase,
    source_of,
)
from kcx_jax.demo.exercises import renamed_exercise, usual_names
from kcx_jax.prompts import Branch, PromptTree, extraction_tree
from kcx_jax.schema import TASKS, Concept, Schema, Task

BRANCHES = 16  # samples under one prefix
EXEMPLARS = 4
CLASSES = (2, 7)  # fewest and most classes of an exercise
LANGUAGE_NAMES = {"en": "English", "zh": "Chinese", "es": "Spanish"}
LANGUAGE_NAMES |= {"qaa": "Venesan", "qab": "Ubdolin", "qac": "Zanhuren"}  # the constructed ones
COPIED_WORDS = (2, 8)
EMPTY_KEPT = 0.2  # of the sentences without an answer

# In this order. To name a mention's class before the mention, as answers do, a model has to look ahead; that is not
# learnt from answers alone, but soon when it knows the kind of a name it has just written (the glossary), and then
# sees sentences with one name only.
LESSONS: dict[str, dict[str, float]] = {
    "words": {"glossary": 0.45, "copying": 0.35, "translations": 0.10, "sentences": 0.05, "everyday": 0.05},
    "single names": {"single": 0.6, "glossary": 0.25, "copying": 0.15},
    "exercises": {
        "ner": 0.38,
        "re": 0.15,
        "eae": 0.13,
        "single": 0.08,
        "ed": 0.06,
        "glossary": 0.06,
        "copying": 0.05,
        "translations": 0.05,
        "everyday": 0.03,
        "sentences": 0.01,
    },
}

Item = dict[str, Record]


def reading_trees(
    lesson: str, seed: int, count: int, languages: Sequence[str] = LANGUAGES
) -> Iterator[PromptTree]:
    """`count` trees of up to 16 samples each for one of `LESSONS`; the same arguments give the same trees.

    `languages`: natural or constructed ones of the corpus; one that is named twice is read twice as often.
    """
    rng = Random(f"{lesson}:{seed}")
    items = _Items(rng, languages)
    shares = LESSONS[lesson]
    for _ in range(count):
        (kind,) = rng.choices(list(shares), list(shares.values()))
        yield _KINDS[kind](rng, items)


class _Items:
    """An endless stream of items of the training split, and the languages in which they are read."""

    def __init__(self, rng: Random, languages: Sequence[str]):
        self.rng = rng
        self.languages = languages
        self.stock: list[Item] = []

    def take(self, count: int) -> list[Item]:
        while len(self.stock) < count:
            self.stock += generate(self.rng.randrange(2**31), 512, "train")
        taken, self.stock = self.stock[:count], self.stock[count:]
        return taken

    def record(self) -> Record:
        """The next item in a language drawn for it."""
        (item,) = self.take(1)
        return in_language(item, self.rng.choice(self.languages))


def _plain_tree(name: str, prefix: str, branches: Sequence[Branch]) -> PromptTree:
    return PromptTree(name, prefix, tuple(branches), Schema(()))


def _sentences(rng: Random, items: _Items) -> PromptTree:
    branches = [
        Branch("", in_language(item, rng.choice(items.languages)).text, "") for item in items.take(BRANCHES)
    ]
    return _plain_tree("sentences", "# Sentences\n", branches)


def _translations(rng: Random, items: _Items) -> PromptTree:
    branches = []
    for item in items.take(BRANCHES):
        source, target = rng.sample(tuple(dict.fromkeys(items.languages)), 2)
        context = f"{LANGUAGE_NAMES[source]}: {in_language(item, source).text}\n{LANGUAGE_NAMES[target]}:"
        branches.append(Branch(context, f" {in_language(item, target).text}", ""))
    return _plain_tree("translations", "# Translations\n", branches)


def _copying(rng: Random, items: _Items) -> PromptTree:
    """Surfaces of random names and everyday words, then the same again as a list of strings."""
    lexicon = [word for words in everyday_lexicon().values() for word in words]
    branches = []
    for item in items.take(BRANCHES):
        language = rng.choice(items.languages)
        words = [mention.text for mention in in_language(item, language).entities or ()]
        words += [
            _word(rng.choice(lexicon), language) for _ in range(rng.randint(*COPIED_WORDS) - len(words))
        ]
        rng.shuffle(words)
        joined = ("" if language in UNSPACED else " ").join(words)
        code = ", ".join(f'"{word}"' for word in words)
        branches.append(Branch(f'text = "{joined}"\nwords =', f" [{code}]", ""))
    return _plain_tree("copying", "# Copying\n", branches)


def _everyday_exercise(rng: Random, items: _Items) -> PromptTree:
    """List the words that belong to the schema's everyday categories, some categories being left out of it."""
    lexicon = everyday_lexicon()
    names = rng.sample(sorted(lexicon), rng.randint(*CLASSES))
    concepts = [_category(rng, name, lexicon[name], items.languages) for name in names]
    records = [_everyday_record(rng, names, items.languages) for _ in range(BRANCHES)]
    return extraction_tree(Schema(tuple(concepts)), records, "ner")


def _glossary(rng: Random, items: _Items) -> PromptTree:
    """The names of a sentence, or its everyday words, each with what it is."""
    branches = []
    categories = sorted(everyday_lexicon())
    for item in items.take(BRANCHES):
        if rng.random() < 0.75:
            record, kinds = in_language(item, rng.choice(items.languages)), usual_names()
        else:
            record, kinds = (
                _everyday_record(rng, categories, items.languages),
                {_class_name(name): name for name in categories},
            )
        listed = "; ".join(f'"{m.text}" {kinds[m.type].lower()}' for m in record.entities or ())
        branches.append(Branch(f'text = "{record.text}"\nglossary =', f" {listed}", ""))
    return _plain_tree("glossary", "# Glossary\n", branches)


def _single_exercise(rng: Random, items: _Items) -> PromptTree:
    """Entities of sentences that have just one."""
    records: list[Record] = []
    while len(records) < BRANCHES:
        record = items.record()
        if len(record.entities or ()) == 1:
            records.append(record)
    return renamed_exercise(rng, records, "ner")


def _exercise_of(task: Task) -> Callable[[Random, _Items], PromptTree]:
    def exercise(rng: Random, items: _Items) -> PromptTree:
        records: list[Record] = []
        while len(records) < BRANCHES:
            record = items.record()
            if _has_answer(record, task) or rng.random() < EMPTY_KEPT:
                records.append(record)
        return renamed_exercise(rng, records, task)

    return exercise


def _has_answer(record: Record, task: Task) -> bool:
    layer = {"ner": record.entities, "re": record.relations}.get(task, record.events)
    return bool(layer)


def _category(rng: Random, name: str, words: list[dict[str, str]], languages: Sequence[str]) -> Concept:
    exemplars = tuple(
        _word(word, rng.choice(languages)) for word in rng.sample(words, rng.randint(0, EXEMPLARS))
    )
    return Concept(_class_name(name), "entity", description=f"Words for {name}.", exemplars=exemplars)


def _word(word: dict[str, str], language: str) -> str:
    return phrase(word[source_of(language)], language)


def _class_name(category: str) -> str:
    return "".join(part.capitalize() for part in category.replace("_", " ").split())


def _everyday_record(rng: Random, names: Sequence[str], languages: Sequence[str]) -> Record:
    """A frame filled with words, three in four of the categories `names`; only those are annotated."""
    lexicon = everyday_lexicon()
    language = rng.choice(languages)
    source = source_of(language)
    frame = rng.choice(everyday_frames())[source]
    text, spans = "", []
    for part in frame.replace("{", "\0{").replace("}", "}\0").split("\0"):
        if part.startswith("{"):
            category = rng.choice(names if rng.random() < 0.75 else sorted(lexicon))
            word = rng.choice(lexicon[category])[source]
            if category in names:
                spans.append((len(text), len(text) + len(word), _class_name(category)))
            text += word
        else:
            text += part
    record = _retyped(Record("", source, text), spans)
    return record if language == source else construct(record, language)


def _retyped(record: Record, spans: Sequence[tuple[int, int, str]]) -> Record:
    """The record's text with these mentions only."""
    mentions = tuple(
        Mention(f"e{i}", type_, start, end, record.text[start:end])
        for i, (start, end, type_) in enumerate(sorted(spans))
    )
    return Record("", record.language, record.text, mentions)


_KINDS: dict[str, Callable[[Random, _Items], PromptTree]] = {
    "sentences": _sentences,
    "translations": _translations,
    "copying": _copying,
    "glossary": _glossary,
    "everyday": _everyday_exercise,
    "single": _single_exercise,
    **{task: _exercise_of(task) for task in TASKS},
}
