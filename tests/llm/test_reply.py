"""Reading a raw body: every shape ends as a reply or as a named fault, and never otherwise."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcx_jax.llm.reply import BodyFault, Usage, read_body


def _body(**changes) -> bytes:
    message = {"role": "assistant", "content": "hello"} | changes.pop("message", {})
    choice = {"message": message, "finish_reason": "stop"} | changes.pop("choice", {})
    return json.dumps(
        {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 2}} | changes
    ).encode()


def test_a_good_body():
    reply = read_body(_body(), attempts=2, cached=True)
    assert (reply.text, reply.finish_reason, reply.usage) == ("hello", "stop", Usage(7, 2))
    assert (reply.attempts, reply.cached) == (2, True)


@pytest.mark.parametrize(
    ("body", "fault", "final"),
    [
        (b"<html>busy</html>", "bad_body", False),
        (_body()[:-5], "bad_body", False),
        (b"[]", "bad_body", False),
        (b"\xff\xfe\xfa", "bad_body", False),
        (b"[" * 100_000, "bad_body", False),
        (_body(error={"message": "overloaded"}), "error_body", False),
        (_body(choices=[]), "empty_choices", False),
        (_body(choices=None), "empty_choices", False),
        (_body(message={"content": None}), "no_content", False),
        (_body(message={"content": ""}), "no_content", False),
        (_body(choice={"message": None}), "no_content", False),
        (_body(message={"refusal": "I cannot"}), "refusal", True),
        (_body(choice={"finish_reason": "content_filter"}), "content_filter", True),
    ],
)
def test_a_bad_body_has_a_name(body, fault, final):
    with pytest.raises(BodyFault) as caught:
        read_body(body)
    assert (caught.value.error_class, caught.value.final) == (fault, final)


@pytest.mark.parametrize(
    "usage", [None, [], {"prompt_tokens": -1}, {"prompt_tokens": "7"}, {"prompt_tokens": 10**30}]
)
def test_unknown_usage_is_unknown_and_not_zero(usage):
    assert read_body(_body(usage=usage)).usage.input_tokens is None


def test_a_cut_reply_says_so():
    assert read_body(_body(choice={"finish_reason": "length"})).finish_reason == "length"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(_json, st.sampled_from(["choices", "usage", "error", "message", "finish_reason"]))
def test_any_json_in_any_place_ends_as_reply_or_fault(value, place):
    changes = {place: value} if place in ("choices", "usage", "error") else {"choice": {place: value}}
    try:
        reply = read_body(_body(**changes))
    except BodyFault:
        return
    assert reply.text
    assert reply.finish_reason.isascii()
