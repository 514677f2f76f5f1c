"""The xml variant: tags go in and come out, whatever the text holds."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.errors import UsageError
from kcx_jax.llm import Reply, Usage
from kcx_jax.parallel.runs.statistics import is_verbatim
from kcx_jax.parallel.translation.inline import tagged, untagged
from kcx_jax.parallel.translation.pipeline import translate
from kcx_jax.parallel.translation.refusal import Refusal
from kcx_jax.parallel.translation.spans import SourceSpan


@st.composite
def _spans(draw):
    text = draw(st.text(st.sampled_from("a<>&;lt s0/\"'中👩\u200d\u0301\n"), min_size=1, max_size=20))
    places = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).map(sorted).map(tuple)
    chosen = draw(st.lists(places.filter(lambda p: text[p[0] : p[1]].strip()), unique=True, max_size=5))
    chosen.sort(key=lambda place: (place[0], -place[1]))
    return text, [SourceSpan(f"s{i}", *place, text[slice(*place)], "T") for i, place in enumerate(chosen)]


@given(_spans())
def test_untagging_undoes_tagging_for_any_text_and_any_spans(case):
    text, spans = case
    plain, places = untagged(tagged(text, spans), [span.id for span in spans])
    assert plain == text
    assert set(places) == {span.id for span in spans}
    for span in spans:
        start, end = places[span.id]
        assert text[start:end] == span.text.strip()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<s0>a</s0>", None),
        ("a", "wrong_ids"),
        ("<s0>a", "wrong_ids"),
        ("a</s0>", "wrong_ids"),
        ("</s0>a<s0>", "wrong_ids"),
        ("<s0>a</s0><s0>b</s0>", "wrong_ids"),
        ("<s0>a</s0><s1>b</s1>", "wrong_ids"),
        ("<s0>a</s0> < b", "wrong_tags"),
        ("<s0>a</s0> <!DOCTYPE x>", "wrong_tags"),
        ("<s0>a</s0> &bomb;", "wrong_tags"),
        ('<s0 x="1">a</s0>', "wrong_tags"),
    ],
)
def test_what_is_no_tagging_is_refused(text, kind):
    if kind is None:
        assert untagged(text, ["s0"]) == ("a", {"s0": (0, 1)})
        return
    with pytest.raises(Refusal) as caught:
        untagged(text, ["s0"])
    assert caught.value.kind == kind


class _Says:
    model, thinks = "says", False

    def __init__(self, *texts):
        self._texts = iter(texts)

    async def complete(self, messages, json_schema=None, *, max_tokens, stage, record):
        assert json_schema["required"] == ["tagged"]
        return Reply(json.dumps({"tagged": next(self._texts)}), "stop", Usage())


def test_the_variant_places_spans_by_their_tags_and_says_so(mark):
    record = mark("[The Bank of [China|e1:C]|e0:O] & [China|e2:C]")
    client = _Says(
        "<s2>中国</s2>&amp;<s0>中国</s0>银行<s1>中国</s1>", "<s0><s1>中国</s1>银行</s0>&amp;<s2>中国</s2>"
    )
    outcome = asyncio.run(translate(record, "zh", [client], variant="xml"))
    assert [problem.kind for problem in outcome.problems] == ["wrong_nesting"]
    pair = outcome.pair
    assert pair.target.text == "中国银行&中国"
    assert {m.id: (m.start, m.end) for m in pair.target.entities} == {
        "e0": (0, 4),
        "e1": (0, 2),
        "e2": (5, 7),
    }
    assert (pair.provenance["variant"], pair.provenance["rungs"]) == ("xml", {"tag": 3})
    assert is_verbatim(pair)  # what a tag encloses stands in the sentence


def test_an_unknown_variant_is_a_mistake_of_the_caller(mark):
    with pytest.raises(UsageError, match="there are: joint, xml"):
        asyncio.run(translate(mark("[Ada|e0:P]"), "zh", [], variant="yaml"))
