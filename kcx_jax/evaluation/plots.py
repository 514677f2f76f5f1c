"""Plots as inline SVG: text stays text (any script shows), colours follow the page, bytes are reproducible.

The colours are CSS variables with a fallback (`var(--ink, #...)`, `var(--series-0, #...)`), so that a page
can give them other values in the dark. Colour-blind people can tell them apart (after Okabe and Ito).
"""

import io
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from kcx_jax.page import escape

SERIES = ("#8b9097", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
_INK, _FAINT = "#24292f", "#c9ced6"
_VARIABLES = {_INK: "ink", _FAINT: "line"} | {colour: f"series-{i}" for i, colour in enumerate(SERIES)}
_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9.6,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": _FAINT,
    "grid.linewidth": 0.5,
    "xtick.color": _FAINT,
    "ytick.color": _FAINT,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "figure.constrained_layout.use": True,
}
_INCHES = (4.8, 2.4)  # two side by side fill a page, one fills a phone
_RAW_POINTS = 80  # longer curves get a running mean over them
_WINDOW = 0.05  # of the curve

Curve = Sequence[Sequence[float]]  # (step, loss) pairs


def loss_curves(curves: Mapping[str, Curve], title: str, first_series: int = 0) -> str:
    """Loss over steps, one line a curve, as an `<svg>`.

    A long curve is drawn thin, with its running mean over it. The axis is logarithmic where the loss falls
    by more than ten. `first_series` picks the colours. Steps whose loss is not finite are left out.
    """
    with _figure(title) as figure:
        axes = figure.add_subplot()
        values = []
        for index, (name, curve) in enumerate(curves.items(), first_series):
            points = [(step, loss) for step, loss in curve if math.isfinite(loss)]
            values += [loss for _, loss in points]
            _draw_curve(axes, points, name, SERIES[index % len(SERIES)])
        if values and min(values) > 0 and max(values) > 10 * min(values):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("step")
        axes.set_ylabel("nats per target token")
        if len(curves) > 1:
            axes.legend(frameon=False, handlelength=1.2)
        return _svg(figure, title)


def grouped_bars(
    groups: Sequence[str], series: Mapping[str, Sequence[float | None]], title: str, limit: float = 100.0
) -> str:
    """Bars of `series` side by side in each of `groups`, values written on top, as an `<svg>`.

    None is "not measured": no bar, a dash in its place. The axis goes from 0 to `limit`.
    """
    with _figure(title) as figure:
        axes = figure.add_subplot()
        width = 0.84 / max(1, len(series))
        for index, (name, values) in enumerate(series.items()):
            offset = (index - (len(series) - 1) / 2) * width
            places = [group + offset for group in range(len(values))]
            colour = SERIES[index % len(SERIES)]
            axes.bar(places, [value or 0.0 for value in values], width * 0.9, color=colour, label=name)
            for place, value in zip(places, values, strict=True):
                text = "–" if value is None else f"{value:.0f}"
                axes.text(place, (value or 0.0) + limit * 0.015, text, ha="center", va="bottom", fontsize=8)
        axes.set_ylim(0, limit * 1.08)
        axes.set_yticks([limit * part / 4 for part in range(5)])
        axes.set_xticks(range(len(groups)), groups)
        axes.tick_params(axis="both", length=0)
        axes.spines["left"].set_visible(False)
        return _svg(figure, title)


def _draw_curve(axes: Axes, points: Sequence[tuple[float, float]], name: str, colour: str) -> None:
    steps, losses = [step for step, _ in points], [loss for _, loss in points]
    if len(points) <= _RAW_POINTS:
        axes.plot(steps, losses, color=colour, linewidth=1.6, label=name)
        return
    axes.plot(steps, losses, color=colour, linewidth=0.6, alpha=0.35)
    half = max(1, round(len(losses) * _WINDOW / 2))
    windows = [losses[max(0, i - half) : i + half + 1] for i in range(len(losses))]
    means = [sum(window) / len(window) for window in windows]
    axes.plot(steps, means, color=colour, linewidth=1.8, label=name)


@contextmanager
def _figure(title: str) -> Iterator[Figure]:
    """A figure under our own settings, whatever the user's matplotlibrc says."""
    # Ids are made from the salt: plots with different titles can stand in one page.
    settings = _STYLE | {"svg.hashsalt": f"kcx_jax {title}"}
    with matplotlib.style.context(["default", settings]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # the reader's fonts draw, not ours
        yield Figure(figsize=_INCHES)


def _svg(figure: Figure, title: str) -> str:
    """The figure as an `<svg>` element to be put into a page."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    body = buffer.getvalue()
    body = body[body.index("<svg") :]
    size = re.search(r'viewBox="[^"]*"', body)
    assert size is not None
    # The metadata is empty, and a style element in an inline picture would reach the whole page.
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"', "<g", body)  # nothing refers to groups, and their ids repeat
    body = re.sub(r"font-family: [^;\"]*(; )?", "", body)
    body = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", body)  # how matplotlib before 3.11 writes it
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var(--{variable}, {colour})")
    opening = f'<svg {size.group()} role="img" aria-label="{escape(title)}" stroke-linejoin="round" '
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    return opening + names + body[body.index(">") + 1 :].strip()
