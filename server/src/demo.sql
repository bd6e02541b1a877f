-- The tables of the demonstration on PostgreSQL; its schema is named when it runs.

CREATE SCHEMA IF NOT EXISTS business;

CREATE TABLE IF NOT EXISTS business.users (
    _sync_scope_id text NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    PRIMARY KEY (_sync_scope_id, id)
);

CREATE TABLE IF NOT EXISTS business.posts (
    _sync_scope_id text NOT NULL,
    id uuid NOT NULL,
    title text NOT NULL,
    content text NOT NULL,
    author_id uuid,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    PRIMARY KEY (_sync_scope_id, id),
    CONSTRAINT posts_author FOREIGN KEY (_sync_scope_id, author_id) REFERENCES business.users (_sync_scope_id, id)
        DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE IF NOT EXISTS business.categories (
    _sync_scope_id text NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    parent_id uuid,
    PRIMARY KEY (_sync_scope_id, id),
    CONSTRAINT categories_parent FOREIGN KEY (_sync_scope_id, parent_id) REFERENCES business.categories (_sync_scope_id, id)
        ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE IF NOT EXISTS business.teams (
    _sync_scope_id text NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    captain_member_id uuid,
    PRIMARY KEY (_sync_scope_id, id)
);

CREATE TABLE IF NOT EXISTS business.team_members (
    _sync_scope_id text NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    team_id uuid NOT NULL,
    PRIMARY KEY (_sync_scope_id, id),
    CONSTRAINT team_members_team FOREIGN KEY (_sync_scope_id, team_id) REFERENCES business.teams (_sync_scope_id, id)
        ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
);

-- Teams and members refer to one another, so that one of the two constraints comes later.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'business.teams'::regclass AND conname = 'teams_captain') THEN
        ALTER TABLE business.teams ADD CONSTRAINT teams_captain FOREIGN KEY (_sync_scope_id, captain_member_id)
            REFERENCES business.team_members (_sync_scope_id, id) DEFERRABLE INITIALLY DEFERRED;
    END IF;
END $$;

CREATE TABLE IF NOT EXISTS business.files (
    _sync_scope_id text NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (_sync_scope_id, id)
);

CREATE TABLE IF NOT EXISTS business.file_reviews (
    _sync_scope_id text NOT NULL,
    id uuid NOT NULL,
    review text NOT NULL,
    file_id uuid NOT NULL,
    PRIMARY KEY (_sync_scope_id, id),
    CONSTRAINT file_reviews_file FOREIGN KEY (_sync_scope_id, file_id) REFERENCES business.files (_sync_scope_id, id)
        ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE IF NOT EXISTS business.typed_rows (
    _sync_scope_id text NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    note text,
    count_value bigint,
    enabled_flag bigint NOT NULL,
    rating double precision,
    data bytea,
    created_at timestamptz,
    PRIMARY KEY (_sync_scope_id, id)
);
