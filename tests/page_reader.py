"""A page as a parser reads it, and what holds for every page that this project writes with a script in it."""

import base64
import hashlib
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input", "wbr"}


class Page(HTMLParser):
    """Elements with attributes, the text of the whole and of each section's rows, and the contents of scripts."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.open: list[tuple[str, dict]] = []
        self.rows: dict[str, list[list[str]]] = {}
        self.text = self.scripts = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.elements.append((tag, found))
        if tag == "tr":
            self.rows.setdefault(self._section(), []).append([])
        if tag in ("td", "th"):
            self.rows[self._section()][-1].append("")
        if tag not in VOID:
            self.open.append((tag, found))

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        inside = [tag for tag, _ in self.open]
        if "script" in inside:
            self.scripts += data
        elif "style" not in inside:
            self.text += data
            if "td" in inside or "th" in inside:
                self.rows[self._section()][-1][-1] += data

    def _section(self) -> str:
        return next((found["id"] for tag, found in self.open if tag == "section"), "")

    def all(self, tag: str, **attributes: str) -> list[dict]:
        return [found for name, found in self.elements if name == tag and attributes.items() <= found.items()]


def assert_nothing_is_loaded_and_only_our_script_may_run(page: Page) -> None:
    for tag, attributes in page.elements:
        assert tag not in {"img", "iframe", "object", "embed", "base", "audio", "video"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in {"src", "href", "xlink:href", "action", "data", "poster"}:
                assert value.startswith("#") or value == "data:,"
    assert len(page.all("script")) == 1
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    digest = base64.b64encode(hashlib.sha256(page.scripts.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy["content"]
    assert "default-src 'none'" in policy["content"]
