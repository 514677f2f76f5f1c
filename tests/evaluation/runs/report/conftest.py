"""A results folder with two systems on small benchmarks of all tasks, strangers' words among them."""

from dataclasses import replace
from random import Random

import pytest
import yaml

from kcx_jax.corpora import Mention, Record, write_records
from kcx_jax.demo.corpus import generate, schema
from kcx_jax.evaluation.runs import evaluate, load_config
from kcx_jax.evaluation.runs.report.loaded import load_run
from kcx_jax.schema import TASKS, render_schema

ATTACK = "</script><img src=x onerror='window.hit=1'>\"'&\u202e\x07 <b id=hit>"
ARABIC = "IBM وقّعت اتفاقًا مع جامعة دمشق في بيروت."
LONG = "Ada Byron wrote to Mira Okafor about engines. " * 130  # 1,040 words
SYSTEMS = ("gold", "damaged")


def mentions(text: str, **words: str) -> tuple[Mention, ...]:
    """A mention for each word, by type."""
    return tuple(
        Mention(f"e{n}", kind, text.index(word), text.index(word) + len(word), word)
        for n, (kind, word) in enumerate(words.items())
    )


def every_mention(text: str, kind: str, word: str) -> tuple[Mention, ...]:
    """A mention wherever the word stands."""
    starts = [place for place in range(len(text)) if text.startswith(word, place)]
    return tuple(Mention(f"e{n}", kind, at, at + len(word), word) for n, at in enumerate(starts))


SPECIAL = [
    Record("ar-1", "ar", ARABIC, mentions(ARABIC, University="جامعة دمشق", City="بيروت")),
    Record("long", "en", LONG, every_mention(LONG, "Person", "Mira Okafor")),
    Record(ATTACK, "en", ATTACK, mentions(ATTACK, Person="script", City="img src")),
    Record("nothing", "zh", "什么也没有。", ()),
]


def damaged(record: Record, rng: Random) -> Record:
    """A copy with items lost, retyped, shifted, invented and doubled, so that every kind of error comes up."""
    linked = {end for link in record.relations or () for end in (link.head, link.tail)}
    linked |= {a.entity for event in record.events or () for a in event.arguments if a.entity}
    kept = []
    for mention in record.entities or ():
        draw = rng.random()
        if draw < 0.15 and mention.id not in linked:
            continue
        if draw < 0.3:
            mention = replace(mention, type="City" if mention.type != "City" else "Person")
        elif draw < 0.45 and len(mention.text) > 2:
            mention = replace(mention, start=mention.start + 1, text=mention.text[1:])
            if draw < 0.35:
                mention = replace(mention, type="City" if mention.type != "City" else "Person")
        kept.append(mention)
    if kept and rng.random() < 0.2:
        kept.append(replace(kept[0], id="again"))
    if rng.random() < 0.3:
        kept.append(Mention("new", "Award", 0, 2, record.text[:2]))
    events = tuple(event for event in record.events or () if rng.random() > 0.3)
    relations = tuple(link for link in record.relations or () if rng.random() > 0.3)
    meta = {}
    if rng.random() < 0.3:
        meta["unresolved"] = [{"task": task, "type": "Person", "text": ATTACK, "role": "x"} for task in TASKS]
    if rng.random() < 0.3:
        kinds = ("unknown_class", "wrong_arity", "cut_off")
        meta["parse_problems"] = [{"task": "ner", "kind": kind, "detail": ATTACK} for kind in kinds]
    layers = {
        "relations": None if record.relations is None else relations,
        "events": None if record.events is None else events,
    }
    return replace(record, entities=tuple(kept), meta=meta, **layers)


def make_folder(folder, count=14, **changes):
    """A finished run of `count` sentences a language; gives its results folder."""
    rng = Random(5)
    drawn = generate(23, count, "heldout")
    gold = {
        "demo_en": [item["en"] for item in drawn],
        "demo_zh": [item["zh"] for item in drawn],
        "special": SPECIAL,
    }
    for name, records in gold.items():
        write_records(records, folder / f"{name}.jsonl")
        write_records(records, folder / f"gold_{name}.jsonl")
        spoilt = [damaged(record, rng) for record in records[:-1]]  # the last one has no answer
        write_records(spoilt, folder / f"damaged_{name}.jsonl")
    (folder / "schema.py").write_text(render_schema(schema()), encoding="utf-8")
    values = {
        "title": f"A run {ATTACK[:11]}",
        "results": str(folder / "results"),
        "samples": 30,
        "benchmarks": [
            {"name": name, "path": str(folder / f"{name}.jsonl"), "schema": str(folder / "schema.py")}
            | ({"tasks": ["ner"]} if name == "special" else {"tasks": list(TASKS)})
            for name in gold
        ],
        "systems": [
            {
                "kind": "outputs",
                "name": name,
                "path": f"{folder}/{name}_{{benchmark}}.jsonl",
                "format": "records",
            }
            for name in SYSTEMS
        ],
        "means": [{"name": "both", "of": ["demo_*"]}],
    }
    values["benchmarks"][0]["published"] = "supervised_ner/conll03"
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(values | changes, allow_unicode=True), encoding="utf-8")
    return evaluate(load_config(path)).folder


@pytest.fixture(scope="package")
def folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="package")
def run(folder):
    return load_run(folder)
