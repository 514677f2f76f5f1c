"""Settled translations: read with clear errors, asked for, and kept."""

import asyncio
import json

import pytest

from kcx_jax.errors import UsageError
from kcx_jax.llm import Reply, ReplyError, Usage
from kcx_jax.parallel import Settings
from kcx_jax.parallel.translation.glossary import pinned, read_glossary
from kcx_jax.parallel.translation.pipeline import translate
from kcx_jax.parallel.translation.spans import source_spans

WANTED = {"zh": {"London": "伦敦", "Zürich": "苏黎世"}, "de": {"London": "London"}}


class Says:
    """A client that says the given values one after another, and keeps what it was asked."""

    model, thinks = "says", False

    def __init__(self, *values):
        self._values, self.asked = iter(values), []

    async def complete(self, messages, json_schema=None, *, max_tokens, stage, record):
        self.asked.append(json.loads(messages[-1]["content"]))
        value = next(self._values, None)
        if value is None:
            raise ReplyError("empty_choices", "nothing more")
        return Reply(json.dumps(value), "stop", Usage())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("g.json", json.dumps(WANTED)),
        ("g.yaml", "zh:\n  London: 伦敦\n  Zürich: 苏黎世\nde: {London: London}\n"),
        ("g.tsv", "\ufeffzh\tLondon\t伦敦\r\n\nzh\tZürich\t苏黎世\nde\tLondon\tLondon\n"),
    ],
)
def test_all_forms_say_the_same(tmp_path, name, text):
    (tmp_path / name).write_bytes(text.encode())
    assert read_glossary(tmp_path / name) == WANTED


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("g.txt", "", "is a .json, .yaml or .tsv file"),
        ("g.json", "[]", "must be a mapping"),
        ("g.json", '{"zh": ["London"]}', "g.json: zh: must be a mapping"),
        ("g.json", '{"zh": {"London": 7}}', "'London': 7 must be a text"),
        ("g.json", '{"zh": {"London": " "}}', "must be a text"),
        ("g.json", '{"zh": {"London": "\\ud800"}}', "must be a text"),
        ("g.json", '{"zh": {"a": "b", "a": "c"}}', "written twice"),
        ("g.json", "[" * 100_000, "nested too deeply"),
        ("g.yaml", "zh:\n  - London", "must be a mapping"),
        ("g.tsv", "zh\tLondon\n", "g.tsv:1: has 2 columns"),
        ("g.tsv", "zh\t\u00e9\tb\nzh\te\u0301\tc\n", "g.tsv:2: .* has a translation into 'zh' already"),
        ("g.tsv", "zh\ta\tb\n\nzh\ta\tc\n", "g.tsv:3: 'a' has a translation into 'zh' already"),
    ],
)
def test_a_damaged_glossary_is_one_message(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=message):
        read_glossary(tmp_path / name)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match="cannot read the glossary"):
        read_glossary(tmp_path / "none.json")
    (tmp_path / "g.json").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="cannot read the glossary"):
        read_glossary(tmp_path / "g.json")


def test_spans_are_settled_in_any_normal_form_of_one_language(mark):
    spans = source_spans(mark("[Zu\u0308rich|e0:City] and [Paris|e1:City]"))
    assert pinned(WANTED, "zh", spans) == {"s0": "苏黎世"}
    assert pinned(WANTED, "fr", spans) == {}


def test_a_glossary_is_brought_to_nfc_once_and_not_walked_for_each_record(mark, tmp_path):
    class Opaque(dict):
        def __iter__(self):
            raise AssertionError("the whole glossary was read")

        items = keys = values = __iter__

    spans = source_spans(mark("[Z\u00fcrich|e0:City]"))
    decomposed = {"zh": {"Zu\u0308rich": "苏黎世"}}
    (tmp_path / "g.json").write_text(json.dumps(decomposed))
    for glossary in (Settings(glossary=decomposed).glossary, read_glossary(tmp_path / "g.json")):
        assert pinned({"zh": Opaque(glossary["zh"])}, "zh", spans) == {"s0": "苏黎世"}


def _reply(sentence, *texts):
    return {"sentence": sentence, "spans": [{"id": f"s{i}", "text": text} for i, text in enumerate(texts)]}


def test_another_wording_is_refused_and_asked_for_again(mark):
    client = Says(_reply("艾达在倫敦。", "艾达", "倫敦"), _reply("艾达在伦敦。", "艾达", "伦敦"))
    record = mark("[Ada|e0:Person] was in [London|e1:City].")
    outcome = asyncio.run(translate(record, "zh", [client], glossary=WANTED))
    assert [problem.kind for problem in outcome.problems] == ["glossary"]
    assert [m.text for m in outcome.pair.target.entities] == ["艾达", "伦敦"]
    assert outcome.pair.provenance["glossary"] == {"London": "伦敦"}
    assert [span.get("settled") for span in client.asked[0]["spans"]] == [None, "伦敦"]


def test_a_settled_span_that_is_missing_changes_the_sentence_and_not_itself(mark):
    client = Says(_reply("艾达在那里。", "艾达", "伦敦"), {"sentence": "艾达在那里，伦敦。"})
    record = mark("[Ada|e0:Person] was in [London|e1:City].")
    outcome = asyncio.run(translate(record, "zh", [client], glossary=WANTED))
    assert [asked["stage"] for asked in client.asked] == ["translate", "rewrite_sentence"]
    assert outcome.pair.target.text == "艾达在那里，伦敦。"


def test_a_looser_form_of_a_settled_wording_is_another_wording(mark):
    record = mark("Ada was in [London|e0:City].")
    replies = [_reply("Ada war in LONDON.", "London"), {"sentence": "Ada war in LONDON."}]
    assert asyncio.run(translate(record, "de", [Says(*replies)])).pair is not None
    replies.append({"sentence": "Ada war in LONDON."})
    assert asyncio.run(translate(record, "de", [Says(*replies)], glossary=WANTED)).pair is None
