"""From frames and names to records: choose clauses, bind their slots, write them out in every language."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache
from random import Random

from kcx_jax.corpora import Argument, EventMention, Mention, Record, RelationLink, make_span, text_order
from kcx_jax.demo.corpus.frames import FRAME_FILES, OPENER_FILE, Frame, read_frames
from kcx_jax.demo.corpus.names import SPLITS, make_name, pick, split_of
from kcx_jax.demo.corpus.tables import FOLDER, LANGUAGES, Form, lines, read_table
from kcx_jax.errors import KcxError
from kcx_jax.schema import Schema, load_schema

EMPTY_SHARE = 0.05  # sentences without any entity
OPENER_SHARE = 0.15
PAIR_SHARE = 0.25
MAX_MENTIONS = 5
RARE_TYPES = ("Award", "Disease", "Product", "River")  # drawn twice as often as other concepts
JOINERS = (
    {"en": ", and ", "zh": "，", "es": ", y "},
    {"en": ", while ", "zh": "，而", "es": ", mientras que "},
    {"en": "; ", "zh": "；", "es": "; "},
)
AFTER_OPENER = {"en": " ", "zh": "", "es": " "}
FULL_STOP = {"en": ".", "zh": "。", "es": "."}


@dataclass(frozen=True)
class Clause:
    """A frame with its slots filled: a form a language for each slot, ids for the entity slots, a trigger."""

    frame: Frame
    forms: dict[str, dict[str, Form]]
    ids: dict[str, str]
    trigger: int


@cache
def schema() -> Schema:
    """The demo's schema, as `concepts.py` declares it."""
    return load_schema(FOLDER / "concepts.py")


def generate(seed: int, count: int, split: str) -> list[dict[str, Record]]:
    """`count` items of `split` ("train" or "heldout"); an item is the same record in each of `LANGUAGES`.

    Entities, relations and events are all annotated. Equal entity ids mean the same thing in every language.
    The same arguments give the same records everywhere, and a smaller count a prefix of them. Name parts, and
    sentences, of the two splits are disjoint. Raises `KcxError` for an unknown split.
    """
    if split not in SPLITS:
        raise KcxError(f"no split {split!r} in the demo's corpus; choose one of {', '.join(SPLITS)}")
    rng = Random(f"{split}:{seed}")
    return [_item(rng, split, f"{split}-{index:06d}") for index in range(count)]


def everyday_lexicon() -> dict[str, list[dict[str, str]]]:
    """Everyday words by category: plurals and mass nouns. No category is a type of the schema."""
    lexicon: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in read_table("everyday.txt"):
        lexicon[row.section].append({language: row.forms[language].text for language in LANGUAGES})
    return dict(lexicon)


@cache
def everyday_frames() -> list[dict[str, str]]:
    """Whole sentences with slots {0}, {1}, {2} (for `str.format`) for words of `everyday_lexicon`."""
    texts = [line for _, line in lines("everyday_frames.txt")]
    return [{line[:2]: line[3:] for line in texts[i : i + 3]} for i in range(0, len(texts), 3)]


def _item(rng: Random, split: str, id_: str) -> dict[str, Record]:
    draw = rng.random()
    if draw < EMPTY_SHARE:
        return _empty_item(rng, split, id_)
    frame = _frame(rng)
    frames = [frame]
    glue = dict.fromkeys(LANGUAGES, "")
    if draw < EMPTY_SHARE + OPENER_SHARE:
        frames, glue = [pick(rng, read_frames(OPENER_FILE)), frame], AFTER_OPENER
    elif draw < EMPTY_SHARE + OPENER_SHARE + PAIR_SHARE:
        other = _frame(rng)
        if len(frame.entity_slots) + len(other.entity_slots) <= MAX_MENTIONS:
            frames, glue = [frame, other], pick(rng, JOINERS)
    clauses: list[Clause] = []
    for part in frames:
        clauses.append(_bind(part, rng, split, sum(len(clause.ids) for clause in clauses)))
    return {language: _record(clauses, glue, language, id_) for language in LANGUAGES}


def _empty_item(rng: Random, split: str, id_: str) -> dict[str, Record]:
    lexicon = everyday_lexicon()
    while True:
        frame = pick(rng, everyday_frames())
        words = [pick(rng, lexicon[pick(rng, list(lexicon))]) for _ in range(3)]
        texts = {language: frame[language].format(*(w[language] for w in words)) for language in LANGUAGES}
        if split_of(texts["en"]) == split:
            return {la: Record(id_, la, texts[la], (), (), ()) for la in LANGUAGES}


def _frame(rng: Random) -> Frame:
    """A frame around a concept drawn with fixed chances, however many frames a concept has."""
    return pick(rng, pick(rng, _frames_by_concept()))


@cache
def _frames_by_concept() -> list[list[Frame]]:
    """For each concept, the frames in which it is the rarest one; twice for `RARE_TYPES`."""
    frames = read_frames(*FRAME_FILES)
    frequency = Counter(concept for frame in frames for concept in frame.concepts)
    groups = defaultdict(list)
    for frame in frames:
        groups[min(sorted(frame.concepts), key=frequency.__getitem__)].append(frame)
    return [groups[concept] for concept in sorted(groups) for _ in range(1 + (concept in RARE_TYPES))]


def _bind(frame: Frame, rng: Random, split: str, offset: int) -> Clause:
    """Fill the slots of `frame`; ids count on from `offset`."""
    forms: dict[str, dict[str, Form]] = {}
    ids: dict[str, str] = {}
    for slot in frame.slots:
        if slot.of is not None:
            forms[slot.name] = {
                la: Form(form.short if slot.short else form.text, form.agreement)
                for la, form in forms[slot.of].items()
            }
        elif slot.kind[0].isupper():
            forms[slot.name] = make_name(slot.kind, rng, split).forms
        else:
            forms[slot.name] = pick(rng, _fillers()[slot.kind])
        if slot.kind[0].isupper():
            ids[slot.name] = f"e{offset + len(ids)}"
    triggers = next((p.options for p in frame.templates["en"] if p.kind == "trigger"), ())
    return Clause(frame, forms, ids, int(rng.random() * len(triggers)))


@cache
def _fillers() -> dict[str, list[dict[str, Form]]]:
    sections = defaultdict(list)
    for name in ("fillers.txt", "everyday.txt"):
        for row in read_table(name):
            sections[row.section].append(row.forms)
    return dict(sections)


def _record(clauses: list[Clause], glue: dict[str, str], language: str, id_: str) -> Record:
    """The clauses written out in one language, with every offset."""
    text = ""
    places: list[dict[str, tuple[int, int]]] = []  # of each clause: slot name (or "[]", the trigger) -> span
    for clause in clauses:
        spans = {}
        if places:
            text += glue[language]
        for piece in clause.frame.templates[language]:
            start = len(text)
            if piece.kind == "text":
                text += piece.options[0]
            elif piece.kind == "agree":
                text += piece.options[clause.forms[piece.slot][language].agreement]
            elif piece.kind == "slot":
                text += clause.forms[piece.slot][language].text
                spans[piece.slot] = (start, len(text))
            else:
                text += piece.options[clause.trigger]
                spans["[]"] = (start, len(text))
        places.append(spans)
    text = text[0].upper() + text[1:]
    if text[-1] not in "?!？！":
        text += FULL_STOP[language]
    entities: list[Mention] = []
    relations: list[RelationLink] = []
    events: list[EventMention] = []
    for clause, spans in zip(clauses, places, strict=True):
        for slot in clause.frame.entity_slots:
            start, end = spans[slot.name]
            entities.append(Mention(clause.ids[slot.name], slot.kind, start, end, text[start:end]))
        relations += [
            RelationLink(kind, clause.ids[h], clause.ids[t]) for kind, h, t in clause.frame.relations
        ]
        if clause.frame.event:
            kind, roles = clause.frame.event
            arguments = tuple(_argument(role, slot, clause, spans, text) for role, slot in roles)
            events.append(EventMention(kind, make_span(text, *spans["[]"]), arguments))
    entities.sort(key=text_order)
    return Record(id_, language, text, tuple(entities), tuple(relations), tuple(events))


def _argument(role: str, slot: str, clause: Clause, spans: dict[str, tuple[int, int]], text: str) -> Argument:
    if slot in clause.ids:
        return Argument(role, entity=clause.ids[slot])
    start, end = spans[slot]
    return Argument(role, start=start, end=end, text=text[start:end])
