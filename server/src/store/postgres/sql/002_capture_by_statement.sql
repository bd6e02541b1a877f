-- Layout 2: a statement is captured as one row, however many rows it touches, and where a session looks for a row that
-- comes twice, keys are compared before what all of its rows share.

-- Transactions that are open keep the table until they end, and what they captured ended with them.
DROP TABLE rowtide.bundle_capture;

-- What a statement did to a registered table; the rows themselves are read when the bundle is sealed.
CREATE UNLOGGED TABLE rowtide.bundle_capture (
    user_id text NOT NULL,
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    ordinal bigint GENERATED ALWAYS AS IDENTITY,
    table_id integer NOT NULL,
    op smallint NOT NULL,          -- 0 insert, 1 update, 2 delete
    keys text[] NOT NULL,
    PRIMARY KEY (user_id, transaction_id, ordinal)
);

-- They live for a moment; compressing them costs more than it saves.
ALTER TABLE rowtide.bundle_capture ALTER COLUMN keys SET STORAGE EXTERNAL;

ALTER TABLE rowtide.push_rows
    DROP CONSTRAINT push_rows_user_id_push_id_table_id_key_key,
    ADD UNIQUE (key, user_id, push_id, table_id);

DROP FUNCTION rowtide.seal_bundle(text, text, text, bigint, text, text);

-- Makes a bundle of what this transaction captured: rows, versions, log, notification. Rows come in the order of the
-- push session, then in the order in which they were touched. Answers the bytes of all payloads, and of the widest one.
-- The caller holds the user's lock.
CREATE FUNCTION rowtide.seal_bundle(
    of_user text, of_push text, of_source text, of_source_bundle bigint, of_generation text, of_request_hash text,
    OUT sealed_seq bigint, OUT sealed_rows bigint, OUT sealed_bytes bigint, OUT sealed_widest bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres'
SET extra_float_digits = 1
-- What joins whole sets is hashed, whatever the statistics of such short-lived rows say; what is looked up row by row
-- says so by LATERAL. The nested loops that remain count as so costly that every bundle would be compiled (half a second).
SET enable_nestloop = off SET jit = off
-- For the same reason keys are looked up and hashed rather than sorted; what has to be sorted has room for it.
SET enable_bitmapscan = off SET enable_sort = off SET work_mem = '32MB' AS $$
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
        -- An op in the lowest two bits finds the first and the last op of a row along with their ordinals. A row that a
        -- device inserts on nothing has no version yet, as the look for conflicts found under the same lock.
        EXECUTE format($sql$
            WITH touched AS (
                SELECT b.table_id, k.key, min(b.ordinal * 4 + b.op) AS first, max(b.ordinal * 4 + b.op) AS last, min(k.place) AS place
                FROM rowtide.bundle_capture AS b CROSS JOIN LATERAL unnest(b.keys) WITH ORDINALITY AS k (key, place)
                WHERE b.user_id = $1 AND b.transaction_id = pg_current_xact_id()
                GROUP BY b.table_id, k.key
            ), ordered AS MATERIALIZED (
                SELECT row_number() OVER (ORDER BY p.row_ordinal NULLS LAST, touched.first, touched.place) - 1 AS row_ordinal,
                    touched.table_id, touched.key,
                    CASE WHEN last %% 4 = 2 THEN 'DELETE' WHEN first %% 4 = 0 THEN 'INSERT' ELSE 'UPDATE' END AS op,
                    coalesce(p.op = 'INSERT' AND p.base_row_version = 0, false) AS is_new
                FROM touched LEFT JOIN rowtide.push_rows AS p
                    ON p.user_id = $1 AND p.push_id = $3 AND p.table_id = touched.table_id AND p.key = touched.key
                WHERE NOT (first %% 4 = 0 AND last %% 4 = 2)
            ), written AS (
                INSERT INTO rowtide.bundle_rows (user_id, bundle_seq, row_ordinal, table_id, key, op, payload)
                SELECT $1, $2, found.* FROM (
                    SELECT o.row_ordinal, o.table_id, o.key, o.op, NULL FROM ordered AS o WHERE o.op = 'DELETE' %s
                ) AS found
                RETURNING octet_length(payload) AS bytes
            ), created AS (
                INSERT INTO rowtide.row_state (user_id, table_id, key, row_version, deleted)
                SELECT $1, o.table_id, o.key, $2, o.op = 'DELETE' FROM ordered AS o WHERE o.is_new
            ), versioned AS (
                INSERT INTO rowtide.row_state (user_id, table_id, key, row_version, deleted)
                SELECT $1, o.table_id, o.key, $2, o.op = 'DELETE' FROM ordered AS o WHERE NOT o.is_new
                ON CONFLICT (user_id, table_id, key)
                DO UPDATE SET row_version = excluded.row_version, deleted = excluded.deleted
            )
            SELECT count(*), coalesce(sum(w.bytes), 0), coalesce(max(w.bytes), 0) FROM written AS w
        $sql$, upserts) INTO sealed_rows, sealed_bytes, sealed_widest USING of_user, sealed_seq, of_push;
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
