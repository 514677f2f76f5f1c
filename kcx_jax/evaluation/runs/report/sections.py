"""The sections of the page: leaderboard, benchmarks, heat maps, errors, training, and how it was made."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from kcx_jax.evaluation.runs.config import SystemSettings
from kcx_jax.evaluation.runs.folder import deciding
from kcx_jax.evaluation.runs.report.curves import TrainingRun
from kcx_jax.evaluation.runs.report.loaded import LoadedRun
from kcx_jax.evaluation.runs.report.pooled import Pooled, in_gold
from kcx_jax.evaluation.runs.report.standings import METHOD, Standing
from kcx_jax.evaluation.table import TASK_NAMES
from kcx_jax.page import bar, escape, figure, number, pairs, percent, section, table
from kcx_jax.scoring import MODES, Counts
from kcx_jax.scoring.errors import KINDS

Ranking = Mapping[str, Sequence[Standing]]

NOT_RUN = '<span class="not">not run</span>'
SHOWN_TYPES = 40  # rows of a heat map before the rest is folded
MOST_NOTES = 8  # below the table, before they are folded
_AXIS = '<span class="axis" aria-hidden="true"><span>0</span><span>F1, %</span><span>100</span></span>'


def header(run: LoadedRun, ranking: Ranking) -> str:
    """The title, and what was evaluated in a few figures."""
    records = sum({row["benchmark"]: row["records"] or 0 for row in run.rows}.values())
    tiles = [
        ("Systems", number(len(run.systems)), ""),
        ("Benchmarks", number(len({row["benchmark"] for row in run.rows})), f"{number(records)} records"),
    ]
    for task, each in ranking.items():
        if each and each[0].ranked and each[0].f1 is not None:
            tiles.append((f"Best F1, {task.upper()}", percent(each[0].f1), escape(each[0].system)))
    listed = "".join(
        f"<li><span>{name}</span><strong>{value}</strong><span>{note}</span></li>"
        for name, value, note in tiles
    )
    return (
        f'<p class="eyebrow">kcx evaluate</p><h1>{escape(run.config.title)}</h1>'
        f'<ul class="tiles">{listed}</ul>'
    )


def leaderboard_section(ranking: Ranking, modes: Sequence[str]) -> str:
    """A table for each task, the best system first, with an interval drawn and in figures."""
    intro = (
        "Mean F1 over the benchmarks of a task, best first. The dot is the mean, the bar its 95 % interval. "
        "A system without all benchmarks has no rank: its mean is over others."
    )
    parts = []
    for task, each in ranking.items():
        rows = [_standing_row(place, one) for place, one in enumerate(each, 1)]
        head = ("system", _AXIS, "F1, %", "95 % interval", "benchmarks")
        parts.append(f"<h3>{TASK_NAMES.get(task, escape(task))}</h3>")
        parts.append(table(head, [rows], f"leaderboard, {task}", "ranking"))
    if not parts:
        parts.append(f"<p>{NOT_RUN}</p>")
    definitions = [f"{escape(mode)}: {escape(MODES[mode].definition)}" for mode in dict.fromkeys(modes)]
    return section("leaderboard", "Leaderboard", intro, *parts, _remarks([METHOD, *definitions]))


def _standing_row(place: int, one: Standing) -> tuple[str, ...]:
    rank = f'<span class="rank">{place}</span>' if one.ranked else '<span class="rank">–</span>'
    name = f"{rank}<bdi>{escape(one.system)}</bdi>"
    share = f"{one.run} of {one.of}"
    if one.f1 is None or one.interval is None:
        return name, "", NOT_RUN, "", share
    low, high = one.interval
    return name, _range(low, one.f1, high), percent(one.f1), f"{percent(low)} – {percent(high)}", share


def _range(low: float, at: float, high: float) -> str:
    """An interval and the figure in it, on an axis from 0 to 1."""
    edges = [100 * min(1.0, max(0.0, value)) for value in (low, at, high)]
    return (
        f'<span class="range" aria-hidden="true"><i style="left:{edges[0]:.2f}%;right:{100 - edges[2]:.2f}%"></i>'
        f'<b style="left:{edges[1]:.2f}%"></b></span>'
    )


def benchmarks_section(run: LoadedRun, systems: Sequence[str]) -> str:
    """The table of the run: each benchmark and mean, published figures beside measured ones."""
    published = list(dict.fromkeys(name for row in run.table["rows"] for name in row["published_percent"]))
    rows = [_benchmark_row(row, systems, published) for row in run.table["rows"]]
    means = len(run.rows)
    head = (
        "benchmark",
        *(f"<bdi>{escape(name)}</bdi>" for name in systems),
        *(f"<bdi>{escape(name)}</bdi> (published)" for name in published),
    )
    groups = [group for group in (rows[:means], rows[means:]) if group]
    intro = "F1 in percent, below it the interval that holds 95 % of draws of the records. The best measured is bold."
    shown = table(head, groups, "all benchmarks", "wide")
    return section("benchmarks", "Benchmarks", intro, shown, *_notes(run.table["notes"]))


def _notes(notes: Sequence[str]) -> Iterator[str]:
    """Why cells are missing, lack answers or cannot be compared; below it the others, folded where they are many."""
    telling = ("not run:", "not comparable", "count as empty", "left out of means")
    needed = [note for note in notes if any(words in note for words in telling)]
    others = [escape(note) for note in notes if note not in needed]
    if needed:
        yield _remarks(map(escape, needed))
    if len(others) > MOST_NOTES:
        yield f'<details class="more"><summary>{len(others)} notes</summary>{_remarks(others)}</details>'
    elif others:
        yield _remarks(others)


def _benchmark_row(row: dict[str, Any], systems: Sequence[str], published: Sequence[str]) -> tuple[str, ...]:
    cells = row["measured"]
    best = max((cells[name].get("f1", 0.0) for name in systems), default=0.0)
    records = f"{number(row['records'])} records · " if row["records"] is not None else ""
    head = f"{escape(row['benchmark'])}<small>{records}{escape(row['task'].upper())} · {escape(row['mode'])}</small>"
    measured = (_measured(cells[name], best) for name in systems)
    return head, *measured, *(_published(row["published_percent"].get(name)) for name in published)


def _measured(cell: dict[str, Any], best: float) -> str:
    if "f1" not in cell:
        return NOT_RUN
    if cell.get("gold") == 0:
        return '<span class="not">no gold</span>'
    shown = (
        f'<span class="best">{percent(cell["f1"])}</span>' if cell["f1"] == best > 0 else percent(cell["f1"])
    )
    if "f1_interval_95" in cell:
        low, high = cell["f1_interval_95"]
        shown += f"<small>{percent(low)} – {percent(high)}</small>"
    if lacking := cell.get("missing", 0) + cell.get("unanswered", 0):
        shown += f"<small>{number(lacking)} without an answer</small>"
    return shown


def _published(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return ""
    return f"{cell['figure']:.1f}" + (
        f'<small class="why">{escape(cell["note"])}</small>' if cell["note"] else ""
    )


def heat_section(name: str, found: Pooled, systems: Sequence[str]) -> str:
    """A heat map of F1 for each task: languages or types by systems, the figure in each cell."""
    title = {"languages": "Languages", "types": "Types"}[name]
    intro = (
        f"F1 in percent by {title.lower()[:-1]}, of the counts of all benchmarks together; those with most items in "
        "gold come first. The darker (in the dark: the brighter) a cell, the higher its figure."
    )
    parts = []
    for task, labels in found.items():
        parts.append(
            f"<h3>{TASK_NAMES.get(task, escape(task))} <small>{number(len(labels))} {title.lower()}</small></h3>"
        )
        rows = [_heat_row(label, counts, systems) for label, counts in labels.items()]
        head = (title.lower()[:-1], *(f"<bdi>{escape(system)}</bdi>" for system in systems))
        parts.append(
            table(head, [rows[:SHOWN_TYPES]], f"F1 by {title.lower()[:-1]}, {task}", "heat-map wide")
        )
        if rest := rows[SHOWN_TYPES:]:
            more = table(head, [rest], f"F1 by {title.lower()[:-1]}, {task}: the others", "heat-map wide")
            parts.append(f'<details class="more"><summary>{number(len(rest))} more</summary>{more}</details>')
    return section(name, title, intro, *(parts or [f"<p>{NOT_RUN}</p>"]))


def _heat_row(label: str, counts: Mapping[str, Counts], systems: Sequence[str]) -> tuple[str, ...]:
    head = f"<bdi>{escape(label) or '(none)'}</bdi><small>{number(in_gold(dict(counts)))} in gold</small>"
    return head, *(_heat(counts.get(system)) for system in systems)


def _heat(counts: Counts | None) -> str:
    if counts is None:
        return NOT_RUN
    if counts == Counts():
        return '<span title="nothing in gold, nothing predicted">–</span>'
    return f'<span class="heat" style="--v:{min(1.0, counts.f1):.3f}">{percent(counts.f1)}</span>'


def errors_section(run: LoadedRun, counts: Mapping[tuple[Any, str], Counter[str]]) -> str:
    """How many items of each kind; a count leads to the sentences that have it."""
    intro = (
        "Every item of gold and of an answer is exactly one of these, in the strict way of counting; the bar is its "
        "share of the system's items. A figure leads to its sentences below."
    )
    parts = []
    for task in dict.fromkeys(task for task, _ in counts):
        systems = [(number_, name) for number_, name in enumerate(run.systems) if (task, name) in counts]
        rows = [
            (
                f"{kind.replace('_', ' ')}<small>{escape(meaning)}</small>",
                *(_count_cell(counts[task, name], kind, task, place) for place, name in systems),
            )
            for kind, meaning in KINDS.items()
            if any(counts[task, name][kind] for _, name in systems)
        ]
        head = ("kind", *(f"<bdi>{escape(name)}</bdi>" for _, name in systems))
        parts.append(f"<h3>{TASK_NAMES.get(task, escape(task))}</h3>")
        parts.append(table(head, [rows], f"kinds of errors, {task}", "kinds"))
    return section("errors", "Errors", intro, *(parts or [f"<p>{NOT_RUN}</p>"]))


def _count_cell(counts: Counter[str], kind: str, task: str, system: int) -> str:
    if not counts[kind]:
        return "0"
    link = escape(urlencode({"task": task, f"system{system}": kind}))
    return (
        f'<button type="button" class="go" data-show="{link}">{number(counts[kind])}</button>'
        f"{bar(counts[kind] / counts.total())}"
    )


def training_section(runs: Sequence[TrainingRun]) -> str:
    """The loss of each training run behind a system."""
    if not runs:
        intro = "No system of this evaluation names a run folder of kcx train that is here."
        return section("training", "Training", intro)
    if find_spec("matplotlib") is None:
        names = ", ".join(f"{run.folder.name} ({', '.join(run.systems)})" for run in runs)
        intro = f"Curves need matplotlib, which is not installed. The runs: {names}."
        return section("training", "Training", escape(intro))
    intro = "Loss on the answers' tokens in the runs that the systems came of, and on what was held out."
    return section(
        "training", "Training", intro, f'<div class="plots">{"".join(map(_run_figure, runs))}</div>'
    )


def _run_figure(run: TrainingRun) -> str:
    from kcx_jax.evaluation.plots import loss_curves  # brings matplotlib

    curves = {"training": run.curve("loss"), "held out": run.curve("validation_loss")}
    known = {name: curve for name, curve in curves.items() if curve}
    title = f"{run.folder.name}: {', '.join(run.systems)}"
    return figure(
        loss_curves(known, f"{title}: loss over steps", 1), escape(title), " · ".join(_run_notes(run))
    )


def _run_notes(run: TrainingRun) -> Iterator[str]:
    stages = list(dict.fromkeys(str(line["stage"]) for line in run.lines))
    yield escape(" → ".join(stages))
    yield f"{number(len(run.lines))} steps"
    yield f"{number(sum(line['samples'] for line in run.lines))} samples"
    if scores := run.curve("score"):
        step, score = max(scores, key=lambda each: each[1])
        yield f"best F1 held out {percent(score)} % after step {number(step)}"


def made_section(run: LoadedRun) -> str:
    """Settings, data, versions: what it takes to make the page again."""
    config = run.config
    rows = []
    for each in config.benchmarks:
        facts = run.facts["benchmarks"].get(each.name, {})
        source = f"{each.catalogue}: " if each.catalogue else ""
        rows.append(
            (
                escape(each.name),
                escape(f"{source}{Path(each.path or '').name}"),
                escape(each.reader or "–"),
                escape(each.inventory or "labels of the corpus"),
                f"<code>{escape(str(facts.get('sha256', ''))[:12])}</code>" if facts else NOT_RUN,
            )
        )
    head = ("benchmark", "file", "reader", "classes", "SHA-256")
    settings = {
        "seed": config.seed,
        "counting": config.mode,
        "draws of each interval": config.samples,
        **{f"system {each.name}": _system_words(each) for each in config.systems},
    }
    versions = {f"run {place}": words for place, words in enumerate(map(_words, run.facts["versions"]), 1)}
    return section(
        "made",
        "How this was made",
        "The same config over the same data and weights gives the same table; config.yaml and run.json in the results "
        "folder say all of it.",
        "<h3>Settings</h3>",
        pairs(settings),
        "<h3>Data</h3>",
        table(head, [rows], "data of the benchmarks", "wide"),
        "<h3>Versions</h3>",
        pairs(versions),
    )


def _system_words(system: SystemSettings) -> str:
    return _words(
        {key: value for key, value in deciding(system).items() if key != "name" and value not in (None, [])}
    )


def _words(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


def _remarks(notes: Iterable[str]) -> str:
    return f'<ul class="remarks">{"".join(f"<li>{note}</li>" for note in notes)}</ul>'
