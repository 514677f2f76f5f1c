"""The table of scores: each cell is the metric's own figure, and the terminal shows it."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from kcx_jax.demo.corpus import generate
from kcx_jax.errors import KcxError
from kcx_jax.evaluation import Answered, console_table, score_table
from kcx_jax.scoring import score, task_view

GOLD = {language: [item[language] for item in generate(3, 12, "heldout")] for language in ("en", "es")}


def answered(language, task, keep=1.0):
    """The gold views of a language, the first mention of each record dropped in the last 1 - `keep` of them."""
    out = []
    for index, record in enumerate(GOLD[language]):
        view = replace(task_view(record, task), id=record.id)
        if index >= keep * len(GOLD[language]):
            view = replace(view, entities=view.entities[1:])
        out.append(Answered(record.id, "[]", view))
    return out


ANSWERS = {
    "[b]": {"en": {"ner": answered("en", "ner", 0.5)}, "es": {"ner": answered("es", "ner", 0.25)}},
    "good": {"en": {"ner": answered("en", "ner"), "re": answered("en", "re")}},
}


def test_cells_are_the_metrics_own_figures():
    table = score_table(GOLD, ANSWERS)
    cell = table["[b]"]["es"]["ner"]
    scores = score(GOLD["es"], [one.record for one in ANSWERS["[b]"]["es"]["ner"]], ["ner"])
    assert 0 < cell["f1"] == scores.f1("ner") < 1
    assert cell["gold"] == sum(len(record.entities) for record in GOLD["es"])
    assert cell["predicted"] == cell["gold"] - cell["fn"]
    assert cell["records"] == 12
    assert table["good"]["en"]["re"]["f1"] == 1.0
    assert "es" not in table["good"]


def test_the_terminal_shows_every_figure_and_dashes_where_there_is_none():
    out = StringIO()
    Console(file=out, width=100).print(console_table(score_table(GOLD, ANSWERS), untuned=("es",)))
    lines = [[cell.strip() for cell in line.strip()[1:-1].split("│")] for line in out.getvalue().splitlines()]
    table = score_table(GOLD, ANSWERS)
    assert "[b]" in out.getvalue()
    assert ["Entities (NER)", "en", f"{100 * table['[b]']['en']['ner']['f1']:.1f}", "100.0"] in lines
    assert ["", "es*", f"{100 * table['[b]']['es']['ner']['f1']:.1f}", "–"] in lines
    assert ["Relations (RE)", "en", "–", "100.0"] in lines


def test_where_nothing_is_to_be_found_there_is_no_figure():
    nothing = [replace(record, entities=()) for record in GOLD["en"]]
    table = score_table({"en": nothing}, {"s": {"en": {"ner": answered("en", "ner")}}})
    out = StringIO()
    Console(file=out, width=100).print(console_table(table))
    assert "–" in out.getvalue()
    assert "0.0" not in out.getvalue()


def test_an_answer_without_gold_is_refused():
    stranger = replace(GOLD["en"][0], id="stranger")
    with pytest.raises(KcxError, match="stranger"):
        score_table(GOLD, {"s": {"en": {"ner": [Answered("stranger", "[]", stranger)]}}})
