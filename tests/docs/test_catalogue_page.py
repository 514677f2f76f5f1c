"""docs/catalogue.md is what the catalogue says."""

import runpy
from pathlib import Path

from kcx_jax.corpora import catalogue

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_written_from_the_catalogue():
    written = (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")
    assert written == runpy.run_path(str(ROOT / "scripts" / "write_catalogue"))["page"](), (
        "run scripts/write_catalogue"
    )
    for entry in catalogue():
        assert f"| `{entry.name}`: " in written
