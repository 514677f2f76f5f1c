"""Scores as the tables of a page (Markdown) and of a paper (LaTeX)."""

from kcx_jax.scoring.metrics import Scores

_HEAD = ("measure", "type", "P %", "R %", "F1 %")
_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def markdown(scores: Scores) -> str:
    """A Markdown table of every measure, over all types and by type, and the mode's definition below it."""
    rows = [_HEAD, ("---", "---", *["---:"] * 3), *_rows(scores)]
    lines = ["| " + " | ".join(_inline(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([*lines, "", f"{scores.mode}: {scores.definition}", ""])


def latex(scores: Scores) -> str:
    """A LaTeX `tabular` of the same figures, without packages; the definition stands above as a comment."""
    rows = [" & ".join(_escaped(cell) for cell in row) + r" \\" for row in (_HEAD, *_rows(scores))]
    lines = [
        f"% {scores.mode}: {scores.definition}",
        r"\begin{tabular}{llrrr}",
        r"\hline",
        rows[0],
        r"\hline",
    ]
    return "\n".join([*lines, *rows[1:], r"\hline", r"\end{tabular}", ""])


def _rows(scores: Scores) -> list[tuple[str, ...]]:
    return [
        (name, label or "all", *(f"{100 * x:.2f}" for x in (counts.precision, counts.recall, counts.f1)))
        for name, label, counts, _ in scores.table()
    ]


def _inline(cell: str) -> str:
    return " ".join(cell.split())


def _escaped(cell: str) -> str:
    return "".join(_LATEX.get(character, character) for character in _inline(cell))
