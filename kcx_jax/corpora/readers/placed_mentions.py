"""Entities that a corpus lists by surface and type: the k-th of equal ones takes the k-th place in the text."""

from kcx_jax.corpora.readers.relations import Draft
from kcx_jax.corpora.readers.surfaces import Places


class PlacedMentions:
    """The entities of one text."""

    def __init__(self, draft: Draft) -> None:
        self.draft, self.places = draft, Places(draft.text)
        self._listed: dict[tuple[str, str], list[str]] = {}

    def add(self, surface: str, label: str, key: str) -> None:
        """Add an entity, or set it aside when the text has no place left for it."""
        ids = self._listed.setdefault((surface, label), [])
        places = self.places.of(surface)
        if len(ids) == len(places):
            kind = (
                "entities listed more often than they stand"
                if places
                else "entities that are not in the text"
            )
            self.draft.set_aside(kind, {"text": surface, "type": label})
            return
        ids.append(self.draft.mention(self.draft.char_span(*places[len(ids)], key), label, key))

    @property
    def ambiguous(self) -> list[str]:
        """The ids of entities that could stand elsewhere too."""
        listed = self._listed.items()
        return [id for (surface, _), ids in listed if len(ids) < len(self.places.of(surface)) for id in ids]
