"""`duie`: DuIE 1 and 2, SKE2020, CMeIE: `{"text", "spo_list": [{"predicate", "subject", "object", ..._type}]}`.

Surfaces come without offsets and are lined up with the text as `surfaces` says: the two ends of a relation nearest to
each other. `meta.ambiguous` lists the relations (by index) with an end that stands several times; what is not in the
text is set aside, counted and kept in `meta.unplaced`. An object of several slots (`{"@value": ..., "inDate": ...}`)
is one relation a slot, called `predicate` for `@value` and `predicate.slot` for the others; `meta.spo` says which
item of `spo_list` each relation comes from. `spo_list` absent = not annotated.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kcx_jax.corpora.json_items import read_json_items
from kcx_jax.corpora.json_object import JsonObject
from kcx_jax.corpora.readers.columns import record_id
from kcx_jax.corpora.readers.options import Options
from kcx_jax.corpora.readers.relations import Draft
from kcx_jax.corpora.readers.surfaces import Place, Places
from kcx_jax.corpora.record import Record

_VALUE = "@value"


def read_duie(path: Path, options: Options) -> Iterator[Record]:
    """The lines of a DuIE file; `KcxError` naming the key for what has not its form."""
    for index, (where, value) in enumerate(read_json_items(path)):
        row = JsonObject(value, where)
        draft = Draft(path, where, row.string("text", empty=True), options)
        meta: dict[str, Any] = {}
        if isinstance(row.get("id"), str):
            meta["source_id"] = row.get("id")
        annotated = "spo_list" in row.value
        if annotated:
            meta |= _Triples(draft).read(row)
        yield draft.record(record_id(path, index), entities=annotated, relations=annotated, **meta)


class _Triples:
    """The relations of one text."""

    def __init__(self, draft: Draft) -> None:
        self.draft, self.places = draft, Places(draft.text)
        self.ids: dict[tuple[Place, str], str] = {}
        self.items: list[int] = []
        self.ambiguous: list[int] = []

    def read(self, row: JsonObject) -> dict[str, Any]:
        """Add every triple; what `meta` has to say of them."""
        for i, triple in enumerate(row.items("spo_list", _triple)):
            for label, types, surfaces in triple:
                self._add(f"spo_list[{i}]", i, label, types, surfaces)
        return {"spo": self.items, "ambiguous": self.ambiguous}

    def _add(
        self, key: str, item: int, label: str, types: tuple[str, str], surfaces: tuple[str, str]
    ) -> None:
        pair = self.places.pair(*surfaces)
        if pair is None:
            missing = [surface for surface in surfaces if not self.places.of(surface)]
            self.draft.set_aside(
                "relations whose ends are not in the text",
                {"predicate": label, "subject": surfaces[0], "object": surfaces[1], "missing": missing},
            )
            return
        if any(map(self.places.ambiguous, surfaces)):
            self.ambiguous.append(len(self.items))
        self.items.append(item)
        head, tail = (self._mention(place, kind, key) for place, kind in zip(pair, types, strict=True))
        self.draft.link(label, head, tail, key)

    def _mention(self, place: Place, label: str, key: str) -> str:
        if (place, label) not in self.ids:
            self.ids[place, label] = self.draft.mention(self.draft.char_span(*place, key), label, key)
        return self.ids[place, label]


def _triple(node: JsonObject) -> list[tuple[str, tuple[str, str], tuple[str, str]]]:
    """The (label, types, surfaces) of one item, one a slot of its object."""
    predicate, subject, kind = (node.string(key) for key in ("predicate", "subject", "subject_type"))
    objects, types = _slots(node, "object"), _slots(node, "object_type")
    out = []
    for slot, surface in objects.items():
        if not surface and slot != _VALUE:
            continue  # DuIE writes "" into the slots that nothing fills
        if slot not in types:
            raise node.error("object_type", f"gives no type to the slot {slot!r}")
        label = predicate if slot == _VALUE else f"{predicate}.{slot}"
        out.append((label, (kind, types[slot]), (subject, surface)))
    return out


def _slots(node: JsonObject, key: str) -> dict[str, str]:
    if not isinstance(node.get(key), dict):
        return {_VALUE: node.string(key)}
    slots = JsonObject(node.get(key), node.where, f"{node.key}.{key}")
    return {slot: slots.string(slot, empty=True) for slot in slots.value}
