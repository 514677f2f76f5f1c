"""Figures for a paper, as PDF and PNG: leaderboard with intervals, heat maps, kinds of errors.

All can be read in print and by colour-blind people: figures stand in cells and bars, and kinds of errors differ by
hatching too. Equal results give equal bytes.
"""

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.font_manager
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kcx_jax.evaluation.runs.report.loaded import LoadedRun
from kcx_jax.evaluation.runs.report.pooled import Part, pooled
from kcx_jax.evaluation.runs.report.standings import Standing, best_first, standings
from kcx_jax.files import atomic_write
from kcx_jax.schema import Task
from kcx_jax.scoring import Counts
from kcx_jax.scoring.errors import KINDS

FIGURES = "figures"
WIDTH = 6.3  # inches: the text of a page with two columns
MOST_ROWS = 30  # of a heat map
_LONGEST_NAME = 40  # characters that are shown of one
_BLUE = "#0072b2"
_STYLE: dict[str, Any] = {
    "pdf.fonttype": 42,  # letters stay letters, as publishers ask
    "text.parse_math": False,
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 0.5,
    "savefig.dpi": 300,
    "figure.constrained_layout.use": True,
}
# After Okabe and Ito, light enough for black letters, and a hatching each.
_KIND_LOOKS = {
    "right": ("#9bd3b8", ""),
    "wrong_type": ("#f3c969", "//"),
    "wrong_boundary": ("#9ccbee", "\\\\"),
    "wrong_both": ("#e5a9c8", "xx"),
    "missed": ("#e6e6e6", ".."),
    "spurious": ("#f0a882", "++"),
    "duplicate": ("#c8c8f0", "oo"),
    "hallucinated": ("#d98c8c", "--"),
    "unknown_class": ("#f5f0a0", "||"),
    "unparsable": ("#bfa58a", "**"),
}
# What has the letters that the default font lacks, where it is installed.
_MORE_FONTS = (
    "Noto Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "PingFang SC",
    "Microsoft YaHei",
    "Arial Unicode MS",
)


def write_figures(run: LoadedRun, counts: Mapping[tuple[Task, str], Counter[str]]) -> list[Path]:
    """Draw the figures of a run into `FIGURES` of its folder, in the place of what is there; gives their paths.

    Args:
        counts: of the kinds of items, by task and system (`kcx_jax.scoring.errors`).
    """
    ranking = standings(run)
    order = best_first(run, ranking)
    drawings: dict[str, Callable[[], Figure]] = {}
    if ranking:
        drawings["leaderboard"] = partial(leaderboard, ranking)
    parts: dict[str, Part] = {"languages": "per_language", "types": "per_type"}
    for name, part in parts.items():
        for task, labels in pooled(run, part).items():
            drawings[f"{name}_{task}"] = partial(heat_map, labels, order)
    for task in dict.fromkeys(task for task, _ in counts):
        own = {system: each for (of, system), each in counts.items() if of == task and each}
        if own:
            drawings[f"errors_{task}"] = partial(error_bars, own)
    return [
        path for name, draw in drawings.items() for path in _saved(draw, run.results.root / FIGURES / name)
    ]


def leaderboard(ranking: Mapping[str, Sequence[Standing]]) -> Figure:
    """A panel for each task: the systems best first, mean F1 with its 95 % interval."""
    known = {task: [one for one in each if one.f1 is not None] for task, each in ranking.items()}
    known = {task: each for task, each in known.items() if each}
    heights = [len(each) + 1.2 for each in known.values()]
    figure = Figure(figsize=(WIDTH, 0.35 + 0.27 * sum(heights)))
    panels = figure.subplots(
        len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for axes, (task, each) in zip(panels[:, 0], known.items(), strict=True):
        _panel(axes, task, each)
    panels[-1, 0].set_xlabel("F1, % (95 % interval)")
    highest = max(one.interval[1] for each in known.values() for one in each if one.interval is not None)
    panels[-1, 0].set_xlim(0, max(104, 108 * highest))  # in some modes F1 exceeds 100
    return figure


def _panel(axes: Axes, task: str, each: Sequence[Standing]) -> None:
    for place, one in enumerate(each):
        assert one.f1 is not None
        assert one.interval is not None
        low, high = one.interval
        look: dict[str, Any] = {"color": _BLUE, "markerfacecolor": _BLUE if one.ranked else "white"}
        axes.errorbar(
            100 * one.f1,
            place,
            xerr=[[100 * (one.f1 - low)], [100 * (high - one.f1)]],
            fmt="o",
            markersize=4.5,
            capsize=2.5,
            linewidth=1.1,
            **look,
        )
        axes.annotate(
            f"{100 * one.f1:.1f}", (100 * high, place), (5, 0), textcoords="offset points", va="center"
        )
    names = [
        _short(one.system) if one.ranked else f"{_short(one.system)} ({one.run} of {one.of})" for one in each
    ]
    axes.set_yticks(range(len(each)), names)
    axes.set_ylim(len(each) - 0.4, -0.6)
    axes.set_title(task.upper(), loc="left")
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)


def heat_map(labels: Mapping[str, Mapping[str, Counts]], systems: Sequence[str]) -> Figure:
    """F1 of labels (languages or types) by systems, each figure in its cell; at most `MOST_ROWS`, and it says so."""
    shown = list(labels)[:MOST_ROWS]
    named = [system for system in systems if any(system in labels[label] for label in shown)]
    cells = [[labels[label].get(system) for system in named] for label in shown]
    values = [[100 * cell.f1 if cell else math.nan for cell in row] for row in cells]
    columns, rows = ([_short(name) for name in names] for names in (named, shown))
    slanted, upright = (max(map(len, names)) for names in (columns, rows))
    room = 0.9 + 0.065 * max(slanted, upright)  # beside the cells, in inches
    width = min(WIDTH, max(1.8, room) + 0.75 * len(named))
    figure = Figure(figsize=(width, 0.7 + 0.04 * slanted + 0.2 * len(shown)))
    axes = figure.add_subplot()
    # Blue at 190 would be so dark that black letters drown.
    axes.imshow(values, cmap="Blues", vmin=0, vmax=190, aspect="auto")
    for row, parts in enumerate(cells):
        for column, cell in enumerate(parts):
            text = "not run" if cell is None else "–" if cell == Counts() else f"{100 * cell.f1:.1f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=min(7.0, 120 / len(named)))
    axes.set_xticks(range(len(named)), columns, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(shown)), rows)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    more = f": {len(shown)} of {len(labels)}, most frequent first" if len(labels) > len(shown) else ""
    axes.set_title(f"F1, %{more}", loc="left")
    return figure


def error_bars(counts: Mapping[str, Counter[str]]) -> Figure:
    """A bar for each system, cut into the kinds of its items; the parts that have room hold their numbers."""
    kinds = [kind for kind in KINDS if any(each[kind] for each in counts.values())]
    most = max(each.total() for each in counts.values())
    lines = math.ceil(len(kinds) / 5)
    figure = Figure(figsize=(WIDTH, 0.75 + 0.2 * lines + 0.33 * len(counts)))
    axes = figure.add_subplot()
    starts = dict.fromkeys(counts, 0)
    for kind in kinds:
        colour, hatch = _KIND_LOOKS[kind]
        sizes = [each[kind] for each in counts.values()]
        label = kind.replace("_", " ")
        look: dict[str, Any] = {
            "color": colour,
            "hatch": hatch,
            "edgecolor": "#555555",
            "linewidth": 0.5,
            "label": label,
        }
        axes.barh(range(len(counts)), sizes, 0.72, left=list(starts.values()), **look)
        for place, (system, size) in enumerate(zip(counts, sizes, strict=True)):
            if size > most * 0.035:
                _number(axes, starts[system] + size / 2, place, size)
            starts[system] += size
    axes.set_yticks(range(len(counts)), [_short(name) for name in counts])
    axes.set_ylim(len(counts) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("items")
    figure.legend(loc="outside upper left", ncols=min(5, len(kinds)), frameon=False, handlelength=1.4)
    return figure


def _short(name: str) -> str:
    """A name that leaves room for the figure."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _number(axes: Axes, at: float, place: int, size: int) -> None:
    paper = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8}
    axes.text(at, place, f"{size}", ha="center", va="center", fontsize=7, bbox=paper)


def _saved(draw: Callable[[], Figure], path: Path) -> Iterator[Path]:
    """The figure under our own settings, whatever the user's matplotlibrc says; without dates and versions."""
    installed = set(matplotlib.font_manager.get_font_names())
    fonts = {"font.family": ["DejaVu Sans", *(name for name in _MORE_FONTS if name in installed)]}
    with matplotlib.style.context(["default", _STYLE | fonts]), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Glyph .* missing from"
        )  # a box stands where no font has the letter
        figure = draw()
        for suffix, nothing in ((".pdf", "Creator Producer CreationDate"), (".png", "Software")):
            with atomic_write(path.with_suffix(suffix), "wb", overwrite=True) as handle:
                metadata = dict.fromkeys(nothing.split())
                figure.savefig(handle, format=suffix[1:], metadata=metadata)
            yield path.with_suffix(suffix)
