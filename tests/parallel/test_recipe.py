"""ParallelNER's recipe: its file, its mistakes, and one per cent of it on real sentences.

No model translates here. The sentences' "translations" are made by replacing words one by one, so that the
scripted server knows the right answers: this tests plumbing only, and none of its figures says anything about
a model.
"""

import re
from itertools import pairwise, product
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from kcx_jax.cli.parallel import app
from kcx_jax.corpora import Mention, ParallelRecord, Record, read_parallel, read_records, write_records
from kcx_jax.errors import BudgetExceeded, UsageError
from kcx_jax.parallel import Run
from kcx_jax.parallel.recipe import load_recipe
from kcx_jax.parallel.runs.presets import PRESETS
from kcx_jax.parallel.runs.shards import in_share
from kcx_jax.testing.llm_server import ScriptedServer

RECIPE = Path(__file__).resolve().parents[2] / "configs" / "parallel" / "parallelner.yaml"
HAN = [
    chr(code)
    for code in range(0x4E00, 0x9FA6)
    if all(chr(code).encode(name, "ignore") for name in ("gb2312", "big5"))
]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def pseudo_translated(records: list[Record], target: str) -> list[ParallelRecord]:
    """Each word of letters by two Han characters, or each Han character by three letters; one to one."""
    words = r"[^\W\d_]+" if target == "zh" else r"[\u4e00-\u9fff]"
    pieces = f"{words}|." if target == "zh" else f"{words}|[^\u4e00-\u9fff]+"
    letters = "abcdefghijklmnopqrstuvwxyz"
    codes = map("".join, product(HAN, repeat=2) if target == "zh" else product(letters, repeat=3))
    book: dict[str, str] = {}
    pairs = []
    for record in records:
        bounds = sorted({0, len(record.text), *(b for m in record.entities for b in (m.start, m.end))})
        text, starts, ends = "", {}, {}
        for start, end in pairwise(bounds):
            begun = len(text)
            for piece in re.findall(pieces, record.text[start:end]):
                if re.fullmatch(words, piece):
                    if piece not in book:
                        book[piece] = next(codes)
                    piece = book[piece] if target == "zh" else f"{book[piece]} "
                text += piece
            written = text[begun:]
            starts[start] = begun + len(written) - len(written.lstrip())
            ends[end] = begun + len(written.rstrip())
            if target == "en" and not text.endswith(" "):
                text += " "
        text = text.rstrip()
        mentions = tuple(
            Mention(m.id, m.type, starts[m.start], ends[m.end], text[starts[m.start] : ends[m.end]])
            for m in record.entities
        )
        pairs.append(ParallelRecord(record.id, record, Record(record.id, target, text, mentions)))
    assert len(set(book.values())) == len(book)  # reversible
    return pairs


def _run(*arguments: str):
    return CliRunner().invoke(app, ["recipe", *arguments], catch_exceptions=True)


def test_the_recipe_is_the_papers():
    recipe = load_recipe(RECIPE)
    assert [(corpus.reader, corpus.source, corpus.target) for corpus in recipe.corpora] == [
        ("wikineural", "en", "zh"),
        ("cluener", "zh", "en"),
    ]
    assert all("train" in corpus.path for corpus in recipe.corpora)
    assert PRESETS[recipe.preset] == ("gpt-4o-mini", "gpt-4o")


def test_one_per_cent_of_the_real_corpora_then_two(shared, tmp_path):
    """The first 5,000 sentences of WikiNEuRal that are here (of dev) stand in for its train split."""
    files = {
        "wikineural/data/wikineural/en/train.conllu": "wikineural/en/val.first5000.conllu",
        "cluener/dataset/train.json": "cluener/train.json",
    }
    for path, real in files.items():
        (tmp_path / "corpora" / path).parent.mkdir(parents=True)
        (tmp_path / "corpora" / path).symlink_to(shared / "data" / "ner" / real)
    chosen: dict[str, list[Record]] = {}
    for corpus in load_recipe(RECIPE).corpora:
        records = read_records(
            tmp_path / "corpora" / corpus.path, reader=corpus.reader, language=corpus.source
        )
        chosen[corpus.name] = list(in_share(records, 0.02))
    truth = {name: pseudo_translated(records, name[-2:]) for name, records in chosen.items()}
    counts = {}
    faults = {"missing_span": 0.1, "paraphrased_span": 0.1, "broken_json": 0.05}
    with ScriptedServer(
        pairs=[p for pairs in truth.values() for p in pairs], faults=faults, seed=5
    ) as server:
        for share in ("0.01", "0.01", "0.02"):
            before = server.bill.requests
            made = _run(
                *(str(RECIPE), "--corpora", str(tmp_path / "corpora"), "--out", str(tmp_path / "out")),
                *("--share", share, "--base-url", server.base_url),
            )
            assert made.exit_code == 0, (made.output, made.exception)
            counts[share] = server.bill.requests - before
        assert counts["0.01"] == 0  # the second time
        assert server.bill.paid_twice == 0
    for name, pairs in truth.items():
        right = {pair.id: pair for pair in pairs}
        found = list(read_parallel(tmp_path / "out" / name / "parallel.jsonl"))
        people = (tmp_path / "out" / name / "unresolved.jsonl").read_text().splitlines()
        assert len(found) + len(people) == len(right)
        assert len(found) > 0.9 * len(right) > 50
        for pair in found:
            assert pair.source == right[pair.id].source
            if pair.provenance["stage"] != "rewrite_sentence":  # which keeps a paraphrase that was asked for
                assert pair.target.text == right[pair.id].target.text
                assert pair.target.entities == right[pair.id].target.entities
        assert (tmp_path / "out" / name / "report.html").exists()


def test_a_share_is_about_so_many_and_a_larger_one_holds_the_smaller():
    records = [Record(f"r{n}", "en", f"Sentence {n}.", ()) for n in range(4000)]
    one, two = ({record.id for record in in_share(records, share)} for share in (0.1, 0.2))
    assert one < two
    assert 340 < len(one) < 460  # 400 expected, with a deviation of 19
    assert list(in_share(records, 1.0)) == records
    assert list(in_share(records, 0.0)) == []


@pytest.fixture
def small(tmp_path):
    """A recipe of two corpora of ten sentences, and their translations."""
    pairs = []
    for name in ("a", "b"):
        records = [
            Record(f"{name}{n}", "en", f"{name}{n} is a town.", (Mention("e0", "City", 0, 2, f"{name}{n}"),))
            for n in range(10)
        ]
        write_records(records, tmp_path / "corpora" / f"{name}.jsonl")
        for record in records:
            target = Record(record.id, "zh", f"{record.id}是一座城镇。", record.entities)
            pairs.append(ParallelRecord(record.id, record, target))
    corpora = [{"name": name, "path": f"{name}.jsonl", "source": "en", "target": "zh"} for name in "ab"]
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({"directions": "both", "corpora": corpora}))
    return pairs


def _small_run(tmp_path, server, *more: str):
    folders = ("--corpora", str(tmp_path / "corpora"), "--out", str(tmp_path / "out"))
    return _run(str(tmp_path / "recipe.yaml"), *folders, "--base-url", server.base_url, *more)


def test_a_recipe_says_what_was_made_and_keeps_what_it_was_made_by(small, tmp_path):
    with ScriptedServer(pairs=small) as server:
        made = _small_run(tmp_path, server)
    assert made.exit_code == 0, made.output
    assert "a: 10 pairs in" in made.stderr
    assert load_recipe(tmp_path / "out" / "recipe.yaml") == load_recipe(tmp_path / "recipe.yaml")
    assert load_recipe(tmp_path / "out" / "recipe.yaml").directions == "both"


def _provenance(tmp_path, name: str) -> dict[str, dict]:
    return {pair.id: pair.provenance for pair in read_parallel(tmp_path / "out" / name / "parallel.jsonl")}


def test_a_corpus_is_translated_as_it_says_else_as_the_recipe_says_else_as_usual(small, tmp_path):
    values = yaml.safe_load((tmp_path / "recipe.yaml").read_text()) | {
        "variant": "xml",
        "glossary": "names.tsv",
    }
    values["corpora"][1]["variant"] = "joint"
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
    (tmp_path / "corpora" / "names.tsv").write_text("zh\ta1\ta1\nzh\tb2\tb2\n")
    with ScriptedServer(pairs=small) as server:
        assert _small_run(tmp_path, server).exit_code == 0
    for name, variant, settled in (("a", "xml", "a1"), ("b", "joint", "b2")):
        made = _provenance(tmp_path, name)
        assert {provenance["variant"] for provenance in made.values()} == {variant}
        assert [id for id in made if "glossary" in made[id]] == [settled]


def test_the_command_line_takes_the_place_of_the_recipe(small, tmp_path, monkeypatch):
    values = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    values["corpora"][1] |= {"variant": "joint", "glossary": "gone.tsv"}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
    (tmp_path / "mine.tsv").write_text("zh\ta1\ta1\nzh\tb2\tb2\n")
    monkeypatch.chdir(tmp_path)
    with ScriptedServer(pairs=small) as server:
        failed = _small_run(tmp_path, server)
        assert "cannot read the glossary" in str(failed.exception)
        assert "gone.tsv" in str(failed.exception)
        assert server.bill.requests == 0  # not even for the first corpus
        assert _small_run(tmp_path, server, "--variant", "xml", "--glossary", "mine.tsv").exit_code == 0
    for name, settled in (("a", "a1"), ("b", "b2")):
        made = _provenance(tmp_path, name)
        assert {provenance["variant"] for provenance in made.values()} == {"xml"}
        assert [id for id in made if "glossary" in made[id]] == [settled]


def test_a_budget_is_of_the_whole_recipe(small, tmp_path):
    """What one corpus costs, and one request more: the first corpus is built, the second one only begun."""
    with ScriptedServer(pairs=small) as server:
        assert _small_run(tmp_path, server).exit_code == 0
    with Run.open(tmp_path / "out" / "a") as run:
        reserved = run.ledger.store.read("SELECT max(reserved_nano_usd) FROM call").fetchone()[0]
        budget = (run.ledger.spent().known + reserved) / 1e9
    (tmp_path / "out").rename(tmp_path / "before")
    with ScriptedServer(pairs=small) as server:
        stopped = _small_run(tmp_path, server, "--budget", f"{budget:.9f}", "--concurrency", "1")
        assert isinstance(stopped.exception, BudgetExceeded)
        assert 10 < server.bill.answers < 15
        again = _small_run(tmp_path, server)
        assert again.exit_code == 0
        assert server.bill.answers == 20


def test_corpora_that_are_not_there_are_named_before_anything_is_sent(small, tmp_path):
    (tmp_path / "corpora" / "b.jsonl").unlink()
    with ScriptedServer(pairs=small) as server:
        failed = _small_run(tmp_path, server)
        assert server.bill.requests == 0
    assert isinstance(failed.exception, UsageError)
    assert "b.jsonl" in str(failed.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"presett": "paper"}, "unknown key 'presett'; did you mean 'preset'"),
        ({"preset": "best"}, "preset: unknown preset 'best': one of paper, current"),
        ({"directions": "backward"}, "directions: Input should be 'forward' or 'both'"),
        ({"variant": "html"}, "variant: String should match pattern '^(joint|xml)$'"),
        ({"glossary": 7}, "glossary: Input should be a valid string"),
        ({"corpora": []}, "corpora: "),
        ({"corpora": 7}, "corpora: "),
        ({"corpora": [{"name": "../x", "path": "p", "source": "en", "target": "zh"}]}, "corpora.0.name: "),
        ({"corpora": [{"name": "x", "path": "p", "source": "en", "target": "zh"}] * 2}, "same name: x"),
        ({"corpora": [{"name": "x", "path": "p", "sourc": "en", "target": "zh"}]}, "did you mean 'source'"),
    ],
)
def test_mistakes_in_a_recipe_are_named(small, tmp_path, change, message):
    values = yaml.safe_load((tmp_path / "recipe.yaml").read_text()) | change
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        load_recipe(tmp_path / "recipe.yaml")
    assert str(tmp_path / "recipe.yaml") in str(caught.value)


@pytest.mark.parametrize("text", ["[", "- a", "", "\x00", "a: " + "[" * 5000])
def test_what_is_no_recipe_at_all_says_so(tmp_path, text):
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(UsageError, match=re.escape("recipe.yaml")):
        load_recipe(tmp_path / "recipe.yaml")
