-- Keys that the last step of a snapshot has to look at, found beforehand without a lock. Of no use after a restart.
CREATE TABLE _rowtide_differences (
    table_id INTEGER NOT NULL,
    key NOT NULL,
    PRIMARY KEY (table_id, key)
) WITHOUT ROWID;
