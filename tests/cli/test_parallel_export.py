"""``kcx parallel pair`` and ``export``: from the command line to the file, and back."""

import json
from dataclasses import replace

import pytest

from kcx_jax.corpora import (
    Mention,
    ParallelRecord,
    Record,
    read_parallel,
    read_records,
    write_parallel,
    write_records,
)
from kcx_jax.llm import ChatClient
from kcx_jax.parallel import build
from kcx_jax.parallel.runs.shards import in_shard
from kcx_jax.testing.llm_server import ScriptedServer


def _pair(n: int) -> ParallelRecord:
    source, target = f"Ada{n} went.", f"艾达{n}走了。"
    return ParallelRecord(
        f"r{n}",
        Record(f"r{n}", "en", source, (Mention("e0", "Person", 0, source.index(" "), source.split()[0]),)),
        Record(f"r{n}", "zh", target, (Mention("e0", "Person", 0, target.index("走"), target[:-3]),)),
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    pairs = [_pair(n) for n in range(12)]
    with ScriptedServer(
        pairs=pairs, faults=lambda ask: "untranslated" if "Ada3" in ask.sentence else None
    ) as server:
        build([pair.source for pair in pairs], "en", "zh", ChatClient("m", server.base_url), folder)
    return folder


def test_every_format_of_a_run(kcx, run, tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "s.py").write_text("class Person(Entity):\n    pass\n")
    for name, *more in (
        ["jsonl"],
        ["parquet", "--catalogue-entry", "crossre"],
        ["conll", "--side", "source", "--allow-loss"],
        ["samples", "--schema", tmp_path / "s.py", "--directions", "both"],
    ):
        code, _, told = kcx("parallel", "export", run, "--output", tmp_path / name, "--format", name, *more)
        assert code == 0, told
        assert "not in it: 1 for people, 0 unfinished" in told
    assert list(read_parallel(tmp_path / "jsonl")) == list(read_parallel(run / "parallel.jsonl"))
    back = list(read_records(tmp_path / "conll", "conll", "en"))
    assert [record.entities[0].text for record in back] == [f"Ada{n}" for n in range(12) if n != 3]
    assert len((tmp_path / "samples").read_text().splitlines()) == 22
    code, _, told = kcx("parallel", "export", tmp_path / "jsonl", "--output", tmp_path / "again.jsonl")
    assert (code, told) == (0, f"11 pairs in {tmp_path / 'again.jsonl'}\n")
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "jsonl").read_bytes()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--format", "csv"], 2, "unknown format 'csv'"),
        (["--format", "samples"], 2, "--schema"),
        (["--format", "conll", "--side", "left"], 2, "unknown side"),
        (["--directions", "back"], 2, "unknown directions"),
        (["--format", "samples", "--schema", "x.py", "--task", "nre"], 2, "unknown task"),
        (["--catalogue-entry", "wikineura"], 2, "wikineural"),
        (["--against", "TEST"], 1, "1 of 1 sentences of"),
    ],
)
def test_mistakes_are_named_and_leave_no_file(kcx, run, tmp_path, words, code, message):
    write_records([replace(_pair(5).target, id="t")], tmp_path / "TEST")
    words = [tmp_path / word if word == "TEST" else word for word in words]
    found, _, told = kcx("parallel", "export", run, "--output", tmp_path / "out", *words)
    assert (found, told.count("\n")) == (code, 1)
    assert message in told
    assert not (tmp_path / "out").exists()


def test_no_run_is_one_message(kcx, tmp_path):
    code, _, told = kcx("parallel", "export", tmp_path / "nowhere", "--output", tmp_path / "out")
    assert code == 1
    assert told.startswith("kcx: no ledger at")
    write_parallel([_pair(0)], tmp_path / "pairs.jsonl")
    (tmp_path / "pairs.jsonl").write_text('{"id": "x"}\n')
    code, _, told = kcx("parallel", "export", tmp_path / "pairs.jsonl", "--output", tmp_path / "out")
    assert code == 1
    assert "pairs.jsonl:1: source" in told


def test_two_corpora_become_pairs(kcx, tmp_path):
    sides = [_pair(n) for n in range(4)]
    mapped = [
        replace(pair.target, meta={"projected_from": {"entities": [0], "relations": []}} if n else {})
        for n, pair in enumerate(sides)
    ]
    write_records([pair.source for pair in sides], tmp_path / "en.jsonl")
    write_records(mapped, tmp_path / "zh.jsonl")
    files = (tmp_path / "en.jsonl", tmp_path / "zh.jsonl", "--source", "en", "--target", "zh")
    code, _, told = kcx("parallel", "pair", *files, "--output", tmp_path / "out.jsonl")
    assert (code, told.splitlines()[0]) == (0, f"3 pairs in {tmp_path / 'out.jsonl'}")
    assert "set aside: 1 records that do not say what" in told
    made = list(read_parallel(tmp_path / "out.jsonl"))
    assert [(pair.source, pair.target) for pair in made] == [(pair.source, pair.target) for pair in sides[1:]]
    assert all(
        json.loads(line)["provenance"] == {"stage": "joined"} for line in (tmp_path / "out.jsonl").open()
    )
    code, _, told = kcx("parallel", "pair", *files, "--output", tmp_path / "no.jsonl", "--against", files[0])
    assert code == 1
    assert "3 of 4 sentences" in told


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A corpus into Chinese and Japanese, in two parts: the folders, and the pairs that are right."""
    folder = tmp_path_factory.mktemp("parts")
    truth = [_pair(n) for n in range(12)]
    for n in range(12):
        target = f"エイダ{n}は行った。"
        mention = Mention("e0", "Person", 0, target.index("は"), target[: target.index("は")])
        truth.append(ParallelRecord(f"r{n}", truth[n].source, Record(f"r{n}", "ja", target, (mention,))))
    with ScriptedServer(pairs=truth) as server:
        for part in (0, 1):
            records = in_shard((pair.source for pair in truth[:12]), part, 2)
            client = ChatClient("m", server.base_url)
            build(records, "en", ["zh", "ja"], client, folder / f"{part}", shard=(part, 2)).close()
    return [folder / "0", folder / "1"], truth


@pytest.mark.parametrize("command", ["export", "merge"])
def test_of_several_targets_one_is_named(kcx, parts, tmp_path, command):
    folders, truth = parts
    given = folders if command == "merge" else folders[:1]
    for more in ((), ("--target", "de")):
        code, _, told = kcx("parallel", command, *given, "--output", tmp_path / "out.jsonl", *more)
        assert (code, "has the targets zh, ja: name one with --target" in told) == (2, True), told
        assert not (tmp_path / "out.jsonl").exists()
    sizes = {}
    for language in ("zh", "ja"):
        out = tmp_path / f"{language}.jsonl"
        code, _, told = kcx("parallel", command, *given, "--output", out, "--target", language)
        assert (code, "0 for people, 0 unfinished" in told) == (0, True), told
        made = {pair.id: pair.target for pair in read_parallel(out)}
        right = {pair.id: pair.target for pair in truth if pair.target.language == language}
        assert made == {id: right[id] for id in made}
        assert len(out.read_text().splitlines()) == len(made)
        sizes[language] = len(made)
    assert sizes["zh"] == sizes["ja"] > 0
    assert command == "export" or sizes["zh"] == 12


def test_a_part_that_is_not_among_those_merged_is_named(kcx, parts, tmp_path):
    folders, _ = parts
    for given, missing in (((0, 1), None), ((1,), "0/2"), ((0,), "1/2")):
        output = tmp_path / f"{given}.jsonl"
        runs = [folders[part] for part in given]
        code, _, told = kcx("parallel", "merge", *runs, "--output", output, "--target", "zh")
        assert (code, "no run is part" in told) == (0, missing is not None), told
        assert missing is None or f"no run is part {missing} of the corpus" in told


def test_of_a_file_of_pairs_a_target_takes_its_own(kcx, parts, tmp_path):
    _, truth = parts
    write_parallel(truth, tmp_path / "in.jsonl")
    code, *_ = kcx("parallel", "export", tmp_path / "in.jsonl", "--output", tmp_path / "o", "--target", "ja")
    assert code == 0
    assert [pair.target for pair in read_parallel(tmp_path / "o")] == [pair.target for pair in truth[12:]]
