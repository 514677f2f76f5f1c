"""Tables of a page and of a paper: the figures of the scores, with hostile names kept in their cells."""

from kcx_jax.corpora import Mention, Record
from kcx_jax.scoring import latex, markdown, score

NAME = "A|b_c\\d&%\nx"
GOLD = Record("1", "en", "Ada in Rome", (Mention("a", NAME, 0, 3, "Ada"), Mention("b", "C", 7, 11, "Rome")))
GUESS = Record("1", "en", "Ada in Rome", GOLD.entities[:1])
SCORES = score([GOLD], [GUESS])


def test_markdown():
    lines = markdown(SCORES).splitlines()
    assert lines[2:5] == [
        "| ner | all | 100.00 | 50.00 | 66.67 |",
        "| ner | A\\|b_c\\d&% x | 100.00 | 100.00 | 100.00 |",
        "| ner | C | 0.00 | 0.00 | 0.00 |",
    ]
    assert lines[-1] == f"strict: {SCORES.definition}"


def test_latex():
    lines = latex(SCORES).splitlines()
    assert lines[0] == f"% strict: {SCORES.definition}"
    assert r"ner & A|b\_c\textbackslash{}d\&\% x & 100.00 & 100.00 & 100.00 \\" in lines
    assert r"measure & type & P \% & R \% & F1 \% \\" in lines
