-- The app's schema as SQLiteNow's generator has it, annotations and all.

-- @@{ enableSync=true }
CREATE TABLE IF NOT EXISTS person (
    id TEXT PRIMARY KEY NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    -- @@{ field=email, propertyName=mail }
    email TEXT UNIQUE
);

-- @@{ enableSync=true, syncKeyColumnName=id }
CREATE TABLE IF NOT EXISTS note (
    id BLOB PRIMARY KEY NOT NULL,
    person_id TEXT NOT NULL REFERENCES person (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    title TEXT NOT NULL,
    pages INTEGER NOT NULL DEFAULT 0,
    rating REAL
);

-- Not marked: stays on this device.
CREATE TABLE IF NOT EXISTS setting (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);
