-- Format 2: entries can be found by their words.

-- Which entry a row of `words` is about. The id is the entry's time in seconds (at most 33 bits of them), and 30 bits that tell
-- entries of a second apart: so the index gives what it finds in the order of time.
CREATE TABLE texts (
    id      INTEGER PRIMARY KEY,
    log     INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    time_ms INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX texts_by_entry ON texts (log, seq);

-- The words come folded (the server does that), so that every tokenizer which parts at spaces does; the index keeps no texts. `log` is
-- the log's id, as a word: a search in a few logs doesn't walk over what matches in all others.
CREATE VIRTUAL TABLE words USING fts5 (log, text, content = '', contentless_delete = 1, tokenize = 'ascii');
