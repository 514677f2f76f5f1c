"""Tables of a page and of a paper: the figures of the scores, with hostile names kept in their cells."""

import pytest

from kcx_jax.corpora import Mention, Record
from kcx_jax.errors import UsageError
from kcx_jax.scoring import (
    Sheet,
    dataset_sheets,
    definitions,
    latex,
    markdown,
    mean_over_datasets,
    score,
    sheets,
)

NAME = "A|b_c\\d&%\nx"
GOLD = Record("1", "en", "Ada in Rome", (Mention("a", NAME, 0, 3, "Ada"), Mention("b", "C", 7, 11, "Rome")))
GUESS = Record("1", "en", "Ada in Rome", GOLD.entities[:1])
SCORES = score([GOLD], [GUESS])
TEXT = score([GOLD], [GUESS], mode="text")


def test_markdown():
    lines = markdown(sheets(SCORES), definitions(SCORES)).splitlines()
    assert lines[2] == "| ner | 100.00 | 50.00 | 66.67 | 1 | 0 | 1 |"
    assert lines[6:9] == [
        "| ner | A\\|b_c\\d&% x | 100.00 | 100.00 | 100.00 | 1 | 0 | 0 |",
        "| ner | C | 0.00 | 0.00 | 0.00 | 0 | 0 | 1 |",
        "| ner | mean over types | 50.00 | 50.00 | 50.00 |  |  |  |",
    ]
    assert lines[-2:] == ["- ner: entity: span and type", f"- strict: {SCORES.definition}"]


def test_latex():
    lines = latex(sheets(SCORES), definitions(SCORES)).splitlines()
    assert lines[:2] == ["% ner: entity: span and type", f"% strict: {SCORES.definition}"]
    assert r"ner & A|b\_c\textbackslash{}d\&\% x & 100.00 & 100.00 & 100.00 & 1 & 0 & 0 \\" in lines
    assert r"measure & P \% & R \% & F1 \% & right & wrong & missed \\" in lines


def test_a_first_cell_is_no_argument_of_the_row_end_before_it():
    rows = [("[1] a", "2"), ("*b", "3"), ("c", "[4]")]
    lines = latex([Sheet(("x", "y"), 1, rows)], ()).splitlines()
    assert [line for line in lines if line.endswith("\\\\")][1:] == [
        "{}[1] a & 2 \\\\",
        "{}*b & 3 \\\\",
        "c & [4] \\\\",
    ]


def test_line_breaks_stay_in_their_title_and_note():
    assert markdown([], ["a\n\n# b"], "c\n| d |") == "# c | d |\n\n- a # b\n"


def test_rows_have_as_many_cells_as_the_head_whatever_stands_beside():
    languages = [Record(name, name, GOLD.text, GOLD.entities) for name in ("en", "de")]
    full = score(languages, languages[:1])
    text = score(languages, languages[:1], mode="text")
    drawn = {
        "ner": {
            "f1_interval_95": (0.0, 1.0),
            "macro_f1_interval_95": (0.0, 1.0),
            "f1_interval_95_per_type": {"C": (0.0, 1.0)},
            "f1_interval_95_per_language": {},
            "f1_against": 0.5,
            "p_value": 0.25,
        }
    }
    for beside in ((), (text,), (text, drawn), (None, drawn)):
        found = sheets(full, *beside)
        assert [sheet.head[0] for sheet in found] == ["measure", "measure", "measure", "task"]
        assert all(len(row) == len(sheet.head) for sheet in found for row in sheet.rows)
    (row,) = sheets(full, text, drawn)[0].rows
    assert row == (
        "ner",
        "100.00",
        "50.00",
        "66.67",
        "66.67",
        "0.00 to 100.00",
        "50.00",
        "0.2500",
        "2",
        "0",
        "2",
    )


def test_datasets_count_alike_in_their_mean_whatever_their_size():
    large = [Record(str(n), "en", GOLD.text, GOLD.entities) for n in range(9)]
    datasets = {"small": SCORES, "large": score(large, large)}
    means = mean_over_datasets(datasets)
    assert means.to_json() == {
        "ner": {"precision": 1.0, "recall": 0.75, "f1": (2 / 3 + 1) / 2, "datasets": 2}
    }
    texts = mean_over_datasets({"small": TEXT, "large": score(large, large, mode="text")})
    rows = dataset_sheets(means, texts)[0].rows
    assert [row[1:6] for row in rows] == [
        ("small", "100.00", "50.00", "66.67", "66.67"),
        ("large", "100.00", "100.00", "100.00", "100.00"),
        ("mean of 2", "100.00", "75.00", "83.33", "83.33"),
    ]


def test_a_mean_needs_datasets_of_one_mode():
    with pytest.raises(UsageError, match="one mode, not 2: strict, text"):
        mean_over_datasets({"a": SCORES, "b": TEXT})
    with pytest.raises(UsageError, match="one mode, not 0"):
        mean_over_datasets({})
