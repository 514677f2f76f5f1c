"""Pages for people: one HTML file that needs nothing but a browser, and looks the same wherever it comes from.

Lives here: the frame, its style, and pieces such as tables. Not here: what a page says (`demo`, `parallel`).
"""

from kcx_jax.page.frame import page_html, write_page
from kcx_jax.page.pieces import (
    NOT_MEASURED,
    bar,
    duration,
    escape,
    figure,
    number,
    pairs,
    percent,
    section,
    table,
    visible,
)

__all__ = [
    "NOT_MEASURED",
    "bar",
    "duration",
    "escape",
    "figure",
    "number",
    "page_html",
    "pairs",
    "percent",
    "section",
    "table",
    "visible",
    "write_page",
]
