-- The tables of schema.sql as a server on PostgreSQL has them.
CREATE SCHEMA business;

CREATE TABLE business.countries (
    _sync_scope_id text NOT NULL,
    id text NOT NULL,
    name text NOT NULL,
    capital text,
    continent text NOT NULL,
    population bigint NOT NULL,
    area_km2 double precision NOT NULL,
    PRIMARY KEY (_sync_scope_id, id)
);

CREATE TABLE business.regions (
    _sync_scope_id text NOT NULL,
    id text NOT NULL,
    country_id text NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (_sync_scope_id, id),
    FOREIGN KEY (_sync_scope_id, country_id) REFERENCES business.countries (_sync_scope_id, id)
        ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX regions_by_country ON business.regions (_sync_scope_id, country_id);

CREATE TABLE business.cities (
    _sync_scope_id text NOT NULL,
    id text NOT NULL,
    country_id text NOT NULL,
    region_id text,
    name text NOT NULL,
    latitude double precision NOT NULL,
    longitude double precision NOT NULL,
    population bigint NOT NULL,
    PRIMARY KEY (_sync_scope_id, id),
    FOREIGN KEY (_sync_scope_id, country_id) REFERENCES business.countries (_sync_scope_id, id)
        ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (_sync_scope_id, region_id) REFERENCES business.regions (_sync_scope_id, id)
        ON DELETE SET NULL (region_id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX cities_by_country ON business.cities (_sync_scope_id, country_id);
CREATE INDEX cities_by_region ON business.cities (_sync_scope_id, region_id);
