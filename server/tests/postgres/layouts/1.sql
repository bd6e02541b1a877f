-- A database of layout 1 as pg_dump wrote it (--inserts --no-owner --no-privileges): two bundles of ada, a tombstone, and a push
-- session with one of its two rows, which expires later than the tests' clock begins.
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE SCHEMA business;

CREATE SCHEMA rowtide;

CREATE FUNCTION rowtide.begin_bundle(user_id text, writer text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
#variable_conflict use_column
DECLARE
    who ALIAS FOR $1;
    scope rowtide.user_state;
    source rowtide.source_state;
    now_ms bigint := (extract(epoch FROM clock_timestamp()) * 1000)::bigint;
BEGIN
    IF coalesce(who, '') = '' OR coalesce(writer, '') !~ '^[!-~]+$' THEN
        RAISE EXCEPTION 'begin_bundle needs a user and a writer of visible ASCII without spaces' USING ERRCODE = 'RT002';
    END IF;
    IF EXISTS (SELECT FROM rowtide.open_bundle AS o WHERE o.user_id = coalesce(current_setting('rowtide.bundle_user', true), '')
               AND o.transaction_id = pg_current_xact_id_if_assigned()) THEN
        RAISE EXCEPTION 'this transaction has a bundle already' USING ERRCODE = 'RT002', HINT = 'One transaction writes one bundle.';
    END IF;
    INSERT INTO rowtide.user_state (user_id) VALUES (who) ON CONFLICT DO NOTHING;
    SELECT * INTO STRICT scope FROM rowtide.user_state AS u WHERE u.user_id = who FOR UPDATE;
    IF NOT scope.initialized AND scope.lease_id IS NOT NULL AND scope.lease_expires_at > now_ms THEN
        RAISE EXCEPTION 'a device of the user is uploading its first data'
            USING ERRCODE = 'RT003', HINT = 'Try again when it has finished, or when its lease has ended.';
    END IF;
    SELECT * INTO source FROM rowtide.source_state AS s WHERE s.user_id = who AND s.source_id = writer;
    IF source.state = 'retired' THEN
        RAISE EXCEPTION 'the writer was retired' USING ERRCODE = 'RT002', HINT = 'Use another name for the writer.';
    END IF;
    PERFORM set_config('rowtide.bundle_user', who, true);
    INSERT INTO rowtide.open_bundle (user_id, source_id, source_bundle_id, seal_at_commit)
    VALUES (who, writer, coalesce(source.max_source_bundle_id, 0) + 1, true);
    SET CONSTRAINTS ALL DEFERRED;
    RETURN coalesce(source.max_source_bundle_id, 0) + 1;
END $_$;

CREATE FUNCTION rowtide.bundle_user() RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    who text := current_setting('rowtide.bundle_user', true);
BEGIN
    IF who IS NULL OR who = '' OR NOT EXISTS (
        SELECT FROM rowtide.open_bundle AS o WHERE o.user_id = who AND o.transaction_id = pg_current_xact_id_if_assigned())
    THEN
        RAISE EXCEPTION 'a registered table is written outside of a bundle'
            USING ERRCODE = 'RT001', HINT = 'Call rowtide.begin_bundle(user, writer) first, in the same transaction.';
    END IF;
    RETURN who;
END $$;

CREATE FUNCTION rowtide.capture_1_delete() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
             DECLARE who text;
             BEGIN
                 IF current_setting('rowtide.maintenance', true) = 'on' THEN RETURN NULL; END IF;
                 who := rowtide.bundle_user();
                 IF EXISTS (SELECT FROM old_rows AS r WHERE r._sync_scope_id IS DISTINCT FROM who) THEN
                     RAISE EXCEPTION 'a bundle writes rows of its own user only'
                         USING ERRCODE = 'RT001', HINT = 'Name the user in WHERE, and leave out _sync_scope_id in INSERT.';
                 END IF;
                 INSERT INTO rowtide.bundle_capture (user_id, table_id, key, op) SELECT who, 1, o."id"::text, 2 FROM old_rows AS o;
                 RETURN NULL;
             END $$;

CREATE FUNCTION rowtide.capture_1_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
             DECLARE who text;
             BEGIN
                 IF current_setting('rowtide.maintenance', true) = 'on' THEN RETURN NULL; END IF;
                 who := rowtide.bundle_user();
                 IF EXISTS (SELECT FROM new_rows AS r WHERE r._sync_scope_id IS DISTINCT FROM who) THEN
                     RAISE EXCEPTION 'a bundle writes rows of its own user only'
                         USING ERRCODE = 'RT001', HINT = 'Name the user in WHERE, and leave out _sync_scope_id in INSERT.';
                 END IF;
                 INSERT INTO rowtide.bundle_capture (user_id, table_id, key, op) SELECT who, 1, n."id"::text, 0 FROM new_rows AS n;
                 RETURN NULL;
             END $$;

CREATE FUNCTION rowtide.capture_1_update() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
             DECLARE who text;
             BEGIN
                 IF current_setting('rowtide.maintenance', true) = 'on' THEN RETURN NULL; END IF;
                 who := rowtide.bundle_user();
                 IF EXISTS (SELECT FROM (SELECT _sync_scope_id FROM old_rows UNION ALL SELECT _sync_scope_id FROM new_rows) AS r WHERE r._sync_scope_id IS DISTINCT FROM who) THEN
                     RAISE EXCEPTION 'a bundle writes rows of its own user only'
                         USING ERRCODE = 'RT001', HINT = 'Name the user in WHERE, and leave out _sync_scope_id in INSERT.';
                 END IF;
                 INSERT INTO rowtide.bundle_capture (user_id, table_id, key, op) SELECT who, 1, o."id"::text, 2 FROM old_rows AS o WHERE NOT EXISTS (SELECT FROM new_rows AS n WHERE n."id" = o."id"); INSERT INTO rowtide.bundle_capture (user_id, table_id, key, op) SELECT who, 1, n."id"::text, CASE WHEN o."id" IS NULL THEN 0 ELSE 1 END
         FROM new_rows AS n LEFT JOIN old_rows AS o ON o."id" = n."id";
                 RETURN NULL;
             END $$;

CREATE FUNCTION rowtide.capture_2_delete() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
             DECLARE who text;
             BEGIN
                 IF current_setting('rowtide.maintenance', true) = 'on' THEN RETURN NULL; END IF;
                 who := rowtide.bundle_user();
                 IF EXISTS (SELECT FROM old_rows AS r WHERE r._sync_scope_id IS DISTINCT FROM who) THEN
                     RAISE EXCEPTION 'a bundle writes rows of its own user only'
                         USING ERRCODE = 'RT001', HINT = 'Name the user in WHERE, and leave out _sync_scope_id in INSERT.';
                 END IF;
                 INSERT INTO rowtide.bundle_capture (user_id, table_id, key, op) SELECT who, 2, o."id"::text, 2 FROM old_rows AS o;
                 RETURN NULL;
             END $$;

CREATE FUNCTION rowtide.capture_2_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
             DECLARE who text;
             BEGIN
                 IF current_setting('rowtide.maintenance', true) = 'on' THEN RETURN NULL; END IF;
                 who := rowtide.bundle_user();
                 IF EXISTS (SELECT FROM new_rows AS r WHERE r._sync_scope_id IS DISTINCT FROM who) THEN
                     RAISE EXCEPTION 'a bundle writes rows of its own user only'
                         USING ERRCODE = 'RT001', HINT = 'Name the user in WHERE, and leave out _sync_scope_id in INSERT.';
                 END IF;
                 INSERT INTO rowtide.bundle_capture (user_id, table_id, key, op) SELECT who, 2, n."id"::text, 0 FROM new_rows AS n;
                 RETURN NULL;
             END $$;

CREATE FUNCTION rowtide.capture_2_update() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
             DECLARE who text;
             BEGIN
                 IF current_setting('rowtide.maintenance', true) = 'on' THEN RETURN NULL; END IF;
                 who := rowtide.bundle_user();
                 IF EXISTS (SELECT FROM (SELECT _sync_scope_id FROM old_rows UNION ALL SELECT _sync_scope_id FROM new_rows) AS r WHERE r._sync_scope_id IS DISTINCT FROM who) THEN
                     RAISE EXCEPTION 'a bundle writes rows of its own user only'
                         USING ERRCODE = 'RT001', HINT = 'Name the user in WHERE, and leave out _sync_scope_id in INSERT.';
                 END IF;
                 INSERT INTO rowtide.bundle_capture (user_id, table_id, key, op) SELECT who, 2, o."id"::text, 2 FROM old_rows AS o WHERE NOT EXISTS (SELECT FROM new_rows AS n WHERE n."id" = o."id"); INSERT INTO rowtide.bundle_capture (user_id, table_id, key, op) SELECT who, 2, n."id"::text, CASE WHEN o."id" IS NULL THEN 0 ELSE 1 END
         FROM new_rows AS n LEFT JOIN old_rows AS o ON o."id" = n."id";
                 RETURN NULL;
             END $$;

CREATE FUNCTION rowtide.fill_scope() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    NEW._sync_scope_id := rowtide.bundle_user();
    RETURN NEW;
END $$;

CREATE FUNCTION rowtide.float_text(x double precision) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE
        WHEN x = 0 THEN '0'
        WHEN abs(x) >= 1e-4 AND abs(x) < 1e15 THEN x::text
        WHEN abs(x) >= 1e-6 AND abs(x) < 1e21 THEN x::text::numeric::text
        ELSE regexp_replace(x::text, 'e([+-])0', 'e\1')
    END
$$;

CREATE FUNCTION rowtide.guard_truncate() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'a registered table is not truncated, devices would keep its rows'
        USING ERRCODE = 'RT001', HINT = 'Use DELETE in a bundle.';
END $$;

CREATE FUNCTION rowtide.guard_write() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF current_setting('rowtide.maintenance', true) IS DISTINCT FROM 'on' THEN
        PERFORM rowtide.bundle_user();
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION rowtide.seal_at_commit() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    sealed record;
BEGIN
    SELECT * INTO sealed FROM rowtide.seal_bundle(NEW.user_id, NULL, NEW.source_id, NEW.source_bundle_id, NULL, NULL);
    IF sealed.sealed_rows = 0 THEN
        RAISE EXCEPTION 'the bundle changed nothing' USING ERRCODE = 'RT004', HINT = 'Roll the transaction back instead.';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION rowtide.seal_bundle(of_user text, of_push text, of_source text, of_source_bundle bigint, of_generation text, of_request_hash text, OUT sealed_seq bigint, OUT sealed_rows bigint, OUT sealed_bytes bigint) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET "DateStyle" TO 'ISO, YMD'
    SET "IntervalStyle" TO 'postgres'
    SET extra_float_digits TO '1'
    SET enable_nestloop TO 'off'
    SET jit TO 'off'
    AS $_$
DECLARE
    upserts text;
BEGIN
    SELECT u.latest_bundle_seq + 1 INTO STRICT sealed_seq FROM rowtide.user_state AS u WHERE u.user_id = of_user;
    SELECT string_agg(format(
        'UNION ALL SELECT o.row_ordinal, o.table_id, o.key, o.op, live.payload FROM ordered AS o
             CROSS JOIN LATERAL (SELECT %s AS payload FROM %I.%I AS t
                                 WHERE t._sync_scope_id = $1 AND t.%I = o.key::%s OFFSET 0) AS live
             WHERE o.table_id = %s AND o.op <> ''DELETE''',
        c.payload_sql, c.schema_name, c.table_name, c.key_column, c.key_type, c.table_id), ' ')
    INTO upserts FROM rowtide.table_catalog AS c
    WHERE c.table_id IN (SELECT b.table_id FROM rowtide.bundle_capture AS b
                         WHERE b.user_id = of_user AND b.transaction_id = pg_current_xact_id());
    sealed_rows := 0;
    IF upserts IS NOT NULL THEN
        -- An op in the lowest two bits finds the first and the last op of a row along with their ordinals.
        EXECUTE format($sql$
            WITH touched AS (
                SELECT b.table_id, b.key, min(b.ordinal * 4 + b.op) AS first, max(b.ordinal * 4 + b.op) AS last
                FROM rowtide.bundle_capture AS b WHERE b.user_id = $1 AND b.transaction_id = pg_current_xact_id()
                GROUP BY b.table_id, b.key
            ), ordered AS MATERIALIZED (
                SELECT row_number() OVER (ORDER BY p.row_ordinal NULLS LAST, touched.first) - 1 AS row_ordinal,
                    touched.table_id, touched.key,
                    CASE WHEN last %% 4 = 2 THEN 'DELETE' WHEN first %% 4 = 0 THEN 'INSERT' ELSE 'UPDATE' END AS op
                FROM touched LEFT JOIN rowtide.push_rows AS p
                    ON p.user_id = $1 AND p.push_id = $3 AND p.table_id = touched.table_id AND p.key = touched.key
                WHERE NOT (first %% 4 = 0 AND last %% 4 = 2)
            ), written AS (
                INSERT INTO rowtide.bundle_rows (user_id, bundle_seq, row_ordinal, table_id, key, op, payload)
                SELECT $1, $2, found.* FROM (
                    SELECT o.row_ordinal, o.table_id, o.key, o.op, NULL FROM ordered AS o WHERE o.op = 'DELETE' %s
                ) AS found
                RETURNING table_id, key, op, payload
            ), versioned AS (
                INSERT INTO rowtide.row_state (user_id, table_id, key, row_version, deleted)
                SELECT $1, w.table_id, w.key, $2, w.op = 'DELETE' FROM written AS w
                ON CONFLICT (user_id, table_id, key)
                DO UPDATE SET row_version = excluded.row_version, deleted = excluded.deleted
            )
            SELECT count(*), coalesce(sum(octet_length(w.payload)), 0) FROM written AS w
        $sql$, upserts) INTO sealed_rows, sealed_bytes USING of_user, sealed_seq, of_push;
    END IF;
    DELETE FROM rowtide.bundle_capture AS b WHERE b.user_id = of_user AND b.transaction_id = pg_current_xact_id();
    DELETE FROM rowtide.open_bundle AS o WHERE o.user_id = of_user AND o.transaction_id = pg_current_xact_id();
    IF sealed_rows = 0 THEN RETURN; END IF;
    INSERT INTO rowtide.bundle_log (user_id, bundle_seq, source_id, source_bundle_id, row_count, byte_count, generation, request_hash)
    VALUES (of_user, sealed_seq, of_source, of_source_bundle, sealed_rows, sealed_bytes, of_generation, of_request_hash);
    INSERT INTO rowtide.source_state (user_id, source_id, state, max_source_bundle_id)
    VALUES (of_user, of_source, 'active', of_source_bundle)
    ON CONFLICT (user_id, source_id) DO UPDATE SET state = 'active', max_source_bundle_id = excluded.max_source_bundle_id;
    UPDATE rowtide.user_state AS u SET initialized = true, lease_id = NULL, lease_source = NULL, latest_bundle_seq = sealed_seq
    WHERE u.user_id = of_user;
    -- A notification has less than 8000 bytes; who and where is enough to wake watchers.
    PERFORM pg_notify('rowtide_bundles', json_build_object('user', of_user, 'bundle_seq', sealed_seq,
        'source_id', of_source, 'source_bundle_id', of_source_bundle)::text)
    WHERE octet_length(of_user) + octet_length(of_source) < 3000;
END $_$;

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE business.posts (
    _sync_scope_id text NOT NULL,
    id text NOT NULL,
    name text
);

CREATE TABLE business.users (
    _sync_scope_id text NOT NULL,
    id text NOT NULL,
    name text,
    big bigint,
    exact numeric,
    small double precision
);

CREATE UNLOGGED TABLE rowtide.bundle_capture (
    user_id text NOT NULL,
    transaction_id xid8 DEFAULT pg_current_xact_id() NOT NULL,
    ordinal bigint NOT NULL,
    table_id integer NOT NULL,
    key text NOT NULL,
    op smallint NOT NULL
);

ALTER TABLE rowtide.bundle_capture ALTER COLUMN ordinal ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME rowtide.bundle_capture_ordinal_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE rowtide.bundle_log (
    user_id text NOT NULL,
    bundle_seq bigint NOT NULL,
    source_id text NOT NULL,
    source_bundle_id bigint NOT NULL,
    row_count bigint NOT NULL,
    byte_count bigint NOT NULL,
    generation text,
    bundle_hash text,
    request_hash text,
    committed_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE rowtide.bundle_rows (
    user_id text NOT NULL,
    bundle_seq bigint NOT NULL,
    row_ordinal bigint NOT NULL,
    table_id integer NOT NULL,
    key text NOT NULL,
    op text NOT NULL,
    payload text
);

CREATE TABLE rowtide.meta (
    singleton boolean DEFAULT true NOT NULL,
    layout_version integer NOT NULL,
    CONSTRAINT meta_singleton_check CHECK (singleton)
);

CREATE UNLOGGED TABLE rowtide.open_bundle (
    user_id text NOT NULL,
    transaction_id xid8 DEFAULT pg_current_xact_id() NOT NULL,
    source_id text NOT NULL,
    source_bundle_id bigint NOT NULL,
    seal_at_commit boolean NOT NULL
);

CREATE UNLOGGED TABLE rowtide.push_rows (
    user_id text NOT NULL,
    push_id text NOT NULL,
    row_ordinal bigint NOT NULL,
    table_id integer NOT NULL,
    key text NOT NULL,
    op text NOT NULL,
    base_row_version bigint NOT NULL,
    missing text NOT NULL,
    payload jsonb
);

CREATE UNLOGGED TABLE rowtide.push_sessions (
    user_id text NOT NULL,
    push_id text NOT NULL,
    source_id text NOT NULL,
    source_bundle_id bigint NOT NULL,
    planned_row_count bigint NOT NULL,
    staged_rows bigint DEFAULT 0 NOT NULL,
    lease_id text,
    request_hash text,
    expires_at bigint NOT NULL
);

CREATE TABLE rowtide.row_state (
    user_id text NOT NULL,
    table_id integer NOT NULL,
    key text NOT NULL,
    row_version bigint NOT NULL,
    deleted boolean NOT NULL
);

CREATE UNLOGGED TABLE rowtide.snapshot_rows (
    user_id text NOT NULL,
    snapshot_id text NOT NULL,
    row_ordinal bigint NOT NULL,
    table_id integer NOT NULL,
    key text NOT NULL,
    row_version bigint NOT NULL,
    payload text NOT NULL
);

CREATE UNLOGGED TABLE rowtide.snapshot_sessions (
    user_id text NOT NULL,
    snapshot_id text NOT NULL,
    source_id text NOT NULL,
    generation text NOT NULL,
    bundle_seq bigint NOT NULL,
    row_count bigint NOT NULL,
    byte_count bigint NOT NULL,
    expires_at bigint NOT NULL
);

CREATE TABLE rowtide.source_state (
    user_id text NOT NULL,
    source_id text NOT NULL,
    state text NOT NULL,
    max_source_bundle_id bigint DEFAULT 0 NOT NULL,
    replaced_by text,
    CONSTRAINT source_state_state_check CHECK ((state = ANY (ARRAY['active'::text, 'reserved'::text, 'retired'::text])))
);

CREATE TABLE rowtide.table_catalog (
    table_id integer NOT NULL,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    key_column text NOT NULL,
    key_type text NOT NULL,
    payload_sql text NOT NULL,
    triggers_sql text DEFAULT ''::text NOT NULL,
    adopted boolean DEFAULT false NOT NULL
);

ALTER TABLE rowtide.table_catalog ALTER COLUMN table_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME rowtide.table_catalog_table_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE rowtide.user_state (
    user_id text NOT NULL,
    initialized boolean DEFAULT false NOT NULL,
    lease_id text,
    lease_source text,
    lease_expires_at bigint DEFAULT 0 NOT NULL,
    latest_bundle_seq bigint DEFAULT 0 NOT NULL,
    retained_floor bigint DEFAULT 0 NOT NULL
);

INSERT INTO business.posts VALUES ('ada', 'p', 'first');

INSERT INTO business.users VALUES ('ada', 'a', 'Ada', NULL, NULL, NULL);

INSERT INTO rowtide.bundle_log VALUES ('ada', 1, 's', 1, 3, 145, 'a', '346a495169ab040afa7812c68a2332428541f2c43e34dbe89f261ad8b9ceb13d', NULL, '2026-11-21 20:15:27.771961+00');
INSERT INTO rowtide.bundle_log VALUES ('ada', 2, 's', 2, 1, 0, 'a', '2b758d7c3606f30a0883aff35bc22664c5fd677083545fb938ccbc19a0fd2a41', NULL, '2026-11-21 20:15:27.805344+00');

INSERT INTO rowtide.bundle_rows VALUES ('ada', 1, 0, 1, 'a', 'INSERT', '{"id":"a","name":"Ada","big":null,"exact":null,"small":null}');
INSERT INTO rowtide.bundle_rows VALUES ('ada', 1, 1, 1, 'b', 'INSERT', '{"id":"b","name":"Bob","big":null,"exact":null,"small":null}');
INSERT INTO rowtide.bundle_rows VALUES ('ada', 1, 2, 2, 'p', 'INSERT', '{"id":"p","name":"first"}');
INSERT INTO rowtide.bundle_rows VALUES ('ada', 2, 0, 1, 'b', 'DELETE', NULL);

INSERT INTO rowtide.meta VALUES (true, 1);

INSERT INTO rowtide.push_rows VALUES ('ada', 'a-push-session', 0, 1, 'a', 'UPDATE', 1, 'big,exact,small', '{"id": "a", "name": "Ada L."}');

INSERT INTO rowtide.push_sessions VALUES ('ada', 'a-push-session', 's', 3, 2, 1, NULL, NULL, 1800000900000);

INSERT INTO rowtide.row_state VALUES ('ada', 1, 'a', 1, false);
INSERT INTO rowtide.row_state VALUES ('ada', 2, 'p', 1, false);
INSERT INTO rowtide.row_state VALUES ('ada', 1, 'b', 2, true);

INSERT INTO rowtide.source_state VALUES ('ada', 's', 'active', 2, NULL);

INSERT INTO rowtide.table_catalog OVERRIDING SYSTEM VALUE VALUES (1, 'business', 'users', 'id', 'text', 'concat(''{"id":'', coalesce(to_json(t."id"::text)::text, ''null''), '',"name":'', coalesce(to_json(t."name"::text)::text, ''null''), '',"big":'', coalesce(t."big"::text, ''null''), '',"exact":'', coalesce(CASE WHEN t."exact" IN (''NaN'', ''Infinity'', ''-Infinity'') THEN ''"'' || t."exact"::text || ''"'' ELSE t."exact"::text END, ''null''), '',"small":'', coalesce(CASE WHEN t."small" IN (''NaN'', ''Infinity'', ''-Infinity'') THEN ''"'' || t."small"::text || ''"'' ELSE rowtide.float_text(t."small"::double precision) END, ''null''), ''}'')', 'CREATE OR REPLACE FUNCTION rowtide.capture_1_insert() RETURNS trigger
             LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
             DECLARE who text;
             BEGIN
                 IF current_setting(''rowtide.maintenance'', true) = ''on'' THEN RETURN NULL; END IF;
                 who := rowtide.bundle_user();
                 IF EXISTS (SELECT FROM new_rows AS r WHERE r._sync_scope_id IS DISTINCT FROM who) THEN
                     RAISE EXCEPTION ''a bundle writes rows of its own user only''
                         USING ERRCODE = ''RT001'', HINT = ''Name the user in WHERE, and leave out _sync_scope_id in INSERT.'';
                 END IF;
                 INSERT INTO rowtide.bundle_capture (user_id, table_id, key, op) SELECT who, 1, n."id"::text, 0 FROM new_rows AS n;
                 RETURN NULL;
             END $$;
CREATE OR REPLACE FUNCTION rowtide.capture_1_update() RETURNS trigger
             LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
             DECLARE who text;
             BEGIN
                 IF current_setting(''rowtide.maintenance'', true) = ''on'' THEN RETURN NULL; END IF;
                 who := rowtide.bundle_user();
                 IF EXISTS (SELECT FROM (SELECT _sync_scope_id FROM old_rows UNION ALL SELECT _sync_scope_id FROM new_rows) AS r WHERE r._sync_scope_id IS DISTINCT FROM who) THEN
                     RAISE EXCEPTION ''a bundle writes rows of its own user only''
                         USING ERRCODE = ''RT001'', HINT = ''Name the user in WHERE, and leave out _sync_scope_id in INSERT.'';
                 END IF;
                 INSERT INTO rowtide.bundle_capture (user_id, table_id, key, op) SELECT who, 1, o."id"::text, 2 FROM old_rows AS o WHERE NOT EXISTS (SELECT FROM new_rows AS n WHERE n."id" = o."id"); INSERT INTO rowtide.bundle_capture (user_id, table_id, key, op) SELECT who, 1, n."id"::text, CASE WHEN o."id" IS NULL THEN 0 ELSE 1 END
         FROM new_rows AS n LEFT JOIN old_rows AS o ON o."id" = n."id";
                 RETURN NULL;
             END $$;
CREATE OR REPLACE FUNCTION rowtide.capture_1_delete() RETURNS trigger
             LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
             DECLARE who text;
             BEGIN
                 IF current_setting(''rowtide.maintenance'', true) = ''on'' THEN RETURN NULL; END IF;
                 who := rowtide.bundle_user();
                 IF EXISTS (SELECT FROM old_rows AS r WHERE r._sync_scope_id IS DISTINCT FROM who) THEN
                     RAISE EXCEPTION ''a bundle writes rows of its own user only''
                         USING ERRCODE = ''RT001'', HINT = ''Name the user in WHERE, and leave out _sync_scope_id in INSERT.'';
                 END IF;
                 INSERT INTO rowtide.bundle_capture (user_id, table_id, key, op) SELECT who, 1, o."id"::text, 2 FROM old_rows AS o;
                 RETURN NULL;
             END $$;
DROP TRIGGER IF EXISTS rowtide_guard_insert ON "business"."users";
             CREATE TRIGGER rowtide_guard_insert BEFORE INSERT ON "business"."users" FOR EACH STATEMENT EXECUTE FUNCTION rowtide.guard_write();
DROP TRIGGER IF EXISTS rowtide_guard_update ON "business"."users";
             CREATE TRIGGER rowtide_guard_update BEFORE UPDATE ON "business"."users" FOR EACH STATEMENT EXECUTE FUNCTION rowtide.guard_write();
DROP TRIGGER IF EXISTS rowtide_guard_delete ON "business"."users";
             CREATE TRIGGER rowtide_guard_delete BEFORE DELETE ON "business"."users" FOR EACH STATEMENT EXECUTE FUNCTION rowtide.guard_write();
DROP TRIGGER IF EXISTS rowtide_guard_truncate ON "business"."users";
             CREATE TRIGGER rowtide_guard_truncate BEFORE TRUNCATE ON "business"."users" FOR EACH STATEMENT EXECUTE FUNCTION rowtide.guard_truncate();
DROP TRIGGER IF EXISTS rowtide_fill_scope ON "business"."users";
             CREATE TRIGGER rowtide_fill_scope BEFORE INSERT ON "business"."users" FOR EACH ROW WHEN (NEW._sync_scope_id IS NULL) EXECUTE FUNCTION rowtide.fill_scope();
DROP TRIGGER IF EXISTS rowtide_capture_insert ON "business"."users";
             CREATE TRIGGER rowtide_capture_insert AFTER INSERT ON "business"."users" REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowtide.capture_1_insert();
DROP TRIGGER IF EXISTS rowtide_capture_update ON "business"."users";
             CREATE TRIGGER rowtide_capture_update AFTER UPDATE ON "business"."users" REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowtide.capture_1_update();
DROP TRIGGER IF EXISTS rowtide_capture_delete ON "business"."users";
             CREATE TRIGGER rowtide_capture_delete AFTER DELETE ON "business"."users" REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION rowtide.capture_1_delete();', true);
INSERT INTO rowtide.table_catalog OVERRIDING SYSTEM VALUE VALUES (2, 'business', 'posts', 'id', 'text', 'concat(''{"id":'', coalesce(to_json(t."id"::text)::text, ''null''), '',"name":'', coalesce(to_json(t."name"::text)::text, ''null''), ''}'')', 'CREATE OR REPLACE FUNCTION rowtide.capture_2_insert() RETURNS trigger
             LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
             DECLARE who text;
             BEGIN
                 IF current_setting(''rowtide.maintenance'', true) = ''on'' THEN RETURN NULL; END IF;
                 who := rowtide.bundle_user();
                 IF EXISTS (SELECT FROM new_rows AS r WHERE r._sync_scope_id IS DISTINCT FROM who) THEN
                     RAISE EXCEPTION ''a bundle writes rows of its own user only''
                         USING ERRCODE = ''RT001'', HINT = ''Name the user in WHERE, and leave out _sync_scope_id in INSERT.'';
                 END IF;
                 INSERT INTO rowtide.bundle_capture (user_id, table_id, key, op) SELECT who, 2, n."id"::text, 0 FROM new_rows AS n;
                 RETURN NULL;
             END $$;
CREATE OR REPLACE FUNCTION rowtide.capture_2_update() RETURNS trigger
             LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
             DECLARE who text;
             BEGIN
                 IF current_setting(''rowtide.maintenance'', true) = ''on'' THEN RETURN NULL; END IF;
                 who := rowtide.bundle_user();
                 IF EXISTS (SELECT FROM (SELECT _sync_scope_id FROM old_rows UNION ALL SELECT _sync_scope_id FROM new_rows) AS r WHERE r._sync_scope_id IS DISTINCT FROM who) THEN
                     RAISE EXCEPTION ''a bundle writes rows of its own user only''
                         USING ERRCODE = ''RT001'', HINT = ''Name the user in WHERE, and leave out _sync_scope_id in INSERT.'';
                 END IF;
                 INSERT INTO rowtide.bundle_capture (user_id, table_id, key, op) SELECT who, 2, o."id"::text, 2 FROM old_rows AS o WHERE NOT EXISTS (SELECT FROM new_rows AS n WHERE n."id" = o."id"); INSERT INTO rowtide.bundle_capture (user_id, table_id, key, op) SELECT who, 2, n."id"::text, CASE WHEN o."id" IS NULL THEN 0 ELSE 1 END
         FROM new_rows AS n LEFT JOIN old_rows AS o ON o."id" = n."id";
                 RETURN NULL;
             END $$;
CREATE OR REPLACE FUNCTION rowtide.capture_2_delete() RETURNS trigger
             LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
             DECLARE who text;
             BEGIN
                 IF current_setting(''rowtide.maintenance'', true) = ''on'' THEN RETURN NULL; END IF;
                 who := rowtide.bundle_user();
                 IF EXISTS (SELECT FROM old_rows AS r WHERE r._sync_scope_id IS DISTINCT FROM who) THEN
                     RAISE EXCEPTION ''a bundle writes rows of its own user only''
                         USING ERRCODE = ''RT001'', HINT = ''Name the user in WHERE, and leave out _sync_scope_id in INSERT.'';
                 END IF;
                 INSERT INTO rowtide.bundle_capture (user_id, table_id, key, op) SELECT who, 2, o."id"::text, 2 FROM old_rows AS o;
                 RETURN NULL;
             END $$;
DROP TRIGGER IF EXISTS rowtide_guard_insert ON "business"."posts";
             CREATE TRIGGER rowtide_guard_insert BEFORE INSERT ON "business"."posts" FOR EACH STATEMENT EXECUTE FUNCTION rowtide.guard_write();
DROP TRIGGER IF EXISTS rowtide_guard_update ON "business"."posts";
             CREATE TRIGGER rowtide_guard_update BEFORE UPDATE ON "business"."posts" FOR EACH STATEMENT EXECUTE FUNCTION rowtide.guard_write();
DROP TRIGGER IF EXISTS rowtide_guard_delete ON "business"."posts";
             CREATE TRIGGER rowtide_guard_delete BEFORE DELETE ON "business"."posts" FOR EACH STATEMENT EXECUTE FUNCTION rowtide.guard_write();
DROP TRIGGER IF EXISTS rowtide_guard_truncate ON "business"."posts";
             CREATE TRIGGER rowtide_guard_truncate BEFORE TRUNCATE ON "business"."posts" FOR EACH STATEMENT EXECUTE FUNCTION rowtide.guard_truncate();
DROP TRIGGER IF EXISTS rowtide_fill_scope ON "business"."posts";
             CREATE TRIGGER rowtide_fill_scope BEFORE INSERT ON "business"."posts" FOR EACH ROW WHEN (NEW._sync_scope_id IS NULL) EXECUTE FUNCTION rowtide.fill_scope();
DROP TRIGGER IF EXISTS rowtide_capture_insert ON "business"."posts";
             CREATE TRIGGER rowtide_capture_insert AFTER INSERT ON "business"."posts" REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowtide.capture_2_insert();
DROP TRIGGER IF EXISTS rowtide_capture_update ON "business"."posts";
             CREATE TRIGGER rowtide_capture_update AFTER UPDATE ON "business"."posts" REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowtide.capture_2_update();
DROP TRIGGER IF EXISTS rowtide_capture_delete ON "business"."posts";
             CREATE TRIGGER rowtide_capture_delete AFTER DELETE ON "business"."posts" REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION rowtide.capture_2_delete();', true);

INSERT INTO rowtide.user_state VALUES ('ada', true, NULL, NULL, 0, 2, 0);

SELECT pg_catalog.setval('rowtide.bundle_capture_ordinal_seq', 4, true);

SELECT pg_catalog.setval('rowtide.table_catalog_table_id_seq', 2, true);

ALTER TABLE ONLY business.posts
    ADD CONSTRAINT posts_pkey PRIMARY KEY (_sync_scope_id, id);

ALTER TABLE ONLY business.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (_sync_scope_id, id);

ALTER TABLE ONLY rowtide.bundle_capture
    ADD CONSTRAINT bundle_capture_pkey PRIMARY KEY (user_id, transaction_id, ordinal);

ALTER TABLE ONLY rowtide.bundle_log
    ADD CONSTRAINT bundle_log_pkey PRIMARY KEY (user_id, bundle_seq);

ALTER TABLE ONLY rowtide.bundle_log
    ADD CONSTRAINT bundle_log_user_id_source_id_source_bundle_id_key UNIQUE (user_id, source_id, source_bundle_id);

ALTER TABLE ONLY rowtide.bundle_rows
    ADD CONSTRAINT bundle_rows_pkey PRIMARY KEY (user_id, bundle_seq, row_ordinal);

ALTER TABLE ONLY rowtide.meta
    ADD CONSTRAINT meta_pkey PRIMARY KEY (singleton);

ALTER TABLE ONLY rowtide.open_bundle
    ADD CONSTRAINT open_bundle_pkey PRIMARY KEY (user_id, transaction_id);

ALTER TABLE ONLY rowtide.push_rows
    ADD CONSTRAINT push_rows_pkey PRIMARY KEY (user_id, push_id, row_ordinal);

ALTER TABLE ONLY rowtide.push_rows
    ADD CONSTRAINT push_rows_user_id_push_id_table_id_key_key UNIQUE (user_id, push_id, table_id, key);

ALTER TABLE ONLY rowtide.push_sessions
    ADD CONSTRAINT push_sessions_pkey PRIMARY KEY (user_id, push_id);

ALTER TABLE ONLY rowtide.row_state
    ADD CONSTRAINT row_state_pkey PRIMARY KEY (user_id, table_id, key);

ALTER TABLE ONLY rowtide.snapshot_rows
    ADD CONSTRAINT snapshot_rows_pkey PRIMARY KEY (user_id, snapshot_id, row_ordinal);

ALTER TABLE ONLY rowtide.snapshot_sessions
    ADD CONSTRAINT snapshot_sessions_pkey PRIMARY KEY (user_id, snapshot_id);

ALTER TABLE ONLY rowtide.source_state
    ADD CONSTRAINT source_state_pkey PRIMARY KEY (user_id, source_id);

ALTER TABLE ONLY rowtide.table_catalog
    ADD CONSTRAINT table_catalog_pkey PRIMARY KEY (table_id);

ALTER TABLE ONLY rowtide.table_catalog
    ADD CONSTRAINT table_catalog_schema_name_table_name_key UNIQUE (schema_name, table_name);

ALTER TABLE ONLY rowtide.user_state
    ADD CONSTRAINT user_state_pkey PRIMARY KEY (user_id);

CREATE INDEX push_sessions_by_expiry ON rowtide.push_sessions USING btree (expires_at);

CREATE INDEX snapshot_sessions_by_expiry ON rowtide.snapshot_sessions USING btree (expires_at);

CREATE TRIGGER rowtide_capture_delete AFTER DELETE ON business.posts REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION rowtide.capture_2_delete();

CREATE TRIGGER rowtide_capture_delete AFTER DELETE ON business.users REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION rowtide.capture_1_delete();

CREATE TRIGGER rowtide_capture_insert AFTER INSERT ON business.posts REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowtide.capture_2_insert();

CREATE TRIGGER rowtide_capture_insert AFTER INSERT ON business.users REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowtide.capture_1_insert();

CREATE TRIGGER rowtide_capture_update AFTER UPDATE ON business.posts REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowtide.capture_2_update();

CREATE TRIGGER rowtide_capture_update AFTER UPDATE ON business.users REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowtide.capture_1_update();

CREATE TRIGGER rowtide_fill_scope BEFORE INSERT ON business.posts FOR EACH ROW WHEN ((new._sync_scope_id IS NULL)) EXECUTE FUNCTION rowtide.fill_scope();

CREATE TRIGGER rowtide_fill_scope BEFORE INSERT ON business.users FOR EACH ROW WHEN ((new._sync_scope_id IS NULL)) EXECUTE FUNCTION rowtide.fill_scope();

CREATE TRIGGER rowtide_guard_delete BEFORE DELETE ON business.posts FOR EACH STATEMENT EXECUTE FUNCTION rowtide.guard_write();

CREATE TRIGGER rowtide_guard_delete BEFORE DELETE ON business.users FOR EACH STATEMENT EXECUTE FUNCTION rowtide.guard_write();

CREATE TRIGGER rowtide_guard_insert BEFORE INSERT ON business.posts FOR EACH STATEMENT EXECUTE FUNCTION rowtide.guard_write();

CREATE TRIGGER rowtide_guard_insert BEFORE INSERT ON business.users FOR EACH STATEMENT EXECUTE FUNCTION rowtide.guard_write();

CREATE TRIGGER rowtide_guard_truncate BEFORE TRUNCATE ON business.posts FOR EACH STATEMENT EXECUTE FUNCTION rowtide.guard_truncate();

CREATE TRIGGER rowtide_guard_truncate BEFORE TRUNCATE ON business.users FOR EACH STATEMENT EXECUTE FUNCTION rowtide.guard_truncate();

CREATE TRIGGER rowtide_guard_update BEFORE UPDATE ON business.posts FOR EACH STATEMENT EXECUTE FUNCTION rowtide.guard_write();

CREATE TRIGGER rowtide_guard_update BEFORE UPDATE ON business.users FOR EACH STATEMENT EXECUTE FUNCTION rowtide.guard_write();

CREATE CONSTRAINT TRIGGER seal_at_commit AFTER INSERT ON rowtide.open_bundle DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (new.seal_at_commit) EXECUTE FUNCTION rowtide.seal_at_commit();

