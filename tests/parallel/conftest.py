"""Records written as marked text, and pairs with everything a record can hold."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kcx_jax.corpora import (
    Argument,
    EventMention,
    Mention,
    ParallelRecord,
    Record,
    RelationLink,
    make_span,
    read_records,
)
from kcx_jax.llm import Reply, Usage
from kcx_jax.testing.llm_script import Script


def _mark(text: str, id: str = "r0", language: str = "en", **layers) -> Record:
    """``"[Ada|e0:Person] was in [[New York|e2:City] State|e1:Region]"`` with nesting."""
    plain, mentions, opened = "", [], []
    for token in re.findall(r"\[|\|\w+:\w+\]|[^\[\]|]+", text):
        if token == "[":
            opened.append(len(plain))
        elif token.startswith("|"):
            start, (name, kind) = opened.pop(), token[1:-1].split(":")
            mentions.append(Mention(name, kind, start, len(plain), plain[start:]))
        else:
            plain += token
    return Record(id, language, plain, tuple(sorted(mentions, key=lambda m: m.start)), **layers)


@pytest.fixture(scope="session")
def mark() -> Callable[..., Record]:
    return _mark


def _event(record: Record, trigger: str, place: str) -> tuple[EventMention, ...]:
    def span(text):
        return make_span(record.text, record.text.index(text), record.text.index(text) + len(text))

    where = span(place)
    arguments = (
        Argument("person", entity="e0"),
        Argument("place", start=where.start, end=where.end, text=where.text),
    )
    return (EventMention("BeBorn", span(trigger), arguments),)


def make_pair(n: int) -> ParallelRecord:
    """Two entities (one of them twice), a relation, and an event with a trigger and an untyped argument."""
    sides = []
    en = f"[Ada{n} Lovelace|e0:Person] was born in [London{n}|e1:City]; [Ada{n} Lovelace|e2:Person] left."
    zh = f"[艾达{n}·洛夫莱斯|e0:Person]出生于[伦敦{n}|e1:City]，[艾达{n}·洛夫莱斯|e2:Person]离开了。"
    for language, text, trigger, place in (("en", en, "born", f"London{n}"), ("zh", zh, "出生", f"伦敦{n}")):
        record = _mark(text, f"r{n}", language, relations=(RelationLink("BirthPlace", "e0", "e1"),))
        sides.append(Record(**{**vars(record), "events": _event(record, trigger, place)}))
    return ParallelRecord(f"r{n}", *sides)


@pytest.fixture(scope="session")
def numbered() -> Callable[[int], ParallelRecord]:
    return make_pair


@pytest.fixture(scope="session")
def pairs() -> list[ParallelRecord]:
    return [make_pair(n) for n in range(40)]


class Scripted:
    """A client that says what the script says, with `fault` in its first reply to each record."""

    model, thinks = "scripted", False

    def __init__(self, script: Script, fault: str | None = None):
        self._script, self._fault = script, fault

    async def complete(self, messages, json_schema=None, *, max_tokens, stage, record):
        ask = self._script.read(self.model, list(messages))
        first = stage == "translate" and not ask.data.get("refused")
        text, finish = self._script.reply(ask, self._fault if first else None)
        return Reply(text, finish, Usage())


@pytest.fixture(scope="session")
def scripted() -> type[Scripted]:
    return Scripted


def _crossre(shared: Path, name: str, language: str) -> Iterator[ParallelRecord]:
    for path in sorted((shared / "data" / "re" / "multi_crossre" / name).iterdir()):
        english = shared / "data" / "re" / "crossre_en" / path.name.removesuffix(".gz")
        sources = {record.id: record for record in read_records(english, reader="crossre", language="en")}
        for target in read_records(path, reader="crossre", language=language):
            origin = target.meta["projected_from"]["entities"]
            mentions = [
                replace(mention, id=f"e{i}") for mention, i in zip(target.entities, origin, strict=True)
            ]
            source = sources[target.id]
            kept = tuple(mention for i, mention in enumerate(source.entities) if i in set(origin))
            yield ParallelRecord(
                target.id,
                replace(source, entities=kept, relations=None, meta={}),
                replace(target, entities=tuple(mentions), relations=None, meta={}),
            )


@pytest.fixture(scope="session")
def crossre(shared) -> Callable[[str, str], list[ParallelRecord]]:
    """CrossRE's sentences with Multi-CrossRE's translations of them, by folder and language tag."""
    return lambda name, language: list(_crossre(shared, name, language))
