"""A reply is refused by the rule it breaks."""

import json

import pytest

from kcx_jax.parallel.translation.checks import (
    Draft,
    read_sentence,
    read_spans,
    read_tagged,
    read_translation,
)
from kcx_jax.parallel.translation.refusal import Refusal

SOURCE = "Ada was born in London."
GOOD = {"sentence": "艾达出生于伦敦。", "spans": [{"id": "s0", "text": "艾达"}, {"id": "s1", "text": "伦敦"}]}


def _read(value, source=SOURCE, ids=("s0", "s1")) -> Draft:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return read_translation(text, source, ids)


def _spans(*items) -> dict:
    return {**GOOD, "spans": [{"id": name, "text": text} for name, text in items]}


def test_a_good_reply_in_whatever_order_fenced_or_padded():
    expected = Draft(GOOD["sentence"], {"s0": "艾达", "s1": "伦敦"})
    assert _read(GOOD) == expected
    assert _read(_spans(("s1", "伦敦 "), ("s0", " 艾达"))) == expected
    assert _read(f"```json\n{json.dumps(GOOD)}\n```\n") == expected
    assert _read(f" {json.dumps(GOOD)}\n") == expected


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (json.dumps(GOOD)[:-1], "broken_json"),
        (f"Here you are: {json.dumps(GOOD)}", "broken_json"),
        (f"{json.dumps(GOOD)} Anything else?", "broken_json"),
        ('{"sentence": "一", "sentence": "二", "spans": []}', "broken_json"),
        ("[" * 100_000, "broken_json"),
        ("null", "wrong_keys"),
        ({"sentence": "一"}, "wrong_keys"),
        ({**GOOD, "note": "I changed the types"}, "wrong_keys"),
        ({**GOOD, "spans": {"s0": "艾达", "s1": "伦敦"}}, "wrong_keys"),
        ({**GOOD, "spans": [{"id": "s0", "text": "艾达", "type": "Dog"}]}, "wrong_keys"),
        ({**GOOD, "sentence": 7}, "wrong_keys"),
        (_spans(("s0", "艾达")), "wrong_ids"),
        (_spans(("s0", "艾达"), ("s1", "伦敦"), ("s2", "出生")), "wrong_ids"),
        (_spans(("s0", "艾达"), ("s0", "伦敦")), "wrong_ids"),
        (_spans(("s0", "艾达"), ("s1", "伦敦"), ("s0", "艾达")), "wrong_ids"),
        (_spans((0, "艾达"), (1, "伦敦")), "wrong_ids"),
        (_spans(("s0", "艾达"), ("s1", " ")), "empty"),
        ({**GOOD, "sentence": ""}, "empty"),
        (_spans(("s0", "艾\u0000达"), ("s1", "伦敦")), "control_character"),
        ({**GOOD, "sentence": "艾达\n出生于伦敦。"}, "control_character"),
        ({**GOOD, "sentence": "艾达\ufffd出生于伦敦。"}, "control_character"),
        ({**GOOD, "sentence": "艾达\u202e出生于伦敦。"}, "control_character"),
    ],
)
def test_a_bad_reply_is_refused_by_name(reply, kind):
    with pytest.raises(Refusal) as caught:
        _read(reply)
    assert caught.value.kind == kind
    assert caught.value.detail


def test_lone_surrogates_are_refused_in_span_and_sentence():
    for reply in ('{"sentence": "a \\ud800", "spans": []}', '{"sentence": "\\udc00", "spans": []}'):
        with pytest.raises(Refusal) as caught:
            _read(reply, ids=())
        assert caught.value.kind == "control_character"


def test_what_the_source_holds_the_sentence_may_hold_but_not_a_span():
    assert _read({"sentence": "一\n二", "spans": []}, "one\ntwo", ()).sentence == "一\n二"
    with pytest.raises(Refusal, match=r"U\+000A"):
        _read({"sentence": "一\n二", "spans": [{"id": "s0", "text": "一\n二"}]}, "one\ntwo", ("s0",))


def test_emoji_and_joiners_are_no_control_characters():
    text = "می‌خواهم 👩‍🚀"
    assert _read({"sentence": text, "spans": []}, "I want", ()).sentence == text


def test_stage_two_takes_exactly_the_ids_asked():
    assert read_spans('{"spans": [{"id": "s1", "text": "伦敦"}]}', ["s1"]) == {"s1": "伦敦"}
    for reply in (json.dumps(GOOD), '{"spans": []}', '{"spans": [{"id": "s0", "text": "伦敦"}]}'):
        with pytest.raises(Refusal):
            read_spans(reply, ["s1"])


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("艾达出生于伦敦。", None),
        ("那一年，艾达出生于伦敦那座城市。", None),
        ("今天天气很好，艾达和伦敦。", "wholesale_rewrite"),
        ("艾达 / 伦敦", "wholesale_rewrite"),
        ("", "empty"),
    ],
)
def test_stage_three_mends_and_does_not_replace(sentence, kind):
    before = Draft("她出生于那座城市。", {"s0": "艾达", "s1": "伦敦"})
    reply = json.dumps({"sentence": sentence})
    if kind is None:
        assert read_sentence(reply, SOURCE, before) == sentence
        return
    with pytest.raises(Refusal) as caught:
        read_sentence(reply, SOURCE, before)
    assert caught.value.kind == kind


def test_a_tag_around_nothing_or_a_control_character_is_refused():
    assert read_tagged('{"tagged": "<s0>艾达</s0>。"}', SOURCE, ["s0"]) == Draft(
        "艾达。", {"s0": "艾达"}, {"s0": (0, 2)}
    )
    for inner, kind in ((" ", "empty"), ("a\u0007", "control_character")):
        with pytest.raises(Refusal) as caught:
            read_tagged(json.dumps({"tagged": f"<s0>{inner}</s0>。"}), SOURCE, ["s0"])
        assert caught.value.kind == kind
