"""The page at the real application, whose engine alone is a script."""

import threading

import pytest

from kcx_jax.schema import load_schema

from ..stand_in import StandIn
from .conftest import run
from .test_spans import LIT

CLASSES = '''class Person(Entity):
    """A human being."""
class City(Entity):
    """A city."""
class LivesIn(Relation):
    head: Person
    tail: City
class Move(Event):
    mover: Person
    goal: City
'''
TEXT = "🎉 陈静 left Oslo, the Oslo of 1990, for Pokhara (पोखरा)."
ANSWERS = {
    "ner": ' [Person("陈静"), City("Oslo"), City("Oslo"), City("पोखरा"), Person("Nobody")]',
    "re": ' [LivesIn(Person("陈静"), City("पोखरा"))]',
    "eae": ' [Move("left", mover=[Person("陈静")], goal=[City("Pokhara")])]',
}


def by_task(wanted) -> str:
    """What the script writes for the task that is asked for."""
    return ANSWERS[wanted.constraint.task]


def places(*words: str) -> list[list[int]]:
    """Where the first of each word stands, in Python's offsets."""
    return [[TEXT.index(word), TEXT.index(word) + len(word)] for word in words]


@pytest.mark.parametrize("mode", ["name", "code"])
def test_what_a_model_answers_is_shown_where_it_stands(opened, serving, mode):
    server = serving(StandIn(by_task), schemas={"moves": load_schema(CLASSES)})
    page = opened(at=server.url)
    page.wait_for_selector("#schema-name:visible")
    if mode == "code":
        page.click("summary")
        page.click("#edit")
        assert "class LivesIn(Relation)" in page.input_value("#code")
    run(page, TEXT)
    second = TEXT.index("Oslo", TEXT.index("Oslo") + 1)
    person, oslo, nepal, pokhara, left = places("陈静", "Oslo", "पोखरा", "Pokhara", "left")
    lit = [
        [person],
        [oslo],
        [[second, second + 4]],
        [pokhara],
        [nepal],
        [person, nepal],
        [left],
        [person],
        [pokhara],
    ]
    assert page.evaluate(LIT) == lit
    assert page.locator(".problems li").all_inner_texts()[0].startswith("no place in the text (entities) ")
    assert "Nobody" in page.inner_text(".problems")
    assert page.locator("pre[aria-label]").all_inner_texts()[-3:] == [
        f"results ={answer}" for answer in ANSWERS.values()
    ]
    assert " queued) by tiny" in page.inner_text("#status")


def test_labels_in_any_language(opened, serving):
    page = opened(at=serving(StandIn(lambda wanted: ' [Person("陈静")]')).url)
    page.fill("#labels", "人物、城市")
    run(page, TEXT)
    assert page.get_attribute("mark", "data-label") == "人物"
    assert page.evaluate(LIT) == [places("陈静")]


def test_classes_that_cannot_be_read_are_said_and_marked(opened, serving):
    page = opened(at=serving().url)
    page.check("[name=mode][value=code]")
    page.fill("#code", "class Person(Entity):\n    head = open('x')\n")
    run(page, "Ada")
    assert "The server cannot use this request" in page.inner_text("#error")
    assert page.get_attribute("#code", "aria-invalid") == "true"


def test_a_key_is_asked_for_and_used(opened, serving):
    server = serving(StandIn(by_task), schemas={"moves": load_schema(CLASSES)}, api_key="sésame ключ")
    page = opened(at=server.url)
    page.wait_for_selector("#key-field:visible")
    page.fill("#key", "sésame ключ")
    page.keyboard.press("Tab")
    page.wait_for_selector("#schema-name:visible")
    run(page, TEXT)
    assert page.inner_text("mark >> nth=0") == "陈静"


def test_a_request_that_is_cancelled_leaves_the_engine(opened, serving):
    engine = StandIn(lambda wanted: ' [Person("Ada")]', held=True)
    page = opened(at=serving(engine).url)
    page.fill("#text", "Ada")
    page.fill("#labels", "person")
    for cancel in (lambda: page.keyboard.press("Escape"), lambda: page.click("#cancel")):
        page.press("#run", "Enter")
        engine.until(lambda each: each.waiting == 1)
        assert page.get_attribute("#run", "aria-disabled") == "true"
        page.press("#run", "Enter")  # one at a time: this one is not sent
        cancel()
        engine.until(lambda each: each.waiting == 0)
        page.wait_for_selector("#result[aria-busy=false]")
        assert page.inner_text("#status") == "Cancelled."
        assert page.is_hidden("#error")
        assert page.evaluate("document.activeElement.id") == "run"
    engine.let_go()
    run(page)
    assert page.inner_text("mark") == "Ada"
    assert len(engine.asked) == 3


def test_a_server_that_is_gone_is_said(opened, serving):
    server = serving()
    page = opened(at=server.url)
    server.end()
    server.join()
    run(page, "Ada")
    assert "The server cannot be reached" in page.inner_text("#error")
    assert server.url in page.inner_text("#error")


def test_a_full_server_says_when_to_come_again(opened, serving):
    engine = StandIn(held=True)
    server = serving(engine, queue=1)
    page = opened(at=server.url)
    body = {"text": "Ada", "labels": ["person"]}
    other = threading.Thread(target=server.post, args=("/v1/extract", body))
    other.start()
    engine.until(lambda each: each.waiting == 1)
    run(page, "Ada")
    assert "The server is busy" in page.inner_text("#error")
    assert "Try again in 1 s." in page.inner_text("#error")
    engine.let_go()
    other.join()
    run(page)
    assert page.is_hidden("#error")


def test_a_text_that_is_too_large_is_said(opened, serving):
    page = opened(at=serving(max_body=1000).url)
    run(page, "a" * 1001)
    assert "This is too much for the server" in page.inner_text("#error")
