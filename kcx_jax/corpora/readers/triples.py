"""Relations that a corpus gives as surfaces without offsets, lined up with the text (see `surfaces`)."""

from typing import Any, cast

from kcx_jax.corpora.readers.relations import Draft
from kcx_jax.corpora.readers.surfaces import Place, Places


class Triples:
    """The relations of one text: each between the two places of its surfaces that are nearest to each other."""

    def __init__(self, draft: Draft) -> None:
        self.draft, self.places = draft, Places(draft.text)
        self._items: list[int] = []
        self._ambiguous: list[int] = []

    def add(
        self,
        item: int,
        label: str,
        types: tuple[str | None, str | None],
        surfaces: tuple[str, str],
        key: str,
        known: tuple[Place | None, Place | None] = (None, None),
    ) -> None:
        """Add the relation of an item of the file, or set it aside where an end is not in the text.

        `known`: where an end stands, if the file says so.
        """
        pair = self._pair(surfaces, known)
        if pair is None:
            missing = [surface for surface in surfaces if not self.places.of(surface)]
            self.draft.set_aside(
                "relations whose ends are not in the text",
                {"predicate": label, "subject": surfaces[0], "object": surfaces[1], "missing": missing},
            )
            return
        ends = zip(surfaces, known, strict=True)
        if any(place is None and self.places.ambiguous(surface) for surface, place in ends):
            self._ambiguous.append(len(self._items))
        self._items.append(item)
        head, tail = (
            self.draft.mention_once(self.draft.char_span(*place, key), kind, key)
            for place, kind in zip(pair, types, strict=True)
        )
        self.draft.link(label, head, tail, key)

    def _pair(
        self, surfaces: tuple[str, str], known: tuple[Place | None, Place | None]
    ) -> tuple[Place, Place] | None:
        head, tail = known
        if head is None and tail is None:
            return self.places.pair(*surfaces)
        head = head or self.places.nearest(surfaces[0], cast(Place, tail))
        tail = tail or self.places.nearest(surfaces[1], head) if head else None
        return (head, tail) if head and tail else None

    def meta(self) -> dict[str, Any]:
        """Which item each relation comes from, and which relations have an end that stands several times."""
        return {"items": self._items, "ambiguous": self._ambiguous}
