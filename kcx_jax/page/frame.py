"""A whole page in one file: the frame around what it says, with a policy that lets nothing be loaded."""

import base64
import hashlib
from importlib.resources import files
from pathlib import Path
from string import Template

from kcx_jax.files import atomic_write
from kcx_jax.page.pieces import escape


def write_page(
    path: str | Path,
    title: str,
    *,
    header: str,
    body: str,
    css: str = "",
    script: str = "",
    overwrite: bool = False,
) -> None:
    """Write a page (`page_html`) to `path`. Raises `KcxError` when `path` exists and `overwrite` is false."""
    page = page_html(title, header=header, body=body, css=css, script=script)
    with atomic_write(path, overwrite=overwrite) as handle:
        handle.write(page)


def page_html(title: str, *, header: str, body: str, css: str = "", script: str = "") -> str:
    """A page: `header` and `body` are ready HTML, `css` comes after the house's own.

    The browser may load nothing and run no script but `script`.
    """
    template = Template(files("kcx_jax.page").joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(title),
        scripts=f"'{_hash(script)}'" if script else "'none'",
        css=css,
        header=header,
        body=body,
        script=f"<script>{script}</script>\n" if script else "",
    )


def _hash(script: str) -> str:
    """What a Content-Security-Policy calls an inline script that it lets run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
