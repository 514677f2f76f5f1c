"""``kcx parallel review``: out, filled in, back, and into the export."""

import json
from dataclasses import replace

from kcx_jax.corpora import Mention, ParallelRecord, Record, read_parallel
from kcx_jax.llm import ChatClient
from kcx_jax.parallel import build
from kcx_jax.testing.llm_server import ScriptedServer


def _pair(n: int) -> ParallelRecord:
    source, target = Record(f"r{n}", "en", f"Ada{n} went."), f"艾达{n}走了。"
    mentions = (Mention("e0", "Person", 0, source.text.index(" "), source.text.split()[0]),)
    other = (Mention("e0", "Person", 0, target.index("走"), target[:-3]),)
    return ParallelRecord(
        f"r{n}", Record(f"r{n}", "en", source.text, mentions), Record(f"r{n}", "zh", target, other)
    )


def test_out_and_back(kcx, tmp_path):
    pairs = [_pair(n) for n in range(4)]
    run, sheet = tmp_path / "run", tmp_path / "cases.jsonl"
    with ScriptedServer(pairs=pairs, faults={"untranslated": 1.0}) as server:
        build([pair.source for pair in pairs], "en", "zh", ChatClient("m", server.base_url), run)
    assert kcx("parallel", "review", "export", run, "--output", sheet)[0] == 0
    rows = [json.loads(line) for line in sheet.read_text().splitlines()]
    rows[0]["decision"] = {"sentence": pairs[0].target.text, "spans": {"s0": "艾达0"}}
    rows[1]["decision"] = {"sentence": pairs[1].target.text, "spans": {"s0": "\x1b[31m"}}
    sheet.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    code, _, told = kcx("parallel", "review", "import", run, sheet)
    assert code == 1
    first, refused, last = told.splitlines()
    assert first == "1 decisions taken, 0 were there already"
    assert refused.startswith("refused: r1: ")
    assert "\x1b" not in refused
    assert "1 decisions of" in last
    code, _, told = kcx("parallel", "export", run, "--output", tmp_path / "pairs.jsonl")
    assert (code, told.count("3 for people")) == (0, 1)
    (made,) = read_parallel(tmp_path / "pairs.jsonl")
    assert (made.target, made.provenance["stage"]) == (pairs[0].target, "people")
    _, _, told = kcx("parallel", "review", "export", run, "--output", tmp_path / "rest.json")
    assert told == f"3 cases in {tmp_path / 'rest.json'}; decided already: 1\n"
    assert len(json.loads((tmp_path / "rest.json").read_text())) == 3
    mended = replace(pairs[0].source, entities=(replace(pairs[0].source.entities[0], type="Poet"),))
    with ScriptedServer(pairs=pairs, faults={"untranslated": 1.0}) as server:
        build([mended, pairs[1].source], "en", "zh", ChatClient("m", server.base_url), run)
    _, _, told = kcx("parallel", "review", "export", run, "--output", tmp_path / "mended.json")
    assert told == f"2 cases in {tmp_path / 'mended.json'}; decided already: 0\n"
    code, _, told = kcx("parallel", "review", "import", run, sheet, "--format", "xls")
    assert (code, told.count("unknown format")) == (2, 1)
