PRAGMA application_id = 1279347528;
PRAGMA user_version = 1;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters VALUES('versions',1001);
CREATE TABLE documents (
    collection    TEXT NOT NULL,
    key           TEXT NOT NULL,
    version       INTEGER NOT NULL,
    expires_at_ms INTEGER,
    value         BLOB NOT NULL,
    PRIMARY KEY (collection, key)
) STRICT, WITHOUT ROWID;
INSERT INTO documents VALUES('rooms','lobby',1,NULL,X'7b226e616d65223a224c6f626279227d');
INSERT INTO documents VALUES('rooms','passing',2,9000,X'00ff');
CREATE TABLE logs (
    id        INTEGER PRIMARY KEY,
    name      TEXT UNIQUE,
    first_seq INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL,
    bytes     INTEGER NOT NULL
) STRICT;
INSERT INTO logs VALUES(1,'chat:lobby',2,4,71);
INSERT INTO logs VALUES(2,NULL,1,1,17);
CREATE TABLE entries (
    log     INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    dedupe  TEXT,
    value   BLOB NOT NULL,
    PRIMARY KEY (log, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO entries VALUES(1,2,1001,'ada:2',X'74776f');
INSERT INTO entries VALUES(1,3,1002,NULL,X'00');
INSERT INTO entries VALUES(1,4,1003,'bob:1',X'e0a49ae0a4bee0a4b0');
INSERT INTO entries VALUES(2,1,1000,NULL,X'78');
CREATE TABLE rankings (
    id      INTEGER PRIMARY KEY,
    name    TEXT UNIQUE,
    members INTEGER NOT NULL
) STRICT;
INSERT INTO rankings VALUES(1,'scores',3);
CREATE TABLE members (
    ranking INTEGER NOT NULL,
    member  TEXT NOT NULL,
    score   REAL NOT NULL,
    PRIMARY KEY (ranking, member)
) STRICT, WITHOUT ROWID;
INSERT INTO members VALUES(1,'ada',-1.0);
INSERT INTO members VALUES(1,'eve',-1.0);
INSERT INTO members VALUES(1,'bob',7.5);
CREATE INDEX documents_by_expiry ON documents (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
CREATE UNIQUE INDEX entries_by_dedupe ON entries (log, dedupe) WHERE dedupe IS NOT NULL;
CREATE INDEX members_by_score ON members (ranking, score, member);
COMMIT;
