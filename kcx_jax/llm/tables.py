"""The tables of a ledger, and how the file of an older version gets them."""

import sqlite3
from pathlib import Path
from typing import Any

from kcx_jax.llm.packing import Packing
from kcx_jax.llm.store import Migration

VERSION = 3
_CALL = """
CREATE TABLE call (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL,            -- digest of the request: the same request has the same key
    stage TEXT NOT NULL,
    record TEXT NOT NULL,
    model TEXT NOT NULL,
    request BLOB NOT NULL,        -- the JSON body as sent, packed
    state TEXT NOT NULL CHECK (state IN ('intent', 'answered', 'failed', 'interrupted')),
    http_status INTEGER,
    request_id TEXT,
    error_class TEXT,
    reply BLOB,                   -- the raw body, packed
    finish_reason TEXT,
    input_tokens INTEGER,         -- NULL: the endpoint did not say
    output_tokens INTEGER,
    sent REAL NOT NULL,
    done REAL,
    batch TEXT,                   -- the batch it was sent in
    cached_tokens INTEGER,
    reasoning_tokens INTEGER,
    nano_usd INTEGER,             -- NULL: not known
    reserved_nano_usd INTEGER NOT NULL DEFAULT 0,  -- the most it can cost
    price TEXT                    -- the row of the price file
);
CREATE INDEX call_by_key ON call (key);
"""
_SAMPLE = """
CREATE TABLE sample (             -- one unit of work: a record, and the language it goes into
    id TEXT NOT NULL,
    target TEXT NOT NULL,
    position INTEGER NOT NULL,    -- in the input
    filled INTEGER NOT NULL,      -- number of the start whose input held it last
    digest BLOB NOT NULL,         -- of source and settings: another digest is other work
    source BLOB NOT NULL,         -- JSON, packed
    duplicate_of TEXT,            -- the id of an earlier record of the input with the same content
    state TEXT NOT NULL,          -- 'pending', or how it ended
    outcome BLOB,                 -- JSON, packed
    UNIQUE (id, target)
);
CREATE INDEX sample_by_position ON sample (filled, position);
"""
_PATTERN = """
CREATE TABLE pattern (            -- what packed texts of a kind lean on
    kind TEXT PRIMARY KEY,
    text BLOB NOT NULL
) WITHOUT ROWID;
"""
_OTHERS = """
CREATE TABLE note (               -- what was learnt of an endpoint, and the like
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE batch (
    key TEXT PRIMARY KEY,         -- its name in the endpoint's metadata
    model TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('creating', 'uploaded', 'created', 'collected')),
    file_id TEXT,
    batch_id TEXT,
    calls INTEGER NOT NULL,
    usage TEXT,                   -- JSON, as the endpoint states it
    created REAL NOT NULL
);
CREATE TABLE review (
    id TEXT NOT NULL,
    target TEXT NOT NULL,
    annotator TEXT NOT NULL,
    decided TEXT NOT NULL,        -- when, as the tool states it
    decision TEXT NOT NULL        -- the pair it makes, JSON
);
"""
TABLES = f"""
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    config TEXT NOT NULL,         -- canonical JSON
    created REAL NOT NULL         -- seconds since 1970
);
{_CALL}{_SAMPLE}{_PATTERN}{_OTHERS}"""

_FROM_1 = f"""
ALTER TABLE call ADD COLUMN batch;
ALTER TABLE call ADD COLUMN cached_tokens;
ALTER TABLE call ADD COLUMN reasoning_tokens;
ALTER TABLE call ADD COLUMN nano_usd;
ALTER TABLE call ADD COLUMN reserved_nano_usd NOT NULL DEFAULT 0;
ALTER TABLE call ADD COLUMN price;
CREATE TABLE sample (id, target, position, filled, digest, source, state, outcome);
CREATE INDEX sample_by_position ON sample (filled, position);
{_OTHERS}"""
# Version 2 kept its texts as they are.
_FROM_2 = f"""
DROP INDEX call_by_key;
DROP INDEX sample_by_position;
ALTER TABLE call RENAME TO call_of_2;
ALTER TABLE sample RENAME TO sample_of_2;
{_CALL}{_SAMPLE}{_PATTERN}"""
_PACKED = (
    "INSERT INTO call SELECT id, key, stage, record, model, pack('request ' || stage, request), state, http_status, "
    "request_id, error_class, iif(reply IS NULL, NULL, pack(iif(state = 'answered', 'reply', 'failure'), reply)), "
    "finish_reason, input_tokens, output_tokens, sent, done, batch, cached_tokens, reasoning_tokens, nano_usd, "
    "reserved_nano_usd, price FROM call_of_2 ORDER BY id",
    "INSERT INTO sample SELECT id, target, position, filled, digest, pack('source', source), NULL, state, "
    "iif(outcome IS NULL, NULL, pack('outcome', outcome)) FROM sample_of_2 ORDER BY rowid",
    "DROP TABLE call_of_2",
    "DROP TABLE sample_of_2",
)


def _pack_all(db: sqlite3.Connection) -> None:
    patterns: list[tuple[Any, ...]] = []
    packing = Packing(Path(), lambda sql: (), lambda sql, *values: patterns.append((sql, values)))
    db.create_function("pack", 2, packing.pack)
    for statement in _PACKED:
        db.execute(statement)
    for sql, values in patterns:
        db.execute(sql, values)


MIGRATIONS = {1: Migration(_FROM_1), 2: Migration(_FROM_2, _pack_all)}
