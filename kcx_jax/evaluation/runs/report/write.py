"""The report of a results folder: its page, the sentences beside it, and the figures."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from kcx_jax.evaluation.runs.report.loaded import load_run
from kcx_jax.evaluation.runs.report.page import write_run_page
from kcx_jax.evaluation.runs.report.sentences import write_sentences


def write_report(root: str | Path, say: Callable[[str], None] = lambda line: None) -> Path:
    """Write ``report.html``, ``sentences.jsonl`` and ``figures/`` into a results folder; gives the page.

    What is there is replaced. `say` is told where the figures cannot be drawn, for which matplotlib must be installed.
    Raises `KcxError` for a folder without a table, or with records that are damaged.
    """
    run = load_run(root)
    sentences = write_sentences(run)
    page = write_run_page(run, sentences)
    if find_spec("matplotlib") is None:
        say(
            "figures not drawn: they need matplotlib (pip install 'kcx-jax[model]'); the page has the same values"
        )
        return page
    from kcx_jax.evaluation.runs.report.figures import write_figures

    write_figures(run, sentences.counts)
    return page
