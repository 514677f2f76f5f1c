"""Cases for people as Label Studio tasks, and its export back.

A person marks each span in the draft of the translation. Where the draft is wrong, a right sentence goes into the text
area ``sentence``, and the words of spans that cannot be marked into ``words``, a line each: ``s0 = words``. Offsets of
Label Studio count code points, as ours do; those of its first versions count UTF-16 units.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject
from kcx_jax.corpora.readers.offset_units import code_points
from kcx_jax.corpora.writers.json_array import write_json_array
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.files import atomic_write, refuse_existing
from kcx_jax.parallel.review.cases import Case
from kcx_jax.parallel.review.decisions import Decision, Unusable
from kcx_jax.parallel.review.sheets import CANDIDATES
from kcx_jax.parallel.translation.checks import Draft
from kcx_jax.parallel.translation.matching import locate
from kcx_jax.parallel.translation.spans import SourceSpan, source_spans

INTERFACE = """\
<View>
  <Header value="Source"/>
  <Text name="source" value="$source_text"/>
  <Header value="What was wrong"/>
  <Text name="problems" value="$problems"/>
  <Header value="Drafts"/>
  <Text name="candidates" value="$candidates"/>
  <Header value="Mark the words of each span"/>
  <Labels name="label" toName="text" value="$labels"/>
  <Text name="text" value="$text"/>
  <Header value="The right sentence, if the one above is wrong"/>
  <TextArea name="sentence" toName="text" maxSubmissions="1" rows="3"/>
  <Header value="Words of spans that cannot be marked, a line each: s0 = words"/>
  <TextArea name="words" toName="text" maxSubmissions="1" rows="3"/>
</View>
"""
"""The labelling interface of such a project."""


def write_tasks(cases: Iterable[Case], target: str, path: Path, overwrite: bool) -> int:
    """Write the cases as tasks to import, and the interface beside them as .xml; returns how many tasks.

    Raises `UsageError` when `path` itself ends in .xml.
    """
    interface = path.with_suffix(".xml")
    if interface == path:
        raise UsageError(
            f"{path}: the tasks are JSON, and the interface beside them is .xml; choose another name"
        )
    refuse_existing(interface, overwrite)
    count = write_json_array((_task(case, target) for case in cases), path, overwrite)
    with atomic_write(interface, overwrite=overwrite) as handle:
        handle.write(INTERFACE)
    return count


def _task(case: Case, target: str) -> dict[str, Any]:
    spans = source_spans(case.record)
    drafts = case.candidates[:CANDIDATES]
    shown = drafts[0].sentence if drafts else ""
    data = {
        "id": case.record.id,
        "source_language": case.record.language,
        "target_language": target,
        "source_text": case.record.text,  # Label Studio shows the whole task for a key named "source"
        "problems": "\n".join(case.problems),
        "candidates": "\n\n".join(_draft(draft, spans) for draft in drafts),
        "text": shown,
        "labels": [{"value": _label(span)} for span in spans],
    }
    regions = _regions(drafts[0], spans) if drafts else []
    return {"data": data, "predictions": [{"model_version": "draft", "result": regions}]}


def _draft(draft: Draft, spans: Iterable[SourceSpan]) -> str:
    words = (f"{_label(span)} = {draft.texts[span.id]}" for span in spans if span.id in draft.texts)
    return "\n".join([draft.sentence, *words])


def _label(span: SourceSpan) -> str:
    """Its first word is the span's id."""
    return f"{span.id} {span.role}: {span.text}"


def _regions(draft: Draft, spans: tuple[SourceSpan, ...]) -> list[dict[str, Any]]:
    """The spans of the draft that stand in its sentence."""
    known = [span for span in spans if span.id in draft.texts]
    places = locate(draft.sentence, known, draft.texts)
    return [
        {
            "id": span.id,
            "type": "labels",
            "from_name": "label",
            "to_name": "text",
            "value": {
                "start": places[span.id].start,
                "end": places[span.id].end,
                "text": draft.sentence[places[span.id].start : places[span.id].end],
                "labels": [_label(span)],
            },
        }
        for span in known
        if span.id in places
    ]


def read_tasks(path: Path) -> Iterator[Decision | Unusable]:
    """A decision for every annotation of an export that was not skipped.

    Raises `KcxError` naming the place and the key for what is no export of such tasks.
    """
    for where, value in read_json_items(path):
        task = JsonObject(value, where)
        data = JsonObject(task.get("data"), where, "data")
        id, text = data.string("id"), data.string("text", empty=True)
        for annotation in task.items("annotations", lambda node: node) or ():
            if not annotation.get("was_cancelled"):
                yield _decision(annotation, id, text)


def _decision(annotation: JsonObject, id: str, text: str) -> Decision | Unusable:
    written: dict[str, str] = {}
    marked: list[tuple[str, int, int, str]] = []
    for region in annotation.items("result", lambda node: node) or ():
        value = JsonObject(region.get("value"), region.where, f"{region.key}.value")
        name = region.get("from_name")
        if name == "label":
            start, end = value.integer("start"), value.integer("end")
            marked += [(span, start, end, value.string("text")) for span in _span_ids(value)]
        elif name in ("sentence", "words"):
            written[name] = _area(value)
    texts, sentence = _words(written.get("words", "")), written.get("sentence", "") or text
    for span, *_, words in marked:
        if span in texts:
            return Unusable(id, f"{span} has words twice; mark it once, or write it once")
        texts[span] = words.strip()
    places = _places(text, marked, annotation.where) if sentence == text else {}
    when = annotation.get("updated_at") or annotation.get("created_at") or ""
    return Decision(id, sentence, texts, places, _who(annotation), str(when), "label-studio")


def _span_ids(value: JsonObject) -> list[str]:
    labels = value.get("labels")
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise value.error("labels", "must be a list of strings")
    return [label.partition(" ")[0] for label in labels]


def _area(value: JsonObject) -> str:
    text = value.get("text")
    lines = text if isinstance(text, list) else [text]
    if not all(isinstance(line, str) for line in lines):
        raise value.error("text", "must be a string, or a list of strings")
    return "\n".join(lines).strip()


def _words(text: str) -> dict[str, str]:
    """``s0 = words`` a line; what is no such line is an id that no record has, and so refused."""
    lines = (line.partition("=") for line in text.splitlines() if line.strip())
    return {id.strip(): words.strip() for id, _, words in lines}


def _places(text: str, marked: list[tuple[str, int, int, str]], where: str) -> dict[str, tuple[int, int]]:
    """Where the marks stand, in code points and without white space at their ends.

    None where the marks do not stand where they say (Label Studio counts some line ends twice): then the words are
    looked for.
    """
    try:
        found = code_points(text, [(start, end, words) for _, start, end, words in marked], where)
    except KcxError:
        return {}
    places = {}
    for (span, *_, words), (start, end) in zip(marked, found, strict=True):
        places[span] = (start + len(words) - len(words.lstrip()), end - len(words) + len(words.rstrip()))
    return places


def _who(annotation: JsonObject) -> str:
    who = annotation.get("completed_by")
    if isinstance(who, dict):
        who = who.get("email") or who.get("id")
    return "" if who is None else str(who)
