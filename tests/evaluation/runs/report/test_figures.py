"""Figures for a paper: the values they draw, the files, and the same bytes each time."""

import warnings
from collections import Counter

import matplotlib.style
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from kcx_jax.evaluation.runs.report.figures import _STYLE, MOST_ROWS, error_bars, heat_map, leaderboard
from kcx_jax.evaluation.runs.report.standings import Standing
from kcx_jax.evaluation.runs.report.write import write_report
from kcx_jax.scoring import Counts


def texts(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_they_lie_in_the_folder_and_are_the_same_again(folder):
    names = [
        f"{what}_{task}" for what in ("errors", "languages", "types") for task in ("ner", "re", "ed", "eae")
    ]
    wanted = {f"{name}{suffix}" for name in [*names, "leaderboard"] for suffix in (".pdf", ".png")}
    before = {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}
    assert set(before) == wanted
    assert all(before[name].startswith(b"%PDF" if name.endswith("pdf") else b"\x89PNG") for name in wanted)
    write_report(folder)
    assert {path.name: path.read_bytes() for path in (folder / "figures").iterdir()} == before


def test_the_leaderboard_draws_mean_and_interval():
    each = [
        Standing("a", 0.8, (0.7, 0.85), 2, 2),
        Standing("b", 0.4, (0.3, 0.6), 1, 2),
        Standing("c", None, None, 0, 2),
    ]
    figure = leaderboard({"ner": each})
    (axes,) = figure.axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", "b (1 of 2)"]
    for place, (container, one) in enumerate(zip(axes.containers, each, strict=False)):
        (line, _, (bars,)) = container
        assert line.get_xydata().tolist() == [[pytest.approx(100 * one.f1), place]]
        low, high = bars.get_segments()[0]
        assert (low[0], high[0]) == pytest.approx((100 * one.interval[0], 100 * one.interval[1]))
    assert texts(figure) == ["80.0", "40.0"]
    assert axes.get_xlim() == (0, 104)
    (axes,) = leaderboard({"ner": [Standing("a", 1.5, (1.4, 1.6), 1, 1)]}).axes
    assert axes.get_xlim()[1] > 160  # some modes count beyond 100


def test_the_heat_map_writes_every_figure_and_says_where_rows_are_left_out():
    few = {"en": {"a": Counts(1, 1, 1), "b": Counts()}, "zh": {"a": Counts(1, 0, 0)}}
    assert texts(heat_map(few, ["a", "b"])) == ["50.0", "–", "100.0", "not run"]
    many = {f"T{n}": {"a": Counts(1, 0, n)} for n in range(MOST_ROWS + 5)}
    figure = heat_map(many, ["a"])
    assert len(texts(figure)) == MOST_ROWS
    assert f"{MOST_ROWS} of {MOST_ROWS + 5}" in figure.axes[0].get_title(loc="left")


@pytest.mark.parametrize("length", [1, 23, 45, 90])
@pytest.mark.parametrize(("rows", "systems"), [(1, 1), (1, 2), (4, 8), (30, 20)])
def test_names_of_any_length_leave_room_for_the_figure(length, rows, systems):
    names = [f"{n}{'x' * length}" for n in range(systems)]
    labels = {f"{n}{'y' * length}": dict.fromkeys(names, Counts(1, 1, 1)) for n in range(rows)}
    standings = [Standing(name, 0.5, (0.4, 0.6), 1, 2) for name in names]
    errors = {name: Counter(right=8, missed=5) for name in names}
    with warnings.catch_warnings(), matplotlib.style.context(["default", _STYLE]):
        warnings.simplefilter("error")
        for figure in (heat_map(labels, names), leaderboard({"ner": standings}), error_bars(errors)):
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
            width, height = canvas.get_width_height()
            for axes in figure.axes:
                below = axes.get_xticklabels() if axes.images else []  # others are numbers, past the edge too
                for label in (*below, *axes.get_yticklabels(), axes._left_title):
                    box = label.get_window_extent()
                    assert -2 <= box.x0 <= box.x1 <= width + 2, label
                    assert -2 <= box.y0 <= box.y1 <= height + 2, label


def test_the_bars_of_errors_are_as_long_as_their_counts_and_told_apart_without_colour():
    counts = {"a": Counter(right=80, missed=15, spurious=5), "b": Counter(right=40, missed=60)}
    figure = error_bars(counts)
    (axes,) = figure.axes
    found = {bars.get_label(): [bar.get_width() for bar in bars] for bars in axes.containers}
    assert found == {"right": [80, 40], "missed": [15, 60], "spurious": [5, 0]}
    ends = [bar.get_x() + bar.get_width() for bar in axes.containers[-1]]
    assert ends == [100, 100]
    assert len({bars[0].get_hatch() for bars in axes.containers}) == 3
    assert Counter(texts(figure)) == Counter(["80", "40", "15", "60", "5"])
