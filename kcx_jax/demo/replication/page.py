"""The tables of docs/replication.md."""

from collections.abc import Mapping
from statistics import mean

from kcx_jax.demo.replication.comparison import Comparison, Effect, Runs, f1
from kcx_jax.demo.replication.settings import GROUPS, READ
from kcx_jax.evaluation.table import TASK_NAMES
from kcx_jax.schema import TASKS


def tables(runs: Runs, found: Mapping[Comparison, Mapping[str, Mapping[str, Effect]]]) -> str:
    """Markdown: the differences, question by question, then every system's F1 in each language."""
    return (
        "\n\n".join([*(_differences(each, groups) for each, groups in found.items()), _scores(runs)]) + "\n"
    )


def _differences(comparison: Comparison, groups: Mapping[str, Mapping[str, Effect]]) -> str:
    lines = [
        f'**{comparison.question}** F1 of "{comparison.other}" less that of "{comparison.one}" '
        f"({comparison.decoding}), in points:",
        "",
        "| languages | task | mean | each seed | 95 % interval | detectable |",
        "|---|---|---|---|---|---|",
    ]
    for group, by_task in groups.items():
        for task, effect in by_task.items():
            low, high = effect.interval_95
            seeds = ", ".join(map(_signed, effect.by_seed.values()))
            lines.append(
                f"| {group} ({', '.join(GROUPS[group])}) | {TASK_NAMES[task]} | {_signed(effect.mean)} | {seeds} "
                f"| {_signed(low)} to {_signed(high)} | {100 * effect.detectable:.1f} |"
            )
    return "\n".join(lines)


def _scores(runs: Runs) -> str:
    lines = [
        f"| F1, %, mean over seeds | task | {' | '.join(READ)} |",
        "|---" * (len(READ) + 2) + "|",
    ]
    for system, by_seed in runs.items():
        for decoding in next(iter(by_seed.values()))["counts"]:
            for task in TASKS:
                cells = [
                    f"{100 * mean(f1(run['counts'][decoding], [language], task) for run in by_seed.values()):.1f}"
                    for language in READ
                ]
                lines.append(f"| {system}, {decoding} | {TASK_NAMES[task]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _signed(value: float) -> str:
    return f"{100 * value:+.1f}"
