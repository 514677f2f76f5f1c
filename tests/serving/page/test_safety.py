"""Texts, labels, answers and errors are strangers' words: none of them becomes HTML, a script or a request."""

import re
from importlib.resources import files

import pytest

from .conftest import Canned, run

ATTACKS = [
    "<img src=x onerror='window.hit=1'>",
    "<script>window.hit=1</script>",
    '"><svg onload=window.hit=1>',
    "javascript:window.hit=1",
    "</p></mark></script><iframe srcdoc='<script>parent.hit=1</script>'>",
    "{{constructor.constructor('window.hit=1')()}}",
    "\u202e<b>\u2066",
]
WATCH = """
window.hit = 0;
window.broken = [];
addEventListener("securitypolicyviolation", (event) => window.broken.push(event.violatedDirective));
"""


def counts(page) -> dict[str, int]:
    """How many elements of each kind the page has that could do something."""
    return {
        name: page.locator(name).count()
        for name in ("script", "img", "svg", "iframe", "b", "style", "link", "a")
    }


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_stay_words(opened, site: Canned, attack):
    schema = {"name": attack, "code": attack, "labels": [attack], "tasks": ["ner", "re", "eae", attack]}
    site.schemas = (200, {}, {"schemas": [schema]})
    size = len(attack)
    site.says(
        entities=[(attack, 0, size, 0.5)],
        relations=[(attack, (attack, 0, size), (attack, 0, size), 0.5)],
        events=[((attack, 0, size, None), [(attack, None, 0, size)])],
        problems=[(attack, attack, attack)],
        answers={attack: attack},
        loose=[{"task": attack, "type": attack, "start": 0, "end": size, "rung": attack}],
    )
    page = opened()
    page.evaluate(WATCH)
    before = counts(page)
    run(page, attack)
    found = page.evaluate("document.querySelector('#found').textContent")
    assert found.count(attack) >= 10
    assert counts(page) == before | {"b": before["b"] + 2}  # of the problems, which the page itself makes
    site.fails(400, attack, param=attack)
    run(page)
    assert attack in page.evaluate("document.querySelector('#error').textContent")
    assert counts(page) == before
    assert page.evaluate("[window.hit, window.broken]") == [0, []]


def test_the_policy_holds_even_if_a_line_of_the_page_forgot(opened, site: Canned):
    """What the page's own policy refuses, so that the tests above do not hang on its code alone."""
    page = opened()
    page.evaluate(WATCH)
    refused = page.evaluate(
        """() => {
          const tries = [
            () => (document.body.innerHTML = "<b>x</b>"),
            () => document.write("x"),
            () => (document.createElement("script").text = "window.hit = 1"),
          ];
          return tries.map((attempt) => { try { attempt(); return false; } catch { return true; } });
        }"""
    )
    assert refused == [True, True, True]
    page.evaluate("document.body.append(Object.assign(document.createElement('button'), {id: 'inline'}))")
    page.evaluate("document.getElementById('inline').setAttribute('style', 'position: fixed')")
    assert page.evaluate("getComputedStyle(document.getElementById('inline')).position") == "static"
    assert page.evaluate("fetch('http://127.0.0.2:9/').then(() => 'sent', () => 'refused')") == "refused"
    assert page.evaluate("window.hit") == 0
    assert len(opened.broken) >= 3
    opened.broken.clear()


def test_the_page_asks_its_own_server_alone(opened, site: Canned):
    asked = []
    page = opened()
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    site.says(entities=[("Person", 0, 3, 0.5)])
    run(page, "Ada")
    assert len(asked) >= 4
    assert all(url.startswith((page.url, "data:image/svg+xml,")) for url in asked)


def test_nothing_in_the_files_needs_more_than_the_policy():
    folder = files("kcx_jax") / "serving" / "page"
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert not re.search(
        r"<style|\sstyle=|\son\w+=|javascript:|<script(?! type=\"module\" src=\"/page/)", page
    )
    scripts = [file for file in folder.iterdir() if file.name.endswith(".js")]
    assert len(scripts) >= 5
    for script in scripts:
        forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|localStorage|https?:"
        assert not re.search(forbidden, script.read_text(encoding="utf-8")), script.name
