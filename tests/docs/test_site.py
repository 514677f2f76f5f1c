"""The docs site is built without a warning, leads nowhere that is not there, and needs no network."""

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
LOADED = {"img": "src", "script": "src", "source": "src", "iframe": "src", "link": "href"}


class Page(HTMLParser):
    """What a page names and where it leads; what it loads."""

    def __init__(self, path: Path):
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids.update(given[key] for key in ("id", "name") if given.get(key))
        if tag == "a" and given.get("href"):
            self.links.add(given["href"])
        if tag in LOADED and given.get(LOADED[tag]):
            self.loads.add(given[LOADED[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built as scripts/docs builds it; notebooks are run for it."""
    out = tmp_path_factory.mktemp("site") / "html"
    made = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(DOCS), str(out)]
    done = subprocess.run(made, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path.resolve(): Page(path) for path in site.rglob("*.html")}


@pytest.mark.slow
def test_every_link_and_anchor_is_there(site, pages):
    assert len(pages) > 30
    broken = []
    for path, page in pages.items():
        for link in page.links | page.loads:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            named = unquote(parts.fragment)
            if not target.exists() or (named and target in pages and named not in pages[target].ids):
                broken.append((path.name, link))
    assert not broken


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(site, pages):
    for path, page in pages.items():
        away = [
            load for load in page.loads if urlsplit(load).scheme not in ("", "data") or load.startswith("//")
        ]
        assert not away, path
    for style in site.rglob("*.css"):
        assert "url(http" not in style.read_text(encoding="utf-8"), style


@pytest.mark.slow
def test_each_page_of_the_sources_and_each_command_is_in_it(site, pages):
    for source in (*DOCS.rglob("*.md"), *NOTEBOOKS):
        assert (site / source.relative_to(DOCS)).with_suffix(".html").exists()
    commands = pages[(site / "reference" / "commands.html").resolve()].ids
    assert {"kcx-extract", "kcx-train", "kcx-parallel-build"} <= commands
    reference = pages[(site / "reference" / "extraction.html").resolve()].ids
    assert "kcx_jax.extraction.Extractor.extract" in reference


@pytest.mark.slow
def test_the_notebooks_show_what_they_printed(site):
    quickstart = (site / "notebooks" / "quickstart.html").read_text(encoding="utf-8")
    assert "problem: unresolved" in quickstart
    assert '<mark class="entity k0" data-label="Person">' in quickstart
    errors = (site / "notebooks" / "errors.html").read_text(encoding="utf-8")
    assert "system A: F1 0.867" in errors
    assert errors.count("<img ") == 2


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    assert any(cell["cell_type"] == "code" for cell in cells)
    for cell in cells:
        assert not cell.get("outputs")
        assert not cell.get("execution_count")
