"""What the page asks of the server, what it shows of the answer, and what it says when there is none."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from kcx_jax.schema import load_schema

from .conftest import Canned, answer, result, run

ADA = {"entities": [("Person", 0, 3, 0.97)], "answers": {"ner": '[Person("Ada")]'}}
SCHEMAS = [
    {"name": "people", "code": "class Person(Entity): pass", "labels": ["Person"], "tasks": ["ner"]},
    {"name": "work", "code": "class Job(Relation): pass", "labels": ["Job"], "tasks": ["ner", "re"]},
]


def test_a_schema_by_name_is_the_default_where_the_server_has_one(opened, site: Canned):
    site.schemas = (200, {}, {"schemas": SCHEMAS})
    site.says(**ADA)
    page = opened()
    run(page, "Ada")
    assert site.asked[-1] == {"text": "Ada", "schema_name": "people", "tasks": None, "ground": "strict"}
    page.select_option("#schema-name", "work")
    assert page.is_disabled("[name=task][value=eae]")
    page.uncheck("[name=task][value=ner]")
    page.check("#loose")
    run(page)
    assert site.asked[-1] == {"text": "Ada", "schema_name": "work", "tasks": ["re"], "ground": "ladder"}
    page.click("summary")
    page.click("#edit")
    assert page.evaluate("document.activeElement.id") == "code"
    assert page.input_value("#code") == SCHEMAS[1]["code"]


def test_labels_are_separated_by_the_commas_of_any_script(opened, site: Canned):
    page = opened()
    page.fill("#labels", " person,,人物、地点，شخص، city ")
    run(page, "x")
    assert site.asked[-1]["labels"] == ["person", "人物", "地点", "شخص", "city"]
    assert "Nothing of this schema was found" in page.inner_text("#found")


def test_classes_are_sent_as_they_are_written(opened, site: Canned):
    page = opened()
    page.check("[name=mode][value=code]")
    page.fill("#code", "class Ж(Entity):\n    '''\"'''\n")
    page.uncheck("[name=task][value=eae]")
    run(page, "x")
    assert site.asked[-1]["schema"] == "class Ж(Entity):\n    '''\"'''\n"
    assert site.asked[-1]["tasks"] == ["ner", "re"]


def test_every_example_has_a_schema_that_can_be_read(opened, site: Canned):
    page = opened()
    buttons = page.locator(".examples button")
    assert buttons.count() >= 5
    for number in range(buttons.count()):
        buttons.nth(number).click()
        run(page)
        asked = site.asked[-1]
        schema = load_schema(asked["labels"]) if "labels" in asked else None
        assert asked["text"]
        assert schema is None or [concept.label for concept in schema.entities] == asked["labels"]
    sent = {tuple(each.get("labels", ())) for each in site.asked}
    assert len(sent) == buttons.count()


def test_an_example_does_not_lose_what_a_person_wrote(opened, site: Canned):
    page = opened()
    page.focus("#text")
    page.keyboard.type("my own words")
    page.click(".examples button >> nth=1")
    assert page.input_value("#text") != "my own words"
    page.focus("#text")
    page.keyboard.press("Control+z")
    assert page.input_value("#text") == "my own words"


def test_answer_timing_confidence_and_problems_are_shown(opened, site: Canned):
    site.says(
        entities=[("Person", 0, 3, 0.97), ("City", 7, 11)],
        problems=[("ner", "unresolved", 'Person "Bob"'), ("re", "new_kind", "of tomorrow", [0, 11])],
        answers={"ner": '[\n  Person("Ada"),\n]'},
        loose=[{"task": "ner", "type": "City", "start": 7, "end": 11, "rung": "case"}],
    )
    page = opened()
    run(page, "Ada in OSLO")
    status = page.inner_text("#status")
    assert status == "2 entities, 0 relations, 0 events in 1.23 s (0.05 s queued) by scripted"
    ada, oslo = page.locator(".item").all_inner_texts()
    assert "0.97" in ada
    assert "–" in oslo
    assert page.inner_text("pre[aria-label='The answer for entities']") == 'results = [\n  Person("Ada"),\n]'
    assert page.locator(".problems li").all_inner_texts() == [
        'no place in the text (entities) Person "Bob"',
        "new_kind (relations) of tomorrow (of the text's characters 0 to 11)",
        "taken as the text has it (other case) (entities) City: OSLO",
    ]


def test_copy_gives_the_answer_of_the_server(opened, site: Canned):
    said = answer(result("Ada 🎉", entities=[("Person", 0, 3, 0.97)]))
    site.reply = lambda *_: (200, {}, said)
    page = opened(permissions=["clipboard-read"])
    run(page, "Ada 🎉")
    page.click("#copy")
    assert page.inner_text("#status").endswith("by scripted. Copied.")
    assert json.loads(page.evaluate("navigator.clipboard.readText()")) == said


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (400, {}, "The server cannot use this request"),
        (413, {}, "This is too much for the server"),
        (429, {"Retry_After": "7"}, "Try again in 7 s."),
        (503, {}, "The server is not ready"),
        (504, {}, "It took too long"),
        (500, {}, "The server failed"),
        (418, {}, "The server refused the request"),
    ],
)
def test_errors_are_said_in_words_and_focus_stays(opened, site: Canned, status, headers, words):
    site.fails(status, "line 3: class Perso has no base", **headers)
    page = opened()
    page.fill("#text", "Ada")
    page.focus("#run")
    page.keyboard.press("Enter")
    page.wait_for_selector("#error:visible")
    said = page.inner_text("#error")
    assert words in said
    assert "line 3: class Perso has no base" in said
    assert page.evaluate("document.activeElement.id") == "run"
    assert page.get_attribute("#error", "role") == "alert"
    site.says(**ADA)
    run(page)
    assert page.is_hidden("#error")


def test_retry_after_may_be_a_date(opened, site: Canned):
    when = datetime.now(UTC) + timedelta(hours=1)
    site.fails(429, "busy", Retry_After=format_datetime(when, usegmt=True))
    page = opened()
    run(page, "Ada")
    seconds = int(page.inner_text("#error").split("Try again in ")[1].split(" s.")[0])
    assert 3000 < seconds <= 3600


def test_the_field_that_is_wrong_says_so(opened, site: Canned):
    site.fails(400, "class Perso has no base", param="schema")
    page = opened()
    for mode in ("code", "labels"):
        page.check(f"[name=mode][value={mode}]")
        run(page, "Ada")
        assert page.eval_on_selector_all("[aria-invalid]", "all => all.map((each) => each.id)") == [mode]
        assert page.get_attribute(f"#{mode}", "aria-errormessage") == "error"


@pytest.mark.parametrize(
    "body", ["<html>no gateway</html>", "", "[]", '{"error": 3}', '{"error": {"message": 3}}']
)
def test_an_error_of_something_else_is_said_too(opened, site: Canned, body):
    site.reply = lambda *_: (502, {}, body)
    page = opened()
    run(page, "Ada")
    assert "The server failed" in page.inner_text("#error")
    site.reply = lambda *_: (200, {}, body)
    run(page)
    assert page.is_visible("#error")


def test_what_cannot_be_sent_is_said_before(opened, site: Canned):
    page = opened()
    run(page)
    assert "There is no text yet" in page.inner_text("#error")
    assert page.get_attribute("#text", "aria-invalid") == "true"
    page.fill("#text", "Ada")
    page.fill("#labels", " , ")
    run(page)
    assert "There is no label yet" in page.inner_text("#error")
    page.fill("#labels", "person")
    page.uncheck("[name=task][value=ner]")
    run(page)
    assert "Nothing is looked for" in page.inner_text("#error")
    assert not site.asked


def test_an_api_key_is_asked_for_when_the_server_does_and_kept_nowhere(opened, site: Canned):
    def reply(body, headers):
        if headers.get("authorization") != "Bearer sesame-1":
            return 401, {}, {"error": {"message": "no key", "type": "t", "param": None, "code": None}}
        return 200, {}, answer(result(body["text"], **ADA))

    site.reply = reply
    page = opened()
    assert page.is_hidden("#key-field")
    run(page, "Ada")
    assert "asks for an API key" in page.inner_text("#error")
    page.fill("#key", "wrong")
    run(page)
    assert "refused this API key" in page.inner_text("#error")
    page.fill("#key", " sesame-1 ")
    run(page)
    assert page.inner_text("mark") == "Ada"
    kept = page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
    )
    assert kept == json.dumps([{}, {}, "", page.url], separators=(",", ":"))


def test_a_server_that_keeps_its_schemas_behind_a_key(opened, site: Canned):
    site.schemas = (401, {}, {"error": {"message": "no key", "type": "t", "param": None, "code": None}})
    page = opened()
    page.wait_for_selector("#key-field:visible")
    site.schemas = (200, {}, {"schemas": SCHEMAS})
    page.fill("#key", "one")
    with page.expect_response("**/v1/schemas"):
        page.keyboard.press("Tab")
    page.wait_for_selector("#schema-name:visible")
    assert page.is_hidden("#error")
