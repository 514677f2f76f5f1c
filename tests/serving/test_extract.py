"""/v1/extract: the extractor's own results, and one sentence for whoever asks wrongly."""

import re
import threading
from dataclasses import asdict

import pytest

from kcx_jax.decoding.live import Wanted
from kcx_jax.extraction import Extractor
from kcx_jax.extraction.answers import Figures
from kcx_jax.extraction.local import answer_of, room_of
from kcx_jax.extraction.windows import Window
from kcx_jax.prompts import sentence_context
from kcx_jax.schema import load_schema

from .stand_in import TOKENIZER, StandIn

SOURCE = """
class Person(Entity):
    pass
class City(Entity):
    pass
class BirthPlace(Relation):
    head: Person
    tail: City
class Meeting(Event):
    who: list[Person]
"""
TEXT = 'Ada met "Bob"; 😀 Ada was born in 碎叶城.'
LONG = " ".join(f"{TEXT} Line {number}." for number in range(900))
REPLIES = {
    "NER": ' [Person("Ada"), City("碎叶城"), City("Paris")]',
    "RE": ' [BirthPlace(Person("Ada"), City("碎叶城"))]',
    "EAE": ' [Meeting("met", who=[Person("Ada"), Person("Bob")])]',
    "ED": ' [Meeting("met")]',
}


def reply(wanted) -> str:
    """The answer to a task; every seventh window says nothing."""
    task = wanted.prefix.splitlines()[-1][2:].partition(":")[0]
    return " []" if len(wanted.sentence) % 7 == 0 else REPLIES[task]


class Source:
    """The stand-in as an `AnswerSource`."""

    figures = Figures()

    def __init__(self, engine: StandIn, limit: int):
        self.engine, self.room = engine, room_of(engine.generator.model, limit)

    def stream(self, asks):
        for ask in asks:
            wanted = Wanted(ask.question.prefix, sentence_context(ask.text), sentence=ask.text)
            yield answer_of(self.engine.submit(wanted).future.result(), TOKENIZER)


@pytest.mark.parametrize("tasks", [None, ["ner"], ["ed", "re"]])
@pytest.mark.parametrize("ground", ["strict", "ladder"])
def test_the_results_are_the_extractors(serving, tasks, ground):
    texts = [TEXT, LONG, "", "It rained."]
    found = serving(StandIn(reply)).post(
        "/v1/extract",
        {"text": texts, "schema": SOURCE, "ground": ground} | ({"tasks": tasks} if tasks else {}),
    )
    assert found.status_code == 200, found.text
    body = found.json()
    extractor = Extractor(Source(StandIn(reply), 256))
    expected = list(extractor.extract(texts, load_schema(SOURCE), tasks, ground))
    assert len(body["results"]) == len(texts)
    for result, ours in zip(body["results"], expected, strict=True):
        assert result["text"] == ours.text
        for kind in ("entities", "relations", "events"):
            assert result[kind] == [listed(asdict(each)) for each in getattr(ours, kind)]
        assert result["record"] == ours.record.to_json()
        assert result["answers"] == ours.answers
        assert [each["detail"] for each in result["problems"]] == [each.detail for each in ours.problems]
        for entity in result["entities"]:
            assert result["text"][entity["start"] : entity["end"]] == entity["text"]
    assert sum(len(result["entities"] + result["events"]) for result in body["results"]) > 2
    assert 0 <= body["queued_seconds"] <= body["seconds"]
    assert body["model"] == "tiny"


def listed(value):
    """Tuples as JSON has them."""
    if isinstance(value, dict):
        return {key: listed(each) for key, each in value.items()}
    return [listed(each) for each in value] if isinstance(value, list | tuple) else value


def test_windows_are_asked_about_a_few_at_a_time_and_held_to_the_constraint(serving):
    engine = StandIn(reply)
    serving(engine).post("/v1/extract", {"text": LONG, "labels": ["person"]})
    asked = [wanted for wanted, _, _ in engine.asked]
    assert len(asked) > 5
    assert all(len(wanted.sentence) <= Window().size for wanted in asked)
    assert {(wanted.constraint.task, wanted.constraint.level) for wanted in asked} == {("ner", "schema+span")}
    assert all(wanted.context == sentence_context(wanted.sentence) for wanted in asked)


def test_a_schema_by_name_and_its_listing(serving):
    running = serving(StandIn(reply), schemas={"news": load_schema(SOURCE)}, constraint="off")
    (entry,) = running.client.get("/v1/schemas").json()["schemas"]
    assert entry["name"] == "news"
    assert entry["labels"] == ["Person", "City", "BirthPlace", "Meeting"]
    assert entry["tasks"] == ["ner", "re", "ed", "eae"]
    assert load_schema(entry["code"]) == load_schema(SOURCE)
    found = running.post("/v1/extract", {"text": TEXT, "schema_name": "news"})
    assert [each["label"] for each in found.json()["results"][0]["relations"]] == ["BirthPlace"]
    assert all(wanted.constraint is None for wanted, _, _ in running.engine.asked)
    missing = running.post("/v1/extract", {"text": TEXT, "schema_name": "sport"})
    assert missing.status_code == 404
    assert "known: news" in missing.json()["error"]["message"]


def test_the_labels_in_a_result_are_the_callers(serving):
    running = serving(StandIn(lambda wanted: ' [RenWu("Ada")]'))
    found = running.post("/v1/extract", {"text": TEXT, "labels": ["个人物件"]}).json()
    assert found["results"][0]["problems"], "the stand-in does not know the class's name"
    name = found["results"][0]["record"]["meta"]
    assert name
    code = running.engine.asked[0][0].prefix
    (line,) = [line for line in code.splitlines() if line.startswith("class ")]
    named = line[6:].partition("(")[0]
    again = serving(StandIn(lambda wanted: f' [{named}("Ada")]'))
    found = again.post("/v1/extract", {"text": TEXT, "schema": {"个人物件": None}}).json()
    assert {each["label"] for each in found["results"][0]["entities"]} == {"个人物件"}


@pytest.mark.parametrize(
    ("body", "status", "param", "said"),
    [
        ({"text": TEXT}, 400, None, "say what to find by one of schema, labels and schema_name"),
        ({"text": TEXT, "labels": ["a"], "schema": {"b": None}}, 400, None, "say what to find by one of"),
        ({"labels": ["a"]}, 400, "text", "Field required"),
        ({"text": [], "labels": ["a"]}, 400, "text", "at least 1 item"),
        ({"text": 3, "labels": ["a"]}, 400, "text", "valid string"),
        ({"text": TEXT, "labels": ["a"], "window": 9}, 400, "window", "window is no parameter"),
        ({"text": TEXT, "labels": ["a"], "tasks": ["mt"]}, 400, "tasks", "'ner', 're', 'ed' or 'eae'"),
        ({"text": TEXT, "labels": ["a"], "tasks": ["re"]}, 400, "schema", "needs relation classes"),
        ({"text": TEXT, "schema": "/etc/passwd"}, 400, "schema", "not Python|only imports and classes"),
        ({"text": TEXT, "labels": ["a", "a"]}, 400, "schema", "listed twice"),
        ({"text": TEXT, "labels": ["a"], "ground": "loose"}, 400, "ground", "'strict' or 'ladder'"),
        ("text", 400, None, "body"),
        ([], 400, None, "body"),
    ],
)
def test_wrong_requests_are_told_what_is_wrong(serving, body, status, param, said):
    found = serving().post("/v1/extract", body)
    error = found.json()["error"]
    assert found.status_code == status
    assert error["param"] is None if param is None else error["param"].startswith(param)
    assert re.search(said, error["message"])
    assert set(error) == {"message", "type", "param", "code"}


def test_a_partial_failure_is_the_requests_and_the_rest_is_cancelled(serving):
    engine = StandIn(held=True)
    running = serving(engine)
    answers = []
    asking = threading.Thread(
        target=lambda: answers.append(running.post("/v1/extract", {"text": [TEXT, LONG], "schema": SOURCE}))
    )
    asking.start()
    engine.until(lambda it: it.waiting >= 16)
    engine.asked[3][2].future.set_exception(RuntimeError("secret Ada"))
    asking.join(60)
    assert answers[0].status_code == 500
    assert "Ada" not in answers[0].text
    engine.until(lambda it: it.waiting == 0)
    assert len(engine.asked) < 60, "nothing more is asked"


def test_the_body_has_to_be_json_and_say_so(serving):
    client = serving().client
    for headers in (
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ):
        found = client.post("/v1/extract", content=b'{"text": "a", "labels": ["b"]}', headers=headers)
        assert found.status_code == 415
    found = client.post(
        "/v1/extract",
        content='{"text": "李白", "labels": ["b"]}'.encode(),
        headers={"Content-Type": "application/json; charset=utf-8"},
    )
    assert found.status_code == 200
    assert found.json()["results"][0]["text"] == "李白"
