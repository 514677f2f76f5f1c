"""Relations that a corpus gives as surfaces without offsets, lined up with the text (see `surfaces`)."""

from typing import Any

from kcx_jax.corpora.readers.relations import Draft
from kcx_jax.corpora.readers.surfaces import Places


class Triples:
    """The relations of one text: each between the two places of its surfaces that are nearest to each other."""

    def __init__(self, draft: Draft) -> None:
        self.draft, self.places = draft, Places(draft.text)
        self._items: list[int] = []
        self._ambiguous: list[int] = []

    def add(
        self, item: int, label: str, types: tuple[str | None, str | None], surfaces: tuple[str, str], key: str
    ) -> None:
        """Add the relation of an item of the file, or set it aside where an end is not in the text."""
        pair = self.places.pair(*surfaces)
        if pair is None:
            missing = [surface for surface in surfaces if not self.places.of(surface)]
            self.draft.set_aside(
                "relations whose ends are not in the text",
                {"predicate": label, "subject": surfaces[0], "object": surfaces[1], "missing": missing},
            )
            return
        if any(map(self.places.ambiguous, surfaces)):
            self._ambiguous.append(len(self._items))
        self._items.append(item)
        head, tail = (
            self.draft.mention_once(self.draft.char_span(*place, key), kind, key)
            for place, kind in zip(pair, types, strict=True)
        )
        self.draft.link(label, head, tail, key)

    def meta(self) -> dict[str, Any]:
        """Which item each relation comes from, and which relations have an end that stands several times."""
        return {"items": self._items, "ambiguous": self._ambiguous}
