"""`brat`: a folder with a `.txt` and a `.ann` a record, named by its id (percent-encoded where a file name has to be).

Holds entities, discontinuous too, relations and events (a role within a role as `Main.Sub`). Not: a span that goes over
a line end or holds a tab (brat parts its lines there), a role that ends in a digit (brat's way to repeat a role).
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from kcx_jax.corpora.record import Argument, Mention, Record, Span
from kcx_jax.corpora.writers.fitting import Holds, Loss, fit
from kcx_jax.corpora.writers.options import WriteOptions, utf8
from kcx_jax.errors import KcxError
from kcx_jax.files import new_folder
from kcx_jax.schema.labels import role_spelling_of

_HOLDS = Holds(discontinuous=True)
_LONGEST_NAME = 200


def write_brat(records: Iterable[Record], path: Path, options: WriteOptions) -> int:
    """Write a pair of files a record; `KcxError` for ids that no file name can tell apart."""
    names: set[str] = set()
    with new_folder(path, options.overwrite) as folder:
        for record in records:
            name = quote(record.id, safe=" ", errors="backslashreplace")
            if len(name) > _LONGEST_NAME or name.startswith(".") or name.casefold() in names:
                raise KcxError(
                    f"record {record.id!r}: its id is no file name, or that of another record; brat names files by it"
                )
            names.add(name.casefold())
            (folder / f"{name}.txt").write_bytes(utf8(record.text, record))
            (folder / f"{name}.ann").write_bytes(utf8(_annotation(record, options.loss), record))
    return len(names)


def _annotation(record: Record, loss: Loss) -> str:
    if record.entities is None:
        loss.add(record, "records whose entities are not annotated")
    record = _with_events(fit(record, _HOLDS, loss, _in_a_line), loss)
    bounds: list[str] = []

    def bound(label: str, span: Mention | Span | Argument) -> str:
        parts = span.spans or ((span.start, span.end),)
        offsets = ";".join(f"{start} {end}" for start, end in parts)
        surface = " ".join(record.text[start:end] for start, end in parts)
        bounds.append(f"T{len(bounds) + 1}\t{label} {offsets}\t{surface}\n")
        return f"T{len(bounds)}"

    ids = {mention.id: bound(mention.type, mention) for mention in record.entities or ()}
    links = [
        f"R{i}\t{link.type} Arg1:{ids[link.head]} Arg2:{ids[link.tail]}\n"
        for i, link in enumerate(record.relations or (), 1)
    ]
    events = []
    for i, event in enumerate(record.events or (), 1):
        ends = [f"{event.type}:{bound(event.type, event.trigger)}"]
        ends += [
            f"{role_spelling_of(argument.role)}:{ids[argument.entity or '']}" for argument in event.arguments
        ]
        events.append(f"E{i}\t{' '.join(ends)}\n")
    return "".join([*bounds, *links, *events])


def _with_events(record: Record, loss: Loss) -> Record:
    """The record with the events that brat can write: an argument is a text bound, so a span needs a mention."""
    events = []
    for event in record.events or ():
        if not _in_a_line(event.trigger):
            loss.add(record, "events whose trigger goes over a line end")
            continue
        arguments = tuple(
            argument
            for argument in event.arguments
            if argument.entity is not None and not argument.role[-1].isdigit()
        )
        loss.add(
            record,
            "arguments that are no entities, or whose role ends in a digit",
            len(event.arguments) - len(arguments),
        )
        events.append(replace(event, arguments=arguments))
    return replace(record, events=None if record.events is None else tuple(events))


def _in_a_line(span: Mention | Span) -> bool:
    return not any(char in span.text for char in "\n\r\t")
