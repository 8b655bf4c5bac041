-- Format 3: words are put into the index later, those of many entries at a time.

-- What is not in `words` yet. A search looks through these rows itself, so there are never many.
CREATE TABLE unindexed (
    id      INTEGER PRIMARY KEY,
    log     INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    words   TEXT NOT NULL
) STRICT;
