"""Plots: the values they show, text that stays text, and the same bytes wherever they are drawn."""

import math
import os
import re
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
import pytest

from kcx_jax.evaluation.plots import SERIES, grouped_bars, loss_curves

SVG = "{http://www.w3.org/2000/svg}"
BARS = {"base": [10.0, None], "阶段二": [80.0, 100.0]}


def texts(svg: str) -> list[str]:
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def paths(svg: str, colour: str) -> list[list[tuple[float, float]]]:
    """The corner points of everything filled or drawn in a colour."""
    found = []
    for element in ElementTree.fromstring(svg).iter(f"{SVG}path"):
        if colour in element.get("style", ""):
            found.append([(float(x), float(y)) for x, y in re.findall(r"[ML] (\S+) (\S+)", element.get("d"))])
    return found


def test_bars_are_as_high_as_their_values():
    svg = grouped_bars(["English", "العربية"], BARS, "F1")
    heights = [
        max(y for _, y in path) - min(y for _, y in path)
        for colour in SERIES[:2]
        for path in paths(svg, colour)
    ]
    assert heights[1] == 0
    assert heights[0] / heights[3] == pytest.approx(0.1, abs=1e-3)
    assert heights[2] / heights[3] == pytest.approx(0.8, abs=1e-3)


def test_text_stays_text_in_any_script_and_cannot_become_markup():
    svg = grouped_bars(["<b>", "العربية", "$x$"], {"x": [1.0, None, 3.0]}, '"><script>')
    assert {"<b>", "العربية", "$x$", "–", "1", "3"} <= set(texts(svg))
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == '"><script>'
    assert not list(root.iter(f"{SVG}script"))


def test_a_curve_goes_through_its_points():
    (points,) = paths(loss_curves({"a": [[1, 4.0], [2, 2.0], [4, 3.0]]}, "loss"), SERIES[0])
    (x1, y1), (x2, y2), (x3, y3) = points
    assert (x2 - x1) / (x3 - x1) == pytest.approx(1 / 3, abs=1e-3)
    assert (y3 - y1) / (y2 - y1) == pytest.approx(1 / 2, abs=1e-3)


def test_a_wide_range_of_losses_gets_a_logarithmic_axis():
    (points,) = paths(loss_curves({"a": [[1, 100.0], [2, 10.0], [3, 1.0]]}, "loss"), SERIES[0])
    (_, y1), (_, y2), (_, y3) = points
    assert y2 - y1 == pytest.approx(y3 - y2, abs=1e-2)


def test_losses_that_are_not_finite_are_left_out():
    broken = [[1, 2.0], [2, math.nan], [3, 1.0], [4, math.inf]]
    assert loss_curves({"a": broken}, "t") == loss_curves({"a": [broken[0], broken[2]]}, "t")
    assert loss_curves({"a": [[1, math.nan]]}, "t")


def test_the_bytes_depend_on_the_data_alone():
    first = grouped_bars(["a", "b"], BARS, "F1")
    with matplotlib.rc_context({"font.size": 20, "svg.fonttype": "path", "axes.grid": False}):
        assert grouped_bars(["a", "b"], BARS, "F1") == first
    code = f"from kcx_jax.evaluation.plots import *; print(ascii(grouped_bars(['a', 'b'], {BARS!r}, 'F1')))"
    environment = os.environ | {"PYTHONHASHSEED": "1"}
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert again.stdout.strip() == ascii(first), again.stderr
    assert not re.search(r"20\d\d-\d\d", first)


def test_plots_of_one_page_share_no_ids_and_style_nothing_else():
    one, two = grouped_bars(["a"], {"x": [1.0]}, "one"), grouped_bars(["a"], {"x": [1.0]}, "two")
    ids = [set(re.findall(r'id="([^"]*)"', svg)) for svg in (one, two)]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert "<style" not in one
    for target in re.findall(r"(?:url\(|href=\")#([^)\"]*)", one):
        assert target in ids[0]


def test_colours_can_be_set_by_the_page():
    svg = grouped_bars(["a"], {"x": [1.0]}, "t")
    bare = re.sub(r"var\(--[\w-]+, #\w+\)", "", svg)
    assert not re.search(r"#[0-9a-f]{6}\b", bare.replace('href="#', "").replace("url(#", ""))


def test_pages_need_no_jax():
    code = (
        "import sys, kcx_jax.evaluation.browser, kcx_jax.evaluation.plots, kcx_jax.page\n"
        "sys.exit([m for m in ('jax', 'flax', 'matplotlib.pyplot') if m in sys.modules] or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
