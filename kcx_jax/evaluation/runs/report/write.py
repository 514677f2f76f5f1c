"""The report of a results folder: its page, the sentences beside it, and the figures."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from kcx_jax.evaluation.runs.report.loaded import load_run
from kcx_jax.evaluation.runs.report.page import write_run_page
from kcx_jax.evaluation.runs.report.sentences import write_sentences
from kcx_jax.files import alone_with

_LOCK = ".report.lock"


def write_report(root: str | Path, say: Callable[[str], None] = lambda line: None) -> Path:
    """Write ``report.html``, ``sentences.jsonl`` and ``figures/`` into a results folder; gives the page.

    What is there is replaced. `say` is told where the figures cannot be drawn, for which matplotlib must be installed.
    Where another process writes it too, one waits for the other. Raises `KcxError` for a folder without a table, or
    with records that are damaged.
    """
    load_run(root)  # what is no results folder gets no lock
    with alone_with(Path(root) / _LOCK):  # the page is made from sentences.jsonl as it was just written
        return _written(root, say)


def _written(root: str | Path, say: Callable[[str], None]) -> Path:
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
