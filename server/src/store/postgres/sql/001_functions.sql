-- Layout 1 of the store on PostgreSQL: functions.

-- A binary64 in ECMAScript's shortest form.
CREATE FUNCTION rowtide.float_text(x double precision) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN x = 0 THEN '0'
        WHEN abs(x) >= 1e-4 AND abs(x) < 1e15 THEN x::text
        WHEN abs(x) >= 1e-6 AND abs(x) < 1e21 THEN x::text::numeric::text
        ELSE regexp_replace(x::text, 'e([+-])0', 'e\1')
    END
$$;

-- The user whose bundle this transaction writes; an error where there is none.
CREATE FUNCTION rowtide.bundle_user() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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

-- Before every write of a registered table.
CREATE FUNCTION rowtide.guard_write() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('rowtide.maintenance', true) IS DISTINCT FROM 'on' THEN
        PERFORM rowtide.bundle_user();
    END IF;
    RETURN NULL;
END $$;

-- TRUNCATE names no rows, so that it cannot be captured.
CREATE FUNCTION rowtide.guard_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a registered table is not truncated, devices would keep its rows'
        USING ERRCODE = 'RT001', HINT = 'Use DELETE in a bundle.';
END $$;

-- Before the insert of a row that names no user.
CREATE FUNCTION rowtide.fill_scope() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW._sync_scope_id := rowtide.bundle_user();
    RETURN NEW;
END $$;

-- Begins a bundle of a user in this transaction, which its commit makes visible to the user's devices. Waits for other
-- bundles of the user. Answers the bundle's number at the writer.
CREATE FUNCTION rowtide.begin_bundle(user_id text, writer text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
END $$;

-- Makes a bundle of what this transaction captured: rows, versions, log, notification. Rows come in the order of the
-- push session, then in the order in which they were touched. The caller holds the user's lock.
CREATE FUNCTION rowtide.seal_bundle(
    of_user text, of_push text, of_source text, of_source_bundle bigint, of_generation text, of_request_hash text,
    OUT sealed_seq bigint, OUT sealed_rows bigint, OUT sealed_bytes bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres'
SET extra_float_digits = 1
-- What joins whole sets is hashed, whatever the statistics of such short-lived rows say; what is looked up row by row
-- says so by LATERAL. The nested loops that remain count as so costly that every bundle would be compiled (half a second).
SET enable_nestloop = off SET jit = off AS $$
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
END $$;

-- At the commit of a transaction that called begin_bundle.
CREATE FUNCTION rowtide.seal_at_commit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    sealed record;
BEGIN
    SELECT * INTO sealed FROM rowtide.seal_bundle(NEW.user_id, NULL, NEW.source_id, NEW.source_bundle_id, NULL, NULL);
    IF sealed.sealed_rows = 0 THEN
        RAISE EXCEPTION 'the bundle changed nothing' USING ERRCODE = 'RT004', HINT = 'Roll the transaction back instead.';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER seal_at_commit AFTER INSERT ON rowtide.open_bundle DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.seal_at_commit) EXECUTE FUNCTION rowtide.seal_at_commit();
