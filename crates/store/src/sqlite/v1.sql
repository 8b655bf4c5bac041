-- Format 1. Rows live in their primary key's tree (WITHOUT ROWID): what is read together lies together.

CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Versions of documents below this number may have been given out.
INSERT INTO counters (name, value) VALUES ('versions', 1);

CREATE TABLE documents (
    collection    TEXT NOT NULL,
    key           TEXT NOT NULL,
    version       INTEGER NOT NULL,
    expires_at_ms INTEGER,
    value         BLOB NOT NULL,
    PRIMARY KEY (collection, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX documents_by_expiry ON documents (expires_at_ms) WHERE expires_at_ms IS NOT NULL;

-- A log whose name is NULL was removed; its entries go with the next purges.
CREATE TABLE logs (
    id        INTEGER PRIMARY KEY,
    name      TEXT UNIQUE,
    first_seq INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL,
    bytes     INTEGER NOT NULL
) STRICT;

CREATE TABLE entries (
    log     INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    dedupe  TEXT,
    value   BLOB NOT NULL,
    PRIMARY KEY (log, seq)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX entries_by_dedupe ON entries (log, dedupe) WHERE dedupe IS NOT NULL;

-- A ranking whose name is NULL was removed; its members go with the next purges.
CREATE TABLE rankings (
    id      INTEGER PRIMARY KEY,
    name    TEXT UNIQUE,
    members INTEGER NOT NULL
) STRICT;

CREATE TABLE members (
    ranking INTEGER NOT NULL,
    member  TEXT NOT NULL,
    score   REAL NOT NULL,
    PRIMARY KEY (ranking, member)
) STRICT, WITHOUT ROWID;

CREATE INDEX members_by_score ON members (ranking, score, member);
