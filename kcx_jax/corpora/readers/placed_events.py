"""Events whose triggers and arguments are given by their surfaces, with or without offsets (see `surfaces`)."""

from typing import Any

from kcx_jax.corpora.json_object import JsonObject
from kcx_jax.corpora.readers.events import LabelledEvent, surface_span
from kcx_jax.corpora.readers.relations import Draft
from kcx_jax.corpora.readers.surfaces import Place, Places, distance
from kcx_jax.corpora.record import Span, make_span


class PlacedEvents:
    """The events of one text."""

    def __init__(self, draft: Draft) -> None:
        self.draft, self.places = draft, Places(draft.text)
        self.aliases: list[dict[str, Any]] = []
        self.ambiguous: list[list[int]] = []

    def add(self, node: JsonObject) -> None:
        """Add an event whose trigger is in the text."""
        arguments = node.items("arguments", lambda argument: argument) or ()
        trigger = self._trigger(node, arguments)
        if trigger is None:
            self.draft.set_aside("events whose trigger is not in the text", dict(node.value))
            return
        event = len(self.draft.events)
        filled: list[tuple[str, Span | str]] = []
        for argument in arguments:
            span = self._argument(argument, trigger)
            if span is None:
                self.draft.set_aside("arguments that are not in the text", dict(argument.value))
                continue
            if "argument_start_index" not in argument.value and self.places.ambiguous(span.text):
                self.ambiguous.append([event, len(filled)])
            if argument.get("alias"):
                self.aliases.append({"event": event, "argument": len(filled), "alias": argument.get("alias")})
            filled.append((argument.string("role"), span))
        if "trigger_start_index" not in node.value and self.places.ambiguous(trigger.text):
            self.ambiguous.append([event])
        where = f"{node.where}: {node.key}"
        self.draft.events.append(LabelledEvent(where, node.string("event_type"), trigger, tuple(filled)))

    def _trigger(self, node: JsonObject, arguments: tuple[JsonObject, ...]) -> Span | None:
        surface = node.string("trigger")
        if "trigger_start_index" in node.value:
            return self._placed(node, surface, "trigger_start_index")
        surfaces = [argument.string("argument") for argument in arguments]

        def cost(place: Place) -> tuple[int, Place]:
            near = [self.places.nearest(other, place) for other in surfaces]
            return sum(distance(place, other)[1] for other in near if other), place

        places = self.places.of(surface)
        return make_span(self.draft.text, *min(places, key=cost)) if places else None

    def _argument(self, node: JsonObject, trigger: Span) -> Span | None:
        surface = node.string("argument")
        if "argument_start_index" in node.value:
            return self._placed(node, surface, "argument_start_index")
        place = self.places.nearest(surface, (trigger.start, trigger.end))
        return make_span(self.draft.text, *place) if place else None

    def _placed(self, node: JsonObject, surface: str, key: str) -> Span:
        start = node.integer(key)
        where = f"{node.where}: {node.key}.{key}"
        return surface_span(self.draft.text, ((start, start + len(surface)),), surface, where)
