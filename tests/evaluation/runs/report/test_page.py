"""The page as a parser reads it: the values of the run, strangers' words as words, and its room."""

import json
import re
from collections import Counter
from threading import Event, Thread
from time import sleep

import pytest

from kcx_jax.errors import KcxError
from kcx_jax.evaluation.browser import Cards
from kcx_jax.evaluation.runs.report import write, write_report
from kcx_jax.evaluation.runs.report.page import MOST_BYTES, NAVIGATION, write_run_page
from kcx_jax.evaluation.runs.report.pooled import pooled
from kcx_jax.evaluation.runs.report.sections import _notes
from kcx_jax.evaluation.runs.report.sentences import FILE, write_sentences
from kcx_jax.evaluation.runs.report.standings import standings
from kcx_jax.page import escape

from ....page_reader import Page, assert_nothing_is_loaded_and_only_our_script_may_run
from .conftest import ATTACK, SYSTEMS, make_folder


@pytest.fixture(scope="module")
def text(folder) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text) -> Page:
    return Page(text)


def test_nothing_is_loaded_and_only_our_script_may_run(page):
    assert_nothing_is_loaded_and_only_our_script_may_run(page)


def test_strangers_words_are_words(page, text):
    assert text.count("onerror=") == page.text.count("onerror=") > 10
    assert not [found for found in page.all("b") if found.get("id") == "hit"]
    assert "\u2407" in page.text  # the bell, as its picture
    assert page.text.count("</script>") > 10


def test_anchors_lead_somewhere_and_ids_are_unique(page):
    ids = [found["id"] for _, found in page.elements if "id" in found]
    assert len(ids) == len(set(ids))
    assert {found["href"][1:] for found in page.all("a")} == set(NAVIGATION) <= set(ids)


def test_the_leaderboard_has_every_system_and_figure(run, page):
    rows = page.rows["leaderboard"]
    for each in standings(run).values():
        for place, one in enumerate(each, 1):
            low, high = one.interval
            wanted = [
                f"{place}{one.system}",
                "",
                f"{100 * one.f1:.1f}",
                f"{100 * low:.1f} – {100 * high:.1f}",
            ]
            assert [*wanted, f"{one.run} of {one.of}"] in rows


def test_the_table_has_measured_and_published_cells_side_by_side(run, page):
    (head, *rows) = page.rows["benchmarks"]
    assert head[1:3] == list(SYSTEMS)
    assert "KnowCoder-X (published)" in head
    row = next(row for row in rows if row[0].startswith("demo_en") and "NER" in row[0])
    cell = run.rows[0]["measured"]["damaged"]
    low, high = cell["f1_interval_95"]
    assert row[2].startswith(f"{100 * cell['f1']:.1f}{100 * low:.1f} – {100 * high:.1f}")
    assert row[2].endswith("1 without an answer")
    assert row[head.index("KnowCoder-X (published)")] == "94.7"
    assert "on 100 samples only" in row[head.index("YAYI-UIE (published)")]
    assert len(rows) == len(run.table["rows"])


def test_notes_that_a_reader_needs_are_not_folded():
    def notes(*texts):
        return "".join(_notes(texts))

    few, many = [f"note {n} <b>" for n in range(3)], [f"note {n}" for n in range(30)]
    assert "<details" not in notes(*few)
    assert notes(*few).count("&lt;b&gt;") == 3
    needed = [
        "not run: a on b (ner): gone",
        "b: 20 records, so the published cells beside it are not comparable",
    ]
    folded = notes(*many, *needed)
    assert folded.count("<li>") == 32
    assert all(folded.index(escape(note)) < folded.index("<details") for note in needed)


@pytest.mark.parametrize(("name", "part"), [("languages", "per_language"), ("types", "per_type")])
def test_heat_maps_have_every_figure(run, page, name, part):
    rows = Counter(tuple(row) for row in page.rows[name])
    for labels in pooled(run, part).values():
        for label, systems in labels.items():
            gold = max(counts.tp + counts.fn for counts in systems.values())
            shown = label if label else "(none)"
            cells = [
                "–" if not (c.tp or c.fp or c.fn) else f"{100 * c.f1:.1f}"
                for c in (systems[s] for s in SYSTEMS)
            ]
            assert rows[(f"{shown}{gold:.0f} in gold", *cells)], (label, cells)


def test_the_kinds_of_errors_are_those_of_the_sentences_and_lead_to_them(run, page):
    rows = page.rows["errors"]
    links = [found["data-show"] for found in page.all("button") if "data-show" in found]
    found = []
    for (task, system), counts in write_sentences(run).counts.items():
        for kind, count in counts.items():
            number = SYSTEMS.index(system)
            found.append(f"task={task}&system{number}={kind}")
            words = kind.replace("_", " ")
            assert any(row[0].startswith(words) and row[1 + number] == f"{count:,}" for row in rows), (
                task,
                kind,
            )
    assert sorted(found) == sorted(links)


def test_every_sentence_has_its_card_once(run, page):
    cards = page.all("article")
    entries = write_sentences(run).entries
    assert Counter((c["data-source"], c["data-task"]) for c in cards) == Counter(e.group for e in entries)
    assert f"all {len(entries)}" in page.text
    wrong = [c["data-right"] != "0 1" for c in cards]
    assert wrong == sorted(wrong, reverse=True)  # those with errors first
    assert [("hidden" in c) for c in cards] == [place >= 4 for place in range(len(cards))]


def test_a_page_is_not_longer_than_its_cards_however_many(run):
    sentences = write_sentences(run)
    cards = Cards(run.systems, list(sentences.types), {}, {})
    made = [cards.card(sentences.case(entry)) for entry in sentences.entries] * 50
    assert len(cards.html(made)) - len(cards.html([])) <= sum(map(len, made))


def test_a_small_page_says_so_and_keeps_every_kind(run, folder, text):
    sentences = write_sentences(run)
    kinds = set().union(*(entry.kinds for entry in sentences.entries))
    cards = sum(len(card.encode()) for card in re.findall(r"<article.*?</article>", text, re.DOTALL))
    bare = len(text.encode()) - cards
    sizes = []
    for room in (cards // 5, cards // 2):
        path = write_run_page(run, sentences, bare + room)
        small = path.read_text(encoding="utf-8")
        assert len(small.encode("utf-8")) <= bare + room
        page = Page(small)
        shown = page.all("article")
        tokens = {t.split(".")[1] for card in shown for t in card["data-items"].split()}
        assert tokens == kinds
        assert f"{len(shown)} of {len(sentences.entries)}" in page.text
        assert FILE in page.text
        sizes.append(len(shown))
    assert 4 < sizes[0] < sizes[1] < len(sentences.entries)
    write_report(folder)
    assert (folder / "report.html").read_text(encoding="utf-8") == text  # and the same bytes as at first
    assert len(text.encode()) < MOST_BYTES


def test_what_is_not_run_says_so(tmp_path):
    other = {"kind": "outputs", "name": "absent", "path": str(tmp_path / "absent.jsonl")}
    gold = {
        "kind": "outputs",
        "name": "gold",
        "path": f"{tmp_path}/gold_{{benchmark}}.jsonl",
        "format": "records",
    }
    folder = make_folder(tmp_path, count=2, systems=[other, gold])
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert ["–absent", "", "not run", "", "0 of 3"] in page.rows["leaderboard"]
    head = ["language", "gold", "absent"]  # of each task's table
    assert head in page.rows["languages"]
    rows = [row for row in page.rows["languages"] if row != head]
    assert {row[2] for row in rows} == {"not run"}
    assert {row[1] for row in rows} <= {"100.0", "–"}
    assert "absent.jsonl is not there" in page.text
    assert page.text.count("not asked") == len(page.all("article"))


def test_a_folder_that_is_none_of_ours(tmp_path):
    with pytest.raises(KcxError, match=r"holds no table\.json"):
        write_report(tmp_path)
    assert not list(tmp_path.iterdir())


def test_two_that_write_the_page_wait_for_each_other(tmp_path, monkeypatch):
    """Its cards are read back from the sentences beside it: not from those that the other is writing."""
    root, begun, left = make_folder(tmp_path, count=2), [], Event()

    def late(run):
        begun.append(run)
        assert left.wait(60)
        return write_sentences(run)

    monkeypatch.setattr(write, "write_sentences", late)
    both = [Thread(target=write_report, args=[root]) for _ in range(2)]
    for each in both:
        each.start()
    sleep(2)
    assert len(begun) == 1
    left.set()
    for each in both:
        each.join()
    assert len(begun) == 2


def test_a_damaged_table_is_named(tmp_path):
    folder = make_folder(tmp_path, count=1)
    (folder / "table.json").write_text(json.dumps({"rows": []})[:-1])
    with pytest.raises(KcxError, match=r"cannot read .*table\.json"):
        write_report(folder)


def test_the_attack_is_one():
    """What the tests above send must be able to do harm where it is not escaped."""
    found = Page(f"<script>{ATTACK}</b>").all("img")
    assert found
    assert "onerror" in found[0]
