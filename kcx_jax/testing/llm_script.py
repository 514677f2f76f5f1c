"""What the scripted server says: right answers from a table, and mistakes made on purpose.

A fault belongs to the content of a request (a digest of model and data, with the seed), never to the order in
which requests arrive, so that a seed reproduces a run. It reads the JSON data of the pipeline's requests, not
their wording.
"""

import ast
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kcx_jax.corpora import ParallelRecord
from kcx_jax.errors import UsageError
from kcx_jax.parallel.projection.requests import FIND_SPAN, TRANSLATE_MARKED, TRANSLATE_SPAN
from kcx_jax.parallel.projection.requests import STAGES as PROJECTION
from kcx_jax.parallel.translation.inline import tagged, untagged
from kcx_jax.parallel.translation.prompts import REWRITE_SENTENCE, REWRITE_SPANS, TRANSLATE
from kcx_jax.parallel.translation.refusal import Refusal
from kcx_jax.parallel.translation.spans import Offsets, SourceSpan, source_spans
from kcx_jax.prompts.extraction import TASK_LINES
from kcx_jax.testing.llm_faults import BODY, TRANSPORT
from kcx_jax.testing.meaning_faults import SEMANTIC, Said
from kcx_jax.testing.projection_script import ProjectionScript

EXTRACT = "extract"
# Faults of the reply itself, and the stages in which each can happen.
_READS_SPANS = (TRANSLATE, REWRITE_SPANS)
_WRITES_SENTENCE = (TRANSLATE, REWRITE_SENTENCE)
_ANY = (EXTRACT, TRANSLATE, REWRITE_SPANS, REWRITE_SENTENCE, *PROJECTION)
CONTENT: dict[str, tuple[str, ...]] = {
    "broken_json": _ANY,
    "code_fence": _ANY,
    "truncated": _ANY,
    "missing_span": (*_WRITES_SENTENCE, TRANSLATE_MARKED),
    "paraphrased_span": (*_READS_SPANS, TRANSLATE_SPAN, FIND_SPAN),
    "wrong_ids": _READS_SPANS,
    "empty_span": _READS_SPANS,
    "untranslated": _WRITES_SENTENCE,
    "control_character": _WRITES_SENTENCE,
    "wholesale_rewrite": (REWRITE_SENTENCE,),
    **dict.fromkeys(SEMANTIC, (TRANSLATE,)),
}
FAULTS = (*TRANSPORT, *BODY, *CONTENT)

Answers = Mapping[str, str | Mapping[str, str]]


@dataclass(frozen=True)
class Ask:
    """One request as the script sees it. ``tries``: how often the same content was asked before."""

    model: str
    stage: str
    sentence: str
    data: Mapping[str, Any]
    digest: bytes
    tries: int = 0


FaultPlan = Callable[[Ask], str | None]


class UnknownRequest(Exception):
    """The script has no answer to this request."""


def random_faults(rates: Mapping[str, float], seed: int = 0) -> FaultPlan:
    """A plan in which each fault of `rates` (names of `FAULTS`) befalls that share of all contents."""
    unknown = sorted(set(rates) - set(FAULTS))
    if unknown:
        raise UsageError(f"no such fault: {', '.join(unknown)}. There are: {', '.join(FAULTS)}")
    if any(rate < 0 for rate in rates.values()) or sum(rates.values()) > 1:
        raise UsageError("the rates of faults have to be positive and sum to at most 1")

    def plan(ask: Ask) -> str | None:
        drawn = hashlib.blake2b(ask.digest, digest_size=8, key=str(seed).encode()).digest()
        share = int.from_bytes(drawn) / 2**64
        for name, rate in rates.items():
            share -= rate
            if share < 0:
                return name
        return None

    return plan


class Script:
    """The right answers: `pairs` for translation, `answers` (sentence -> answer code) for extraction.

    An answer may be a mapping from task to code; the task is told by its line in the prompt.
    """

    def __init__(self, answers: Answers, pairs: Iterable[ParallelRecord]):
        self._answers = answers
        self._pairs = {(pair.target.language, pair.source.text): pair for pair in pairs}

    def read(self, model: str, messages: list[dict[str, Any]]) -> Ask:
        """What is asked; raises `UnknownRequest`."""
        content = str(messages[-1].get("content", ""))
        data = _json_object(content)
        if data is None or "stage" not in data:
            task = next((task for task, line in TASK_LINES.items() if line in str(messages)), "")
            data = {"stage": EXTRACT, "task": task, "sentence": self._sentence_in(content)}
        text = json.dumps([model, data], sort_keys=True)
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
        return Ask(model, str(data["stage"]), _asked_sentence(data), data, digest)

    def reply(self, ask: Ask, fault: str | None) -> tuple[str, str]:
        """The text and finish reason of the reply, with `fault` (of `CONTENT`) in it where it can happen."""
        if ask.stage not in CONTENT.get(fault or "", ()):
            fault = None
        if ask.stage == EXTRACT:
            answer = self._answers[ask.sentence]
            text = answer if isinstance(answer, str) else answer.get(ask.data["task"], "[]")
        else:
            text = json.dumps(self._translation(ask, fault), ensure_ascii=False)
        if fault == "broken_json":
            return text[:-1], "stop"
        if fault == "code_fence":
            return f"```{'python' if ask.stage == EXTRACT else 'json'}\n{text}\n```", "stop"
        if fault == "truncated":
            return text[: len(text) // 2], "length"
        return text, "stop"

    def _sentence_in(self, content: str) -> str:
        """The last known sentence of the prompt: a string literal on a line, or a line of its own."""
        for line in reversed(content.split("\n")):  # a sentence may hold other ends of lines as they are
            literals = [_literal(found) for found in re.findall(r'"(?:[^"\\]|\\.)*"', line)]
            for text in (*reversed(literals), line.strip()):
                if text in self._answers:
                    return text
        raise UnknownRequest("no sentence of the script stands in the last message")

    @cached_property
    def _projection(self) -> ProjectionScript:
        return ProjectionScript((pair, _truth(pair)) for pair in self._pairs.values())

    def _translation(self, ask: Ask, fault: str | None) -> dict[str, Any]:
        data = ask.data
        if ask.stage in PROJECTION:
            reply = self._projection.reply(data, fault)
            if reply is None:
                raise UnknownRequest(f"the script has no pair for this {ask.stage}")
            return reply
        pair = self._pairs.get((str(data.get("target_language")), ask.sentence))
        if pair is None:
            raise UnknownRequest(f"the script has no {data.get('target_language')} for {ask.sentence!r}")
        truth = _truth(pair)
        asked = [(item["id"], item["text"]) for item in data["spans"]]
        known = {span.id: span.text for span in truth}
        if any(known.get(name) != text for name, text in asked):
            raise UnknownRequest(f"the script has other spans for {ask.sentence!r}")
        if ask.stage == REWRITE_SENTENCE:
            return {"sentence": _mended(pair.target.text, truth, data, fault)}
        texts = {span.id: pair.target.text[start:end] for span, (start, end) in truth.items()}
        if "tagged" in data:
            places = [SourceSpan(span.id, *place, texts[span.id], "") for span, place in truth.items()]
            return {"tagged": tagged(pair.target.text, places)}
        if fault in SEMANTIC:
            return _misunderstood(pair, truth, asked, ask.digest[0], SEMANTIC[fault])
        spans = _spans(asked, texts, ask.digest[0], fault)
        if ask.stage == REWRITE_SPANS:
            return {"spans": spans}
        return {"sentence": _sentence(pair, truth, ask.digest[0], fault), "spans": spans}


def _misunderstood(
    pair: ParallelRecord,
    truth: Mapping[SourceSpan, Offsets],
    asked: list[tuple[str, str]],
    draw: int,
    fault: Callable[[Said], None],
) -> dict[str, Any]:
    places = {span.id: place for span, place in truth.items()}
    spans = [(name, pair.target.text[slice(*places[name])]) for name, _ in asked]
    said = Said(pair.source.text, pair.target.text, spans, dict(asked), places, draw)
    fault(said)
    return {"sentence": said.sentence, "spans": [{"id": name, "text": text} for name, text in said.spans]}


def _asked_sentence(data: Mapping[str, Any]) -> str:
    if "tagged" not in data:
        return str(data.get("sentence"))
    try:
        return untagged(str(data["tagged"]), [item["id"] for item in data["spans"]])[0]
    except (Refusal, KeyError, TypeError):
        raise UnknownRequest("the tagged sentence is none") from None


def _spans(
    asked: list[tuple[str, str]], texts: Mapping[str, str], draw: int, fault: str | None
) -> list[dict[str, str]]:
    spans = [{"id": name, "text": texts[name]} for name, _ in asked]
    if not spans:
        return spans
    victim = spans[draw % len(spans)]
    if fault == "paraphrased_span":
        victim["text"] = f"{victim['text']} ({asked[draw % len(spans)][1]})"
    elif fault == "wrong_ids":
        victim["id"] = f"x{victim['id']}"
    elif fault == "empty_span":
        victim["text"] = " "
    return spans


def _sentence(pair: ParallelRecord, truth: Mapping[SourceSpan, Offsets], draw: int, fault: str | None) -> str:
    text = pair.target.text
    if fault == "untranslated":
        return pair.source.text
    if fault == "control_character":
        return f"{text}\x07"
    if fault == "missing_span" and truth:
        span = list(truth)[draw % len(truth)]
        start, end = truth[span]
        filler = "◌" if text[start:end] in span.text else span.text
        return text[:start] + filler + text[end:]
    return text


def _mended(
    text: str, truth: Mapping[SourceSpan, Offsets], data: Mapping[str, Any], fault: str | None
) -> str:
    """The right sentence, with the wording of the spans that is asked for."""
    wanted = {item["id"]: item["translation"] for item in data["spans"]}
    if fault == "untranslated":
        return str(data["sentence"])
    if fault == "missing_span":
        return str(data["translation"])
    if fault == "wholesale_rewrite":
        return " / ".join(wanted.values())
    changed = text
    limit = len(text)
    for span, (start, end) in sorted(truth.items(), key=lambda item: item[1], reverse=True):
        if wanted[span.id] != text[start:end] and end <= limit:
            changed = changed[:start] + wanted[span.id] + changed[end:]
            limit = start
    return f"{changed}\x07" if fault == "control_character" else changed


def _truth(pair: ParallelRecord) -> dict[SourceSpan, Offsets]:
    """Where each span of the source stands in the target."""
    places: dict[Offsets, Offsets] = {}

    def note(source: Any, target: Any) -> None:
        places[source.start, source.end] = (target.start, target.end)

    mentions = {mention.id: mention for mention in pair.target.entities or ()}
    for mention in pair.source.entities or ():
        note(mention, mentions[mention.id])
    for event, other in zip(pair.source.events or (), pair.target.events or (), strict=True):
        note(event.trigger, other.trigger)
        for argument, translated in zip(event.arguments, other.arguments, strict=True):
            if argument.entity is None:
                note(argument, translated)
    return {span: places[span.start, span.end] for span in source_spans(pair.source)}


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _literal(text: str) -> str:
    try:
        return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return ""
