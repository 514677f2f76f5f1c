"""What the scripted server says to the label-projection baselines: the pairs' own words, and mistakes on purpose."""

from collections.abc import Iterable, Mapping
from typing import Any

from kcx_jax.corpora import ParallelRecord
from kcx_jax.parallel.projection.requests import TRANSLATE_MARKED, TRANSLATE_SPAN
from kcx_jax.parallel.translation.spans import Offsets, SourceSpan

Truth = Mapping[SourceSpan, Offsets]


class ProjectionScript:
    """The right answers, made of pairs and of where each span of the source stands in the target."""

    def __init__(self, pairs: Iterable[tuple[ParallelRecord, Truth]]):
        self._pairs: dict[tuple[str, str], tuple[str, Truth]] = {}
        self._spans: dict[tuple[str, str], str] = {}
        for pair, truth in pairs:
            language, text = pair.target.language, pair.target.text
            self._pairs[language, pair.source.text] = (text, truth)
            for span, (start, end) in truth.items():
                self._spans.setdefault((language, span.text), text[start:end])

    def reply(self, data: Mapping[str, Any], fault: str | None) -> dict[str, Any] | None:
        """The reply to a request, with `fault` in it; None where the pairs have none."""
        if data["stage"] == TRANSLATE_MARKED:
            return self._marked(data, fault)
        (item,) = data["spans"]
        words = self._words(data, item)
        if words is None:
            return None
        text = f"{words} ({item['text']})" if fault == "paraphrased_span" else words
        return {"spans": [{"id": item["id"], "text": text}]}

    def _words(self, data: Mapping[str, Any], item: Mapping[str, str]) -> str | None:
        language = str(data["target_language"])
        if data["stage"] == TRANSLATE_SPAN:
            return self._spans.get((language, item["text"]))
        text, truth = self._pairs.get((language, str(data["sentence"])), ("", {}))
        return next(
            (
                text[slice(*truth[span])]
                for span in truth
                if (span.id, span.text) == (item["id"], item["text"])
            ),
            None,
        )

    def _marked(self, data: Mapping[str, Any], fault: str | None) -> dict[str, Any] | None:
        opening, closing = data["marks"]
        plain = str(data["sentence"]).replace(opening, "").replace(closing, "")
        known = self._pairs.get((str(data["target_language"]), plain))
        if known is None:
            return None
        text, truth = known
        places = sorted(truth.values())[1:] if fault == "missing_span" else list(truth.values())
        ends, starts = [end for _, end in places], [start for start, _ in places]
        pieces = (
            closing * ends.count(at) + opening * starts.count(at) + text[at : at + 1]
            for at in range(len(text) + 1)
        )
        return {"sentence": "".join(pieces), "spans": []}
