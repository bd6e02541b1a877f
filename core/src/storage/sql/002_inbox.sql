-- Layout 2: local transactions keep their boundaries, the inbox keeps what was meant, copies of a database are told
-- apart, tables come and go.

-- The changes of each local transaction, and when it was committed (milliseconds since 1970 UTC).
CREATE TABLE _rowtide_commits (
    last_change INTEGER PRIMARY KEY,
    first_change INTEGER NOT NULL,
    committed_at INTEGER NOT NULL
);

-- What the next freeze is limited to while the row that the server refuses is being looked for; empty otherwise.
CREATE TABLE _rowtide_selected_rows (
    table_id INTEGER NOT NULL,
    key NOT NULL,
    PRIMARY KEY (table_id, key)
) WITHOUT ROWID;

ALTER TABLE _rowtide_outbox_rows ADD COLUMN last_change INTEGER NOT NULL DEFAULT 0;
UPDATE _rowtide_outbox_rows SET last_change = first_change;

-- Whether the server said that it had committed the bundle before it was asked to.
ALTER TABLE _rowtide_outbox ADD COLUMN committed_earlier INTEGER NOT NULL DEFAULT 0;

-- The installation that this file belongs to; another one's file is a copy.
ALTER TABLE _rowtide_attachment ADD COLUMN installation_id TEXT;

-- Runs since the last commit in which the server took nothing and gave no reason.
ALTER TABLE _rowtide_attachment ADD COLUMN failed_commits INTEGER NOT NULL DEFAULT 0;

-- Whether the table is configured at present, and whether the server's rows of it were downloaded.
ALTER TABLE _rowtide_tables ADD COLUMN managed INTEGER NOT NULL DEFAULT 1;
ALTER TABLE _rowtide_tables ADD COLUMN hydrated INTEGER NOT NULL DEFAULT 1;

-- What was meant with a refused row, and whether the row is still in its table.
ALTER TABLE _rowtide_refused_rows ADD COLUMN op TEXT NOT NULL DEFAULT 'UPDATE';
ALTER TABLE _rowtide_refused_rows ADD COLUMN in_table INTEGER NOT NULL DEFAULT 0;
UPDATE _rowtide_refused_rows SET in_table = payload IS NULL;

-- Values of columns that the server has and this version of the app lacks, as they came.
CREATE TABLE _rowtide_kept_columns (
    table_id INTEGER NOT NULL,
    key NOT NULL,
    members TEXT NOT NULL,
    PRIMARY KEY (table_id, key)
) WITHOUT ROWID;

-- For the app: which rows the server does not have yet, and since when.
CREATE VIEW _rowtide_row_status (table_name, key, state, since) AS
WITH pending (table_id, key, change) AS (
    SELECT table_id, key, min(change) FROM (
        SELECT table_id, key, first_change AS change FROM _rowtide_dirty_rows
        UNION ALL
        SELECT l.table_id, l.key, l.seq + a.changes_coalesced
        FROM _rowtide_change_log AS l, _rowtide_attachment AS a
    ) GROUP BY table_id, key
),
inflight (table_id, key, change) AS (
    SELECT table_id, key, first_change FROM _rowtide_outbox_rows AS o
    WHERE NOT EXISTS (SELECT 1 FROM pending AS p WHERE p.table_id = o.table_id AND p.key = o.key)
)
SELECT t.table_name, p.key, 'pending',
       (SELECT c.committed_at FROM _rowtide_commits AS c
        WHERE c.last_change >= p.change AND c.first_change <= p.change)
FROM pending AS p JOIN _rowtide_tables AS t ON t.table_id = p.table_id
UNION ALL
SELECT t.table_name, i.key, 'inflight',
       (SELECT c.committed_at FROM _rowtide_commits AS c
        WHERE c.last_change >= i.change AND c.first_change <= i.change)
FROM inflight AS i JOIN _rowtide_tables AS t ON t.table_id = i.table_id
UNION ALL
SELECT t.table_name, r.key, 'refused', r.refused_at
FROM _rowtide_refused_rows AS r JOIN _rowtide_tables AS t ON t.table_id = r.table_id
WHERE NOT EXISTS (SELECT 1 FROM pending AS p WHERE p.table_id = r.table_id AND p.key = r.key);

-- For the app: the inbox. Content is a JSON object by lowercase column name, null for a refused delete.
CREATE VIEW _rowtide_inbox (table_name, key, op, reason, message, content, in_table, refused_at) AS
SELECT t.table_name, r.key, r.op, r.reason, r.message, r.payload, r.in_table, r.refused_at
FROM _rowtide_refused_rows AS r JOIN _rowtide_tables AS t ON t.table_id = r.table_id;
