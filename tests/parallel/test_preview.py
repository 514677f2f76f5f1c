"""A preview: what it draws, and that the build after it goes on from there."""

import random
from collections import Counter

import pytest

from kcx_jax.corpora import Mention, Record, read_parallel
from kcx_jax.errors import KcxError, UsageError
from kcx_jax.llm import ChatClient, RetryPolicy
from kcx_jax.parallel import Run, build
from kcx_jax.parallel.preview import draw, preview
from kcx_jax.parallel.report import report
from kcx_jax.testing.llm_server import ScriptedServer


def _client(server: ScriptedServer, model: str = "small") -> ChatClient:
    return ChatClient(model, server.base_url, retry=RetryPolicy(first_wait=0.01, breaker=99))


def _record(n: int, type_: str, length: int) -> Record:
    text = "Ada".ljust(length, ".")
    return Record(f"r{n}", "en", text, (Mention("e0", type_, 0, 3, "Ada"),))


def test_a_preview_has_the_rare_types_and_lengths_too_and_does_not_depend_on_the_order():
    records = [_record(n, "Person", 30) for n in range(500)]
    records += [_record(500, "City", 30), _record(501, "Person", 900), Record("r502", "en", "Rain.", ())]
    for seed in range(3):
        drawn = draw(records, 20, seed)
        assert len({record.id for record in drawn}) == 20
        assert {"r500", "r501", "r502"} <= {record.id for record in drawn}
        shuffled = random.Random(seed).sample(records, len(records))
        assert {record.id for record in draw(shuffled, 20, seed)} == {record.id for record in drawn}
    assert draw(records, 20, 0) != draw(records, 20, 1)


def test_a_corpus_smaller_than_the_preview_is_drawn_whole_and_one_with_more_strata_in_part():
    records = [_record(n, f"T{n}", 30) for n in range(10)]
    assert sorted(record.id for record in draw(records, 99)) == sorted(record.id for record in records)
    assert len(draw(records, 3)) == 3
    firsts = Counter(draw(records, 1, seed)[0].id for seed in range(300))
    assert len(firsts) == 10  # no stratum always comes first
    assert draw([], 5) == []


def test_the_build_after_a_preview_pays_for_none_of_it_again(pairs, tmp_path):
    faults = {"missing_span": 0.3, "paraphrased_span": 0.2}
    records = [pair.source for pair in pairs]
    with ScriptedServer(faults=faults, seed=2, pairs=pairs) as server:
        calm = build(records, "en", "zh", _client(server), tmp_path / "calm")
        alone = server.bill.answers
    with ScriptedServer(faults=faults, seed=2, pairs=pairs) as server:
        for _ in range(2):  # the second one asks for nothing
            looked = preview(records, "en", "zh", _client(server), tmp_path / "run", size=8)
            assert looked.statistics().finished == report(looked)["records"] == 8
            paid = server.bill.answers
        assert 8 <= paid < alone
        smaller = preview(records, "en", "zh", _client(server), tmp_path / "run", size=5)
        assert (smaller.statistics().finished, server.bill.answers) == (5, paid)
        built = build(records, "en", "zh", _client(server), tmp_path / "run")
        assert server.bill.answers == alone
        assert server.bill.paid_twice == 0
    assert list(built.pairs()) == list(calm.pairs())  # all of them, in the order of the input
    assert list(read_parallel(tmp_path / "run" / "parallel.jsonl")) == list(calm.pairs())
    assert built.statistics().to_json() == calm.statistics().to_json()


def test_a_built_run_is_not_replaced_by_a_preview(pairs, tmp_path):
    records = [pair.source for pair in pairs[:10]]
    with ScriptedServer(pairs=pairs) as server:
        build(records, "en", "zh", _client(server), tmp_path)
        with pytest.raises(UsageError, match="was built already"):
            preview(records, "en", "zh", _client(server), tmp_path, size=3)
    assert Run.open(tmp_path).statistics().finished == 10


def test_a_preview_that_began_with_nothing_leaves_no_trace(pairs, tmp_path):
    """Its input was refused: the build that follows is a build, not a preview."""
    records = [pair.source for pair in pairs[:10]]
    with ScriptedServer(pairs=pairs) as server:
        with pytest.raises(KcxError, match="not in the source language"):
            preview(records, "de", "zh", _client(server), tmp_path, size=3)
        build(records, "en", "zh", _client(server), tmp_path)
        with pytest.raises(UsageError, match="was built already"):
            preview(records, "en", "zh", _client(server), tmp_path, size=3)
