-- The tables of the notes apps. Each of them runs this at every start, so everything is IF NOT EXISTS.

-- @@{ enableSync=true }
CREATE TABLE IF NOT EXISTS notes (
    id TEXT PRIMARY KEY NOT NULL,           -- a random UUID, made on the device
    title TEXT NOT NULL DEFAULT '',
    body TEXT NOT NULL DEFAULT '',
    pinned INTEGER NOT NULL DEFAULT 0,      -- 0 or 1
    updated INTEGER NOT NULL                -- milliseconds since 1970 UTC, by the clock of the device that wrote
);

-- Two devices that give a note the same tag mean the same row, so the key says it: 'NOTE/NAME'.
-- @@{ enableSync=true }
CREATE TABLE IF NOT EXISTS tags (
    id TEXT PRIMARY KEY NOT NULL,
    note_id TEXT NOT NULL REFERENCES notes (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    name TEXT NOT NULL                      -- one word
);
CREATE INDEX IF NOT EXISTS tags_by_note ON tags (note_id);
