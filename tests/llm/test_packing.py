"""Packed texts: what comes out is what went in, in whatever order, process and kind, and it takes little room."""

import json
import os
import sqlite3
import subprocess
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcx_jax.errors import KcxError
from kcx_jax.llm import Ledger
from kcx_jax.llm.packing import Packing
from kcx_jax.llm.transport import Answer


def _packing(patterns: dict[str, bytes]) -> Packing:
    """One that keeps its patterns in a dict, as if on disk."""
    return Packing("somewhere.db", lambda sql: patterns.items(), lambda sql, *row: patterns.update([row]))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.binary() | st.text(st.characters(codec=None)))))
def test_what_was_packed_comes_back_here_and_in_a_later_process(texts):
    patterns: dict[str, bytes] = {}
    here = _packing(patterns)
    packed = [here.pack(kind, text) for kind, text in texts]
    for reader in (here, _packing(patterns)):
        for (_, text), each in zip(texts, packed, strict=True):
            if isinstance(text, bytes):
                assert reader.unpack(each) == text
            else:
                assert reader.unpack_text(each) == text


def test_two_patterns_of_one_checksum_are_not_taken_for_each_other(monkeypatch):
    monkeypatch.setattr(zlib, "adler32", lambda text: 7)
    packing = _packing({})
    packing.learn("a", b"one pattern " * 20)
    other = b"another, which is not the first " * 20
    assert zlib.decompress(packing.pack("b", other)) == other  # without a dictionary


def test_a_reader_knows_what_a_writer_learnt_after_it_came():
    patterns: dict[str, bytes] = {}
    writer, reader = _packing(patterns), _packing(patterns)
    assert reader.unpack(writer.pack("kind", b"text " * 50)) == b"text " * 50


@given(st.binary(max_size=40), st.integers(0, 10))
def test_what_is_damaged_is_said_with_the_ledgers_name(noise, cut):
    packing = _packing({})
    whole = packing.pack("kind", b"some text that is kept")
    for damaged in (noise, whole[:cut], whole[:-1], whole + b"x"):
        with pytest.raises(KcxError, match=r"the ledger somewhere\.db is damaged"):
            packing.unpack(damaged)


def test_what_repeats_between_calls_stands_in_the_file_once(tmp_path):
    instruction = os.urandom(1000).hex()
    own = [os.urandom(20).hex() for _ in range(1000)]
    with Ledger(tmp_path / "ledger.db") as ledger:
        for text in own:
            request = json.dumps({"messages": [instruction, text]})
            call = ledger.intend(b"k" * 16, stage="s", record="r", model="m", request=request)
            ledger.answer(call, Answer(json.dumps({"usage": 5, "text": text}).encode(), 200, None))
        ledger.store.flush()
        assert [json.loads(ledger.request(n + 1))["messages"] for n in range(1000)] == [
            [instruction, text] for text in own
        ]
    # About 300 bytes a call, more or less by how commits split pages; the instruction alone has 2,000.
    assert (tmp_path / "ledger.db").stat().st_size < 1000 * 500


def test_a_pattern_is_on_disk_with_the_first_text_that_leans_on_it(tmp_path):
    """A process that dies right after its first commit leaves nothing that cannot be read."""
    code = f"""
import os
from kcx_jax.llm import Ledger
from kcx_jax.llm.transport import Answer
ledger = Ledger({str(tmp_path / "ledger.db")!r})
call = ledger.intend(b"k", stage="s", record="r", model="m", request="request " * 9)
ledger.answer(call, Answer(b"reply " * 9, 200, None))
ledger.store.flush()
os._exit(137)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 137
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert (ledger.answers(b"k"), ledger.request(1)) == ([b"reply " * 9], "request " * 9)


def test_what_people_ask_needs_no_unpacking(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.intend(b"k", stage="translate", record="r1", model="m", request="{}", reserved=5)
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        asked = "SELECT stage, record, model, state, error_class, nano_usd, reserved_nano_usd FROM call"
        assert db.execute(asked).fetchall() == [("translate", "r1", "m", "intent", None, None, 5)]
