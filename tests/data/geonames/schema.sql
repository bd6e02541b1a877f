-- @@{ enableSync=true }
CREATE TABLE countries (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    capital TEXT,
    continent TEXT NOT NULL,
    population INTEGER NOT NULL,
    area_km2 REAL NOT NULL
);

-- @@{ enableSync=true }
CREATE TABLE regions (
    id TEXT PRIMARY KEY NOT NULL,
    country_id TEXT NOT NULL REFERENCES countries (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    name TEXT NOT NULL
);
CREATE INDEX regions_by_country ON regions (country_id);

-- @@{ enableSync=true }
CREATE TABLE cities (
    id TEXT PRIMARY KEY NOT NULL,
    country_id TEXT NOT NULL REFERENCES countries (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    region_id TEXT REFERENCES regions (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,
    name TEXT NOT NULL,
    latitude REAL NOT NULL,
    longitude REAL NOT NULL,
    population INTEGER NOT NULL
);
CREATE INDEX cities_by_country ON cities (country_id);
CREATE INDEX cities_by_region ON cities (region_id);
