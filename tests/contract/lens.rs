//! The references' tables, of which the contract's SQL speaks, as views over Rowtide's own.
//!
//! The views are there only while such a statement runs. What Rowtide has no word for (times, the canonical form's
//! name) has no column here.

use rowtide::{Client, QueryRows};

/// Statements that create and drop the views.
pub(crate) struct Lens {
    up: String,
    down: String,
}

/// Names and definitions. `{schema}` is the server's schema, `{live}` the rows of the managed tables.
const VIEWS: [(&str, &str); 10] = [
    ("apply_state", "SELECT singleton AS singleton_key, applying AS apply_mode FROM _rowtide_apply"),
    (
        "attachment_state",
        "SELECT singleton AS singleton_key, source_id AS current_source_id,
            iif(user_id IS NULL, 'anonymous', 'attached') AS binding_state,
            ifnull(user_id, '') AS attached_user_id, ifnull(schema_name, '') AS schema_name,
            checkpoint AS last_bundle_seq_seen,
            EXISTS (SELECT 1 FROM _rowtide_operation WHERE kind <> 'remote_replace') AS rebuild_required,
            ifnull(initialization_id, '') AS pending_initialization_id
         FROM _rowtide_attachment",
    ),
    (
        "source_state",
        "SELECT source_id, next_source_bundle_id, '' AS replaced_by_source_id FROM _rowtide_attachment",
    ),
    (
        // A rebuild is no operation of the references, and their download for an attach has no reason.
        "operation_state",
        "SELECT 1 AS singleton_key, ifnull(nullif(o.kind, 'rebuild'), 'none') AS kind,
            ifnull(o.target_user, '') AS target_user_id, ifnull(o.snapshot_id, '') AS staged_snapshot_id,
            ifnull(o.snapshot_bundle_seq, 0) AS snapshot_bundle_seq, ifnull(o.row_count, 0) AS snapshot_row_count,
            ifnull(o.byte_count, 0) AS snapshot_byte_count,
            o.snapshot_id IS NOT NULL AND o.staged_rows = o.row_count AS snapshot_stage_complete,
            iif(o.kind = 'remote_replace', '', ifnull(o.reason, '')) AS reason,
            ifnull(o.replacement_source_id, '') AS replacement_source_id
         FROM _rowtide_apply LEFT JOIN _rowtide_operation AS o",
    ),
    (
        "outbox_bundle",
        "SELECT 1 AS singleton_key,
            CASE WHEN o.singleton IS NULL THEN 'none' WHEN o.committed IS NULL THEN 'prepared'
                 ELSE 'committed_remote' END AS state,
            ifnull(o.source_id, '') AS source_id, ifnull(o.source_bundle_id, 0) AS source_bundle_id,
            iif(o.singleton IS NULL, '', ifnull(a.initialization_id, '')) AS initialization_id,
            ifnull(o.request_hash, '') AS canonical_request_hash, ifnull(o.row_count, 0) AS row_count,
            ifnull(json_extract(o.committed, '$.bundle_hash'), '') AS remote_bundle_hash,
            ifnull(json_extract(o.committed, '$.bundle_seq'), 0) AS remote_bundle_seq
         FROM _rowtide_attachment AS a LEFT JOIN _rowtide_outbox AS o",
    ),
    (
        "outbox_rows",
        "SELECT r.row_ordinal, '{schema}' AS schema_name, t.table_name, {key} AS key_json, r.op, r.base_row_version
         FROM _rowtide_outbox_rows AS r JOIN _rowtide_tables AS t USING (table_id)",
    ),
    (
        "row_state",
        "SELECT '{schema}' AS schema_name, t.table_name, {key} AS key_json, r.row_version, r.deleted
         FROM _rowtide_row_state AS r JOIN _rowtide_tables AS t USING (table_id)",
    ),
    (
        "snapshot_stage",
        // The contract's SQL writes row_ordinal, which is kept nowhere.
        "SELECT (SELECT snapshot_id FROM _rowtide_operation) AS snapshot_id, NULL AS row_ordinal,
            '{schema}' AS schema_name, t.table_name, {key} AS key_json, r.row_version, r.payload
         FROM _rowtide_stage AS r JOIN _rowtide_tables AS t USING (table_id)",
    ),
    (
        "dirty_rows",
        "WITH live (table_id, key, payload) AS ({live}),
            change (table_id, key, first) AS (
                SELECT table_id, key, min(change) FROM (
                    SELECT table_id, key, first_change AS change FROM _rowtide_dirty_rows
                    UNION ALL
                    SELECT table_id, key, seq + changes_coalesced FROM _rowtide_change_log, _rowtide_attachment
                ) GROUP BY table_id, key)
         SELECT '{schema}' AS schema_name, t.table_name, {key} AS key_json,
            CASE WHEN l.payload IS NULL THEN 'DELETE' WHEN ifnull(s.deleted, 1) THEN 'INSERT'
                 ELSE 'UPDATE' END AS op,
            ifnull(s.row_version, 0) AS base_row_version, l.payload,
            row_number() OVER (ORDER BY r.first) AS dirty_ordinal
         FROM change AS r JOIN _rowtide_tables AS t USING (table_id)
            LEFT JOIN live AS l ON l.table_id = r.table_id AND l.key = r.key
            LEFT JOIN _rowtide_row_state AS s ON s.table_id = r.table_id AND s.key = r.key",
    ),
    ("managed_tables", "SELECT '{schema}' AS schema_name, table_name FROM _rowtide_tables"),
];

/// What a statement on a view does.
const WRITES: [(&str, &str, &str); 7] = [
    ("apply_state", "UPDATE", "UPDATE _rowtide_apply SET applying = NEW.apply_mode;"),
    (
        "attachment_state",
        "UPDATE",
        "UPDATE _rowtide_attachment SET checkpoint = NEW.last_bundle_seq_seen;
         INSERT OR IGNORE INTO _rowtide_operation (singleton, kind, reason)
         SELECT 1, 'rebuild', '' WHERE NEW.rebuild_required;",
    ),
    (
        "source_state",
        "UPDATE",
        "UPDATE _rowtide_attachment SET next_source_bundle_id = NEW.next_source_bundle_id;",
    ),
    // A reserved source is a member of the operation.
    ("source_state", "INSERT", "SELECT 1;"),
    (
        "operation_state",
        "UPDATE",
        "UPDATE _rowtide_operation SET kind = iif(NEW.kind = 'none', kind, NEW.kind), reason = NEW.reason,
            replacement_source_id = nullif(NEW.replacement_source_id, '');",
    ),
    (
        "row_state",
        "INSERT",
        "INSERT INTO _rowtide_row_state (table_id, key, row_version, deleted)
         VALUES ((SELECT table_id FROM _rowtide_tables WHERE table_name = NEW.table_name),
                 (SELECT value FROM json_each(NEW.key_json)), NEW.row_version, NEW.deleted);",
    ),
    (
        "snapshot_stage",
        "INSERT",
        "INSERT INTO _rowtide_stage (table_id, key, op, row_version, payload)
         VALUES ((SELECT table_id FROM _rowtide_tables WHERE table_name = NEW.table_name),
                 (SELECT value FROM json_each(NEW.key_json)), 'INSERT', NEW.row_version, NEW.payload);",
    ),
];

const KEY: &str = "iif(typeof(r.key) = 'blob', lower(hex(r.key)), json_object(t.key_column, r.key))";

impl Lens {
    /// The views of a database with these tables, given with their key and all of their columns.
    pub(crate) fn new(schema: &str, tables: &[(String, String, Vec<String>)]) -> Self {
        let live = |(table, key, columns): &(String, String, Vec<String>)| {
            let cell = |name: &String| format!("'{name}', iif(typeof({name}) = 'blob', hex({name}), {name})");
            let cells: Vec<_> = columns.iter().map(cell).collect();
            format!(
                "SELECT (SELECT table_id FROM _rowtide_tables WHERE table_name = '{table}'), {key},
                    json_object({}) FROM {table}",
                cells.join(", ")
            )
        };
        let live = tables.iter().map(live).collect::<Vec<_>>().join(" UNION ALL ");
        let (mut up, mut down) = (String::new(), String::new());
        for (name, select) in VIEWS {
            let select = select.replace("{schema}", schema).replace("{live}", &live).replace("{key}", KEY);
            up += &format!("CREATE VIEW _sync_{name} AS {select};");
            down += &format!("DROP VIEW _sync_{name};");
        }
        for (view, event, body) in WRITES {
            up += &format!(
                "CREATE TRIGGER _sync_{view}_{event} INSTEAD OF {event} ON _sync_{view} BEGIN {body} END;"
            );
        }
        Self { up, down }
    }

    /// Runs statements of the contract.
    pub(crate) async fn execute(&self, client: &Client, sql: &str) {
        let script =
            if sql.contains("_sync_") { format!("{}{sql};{}", self.up, self.down) } else { sql.into() };
        client.execute_script(&script).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Runs a query of the contract.
    pub(crate) async fn query(&self, client: &Client, sql: &str) -> QueryRows {
        let looks = sql.contains("_sync_") && !sql.contains("sqlite_master");
        if looks {
            client.execute_script(&self.up).await.unwrap();
        }
        let found = client.query(sql, Vec::new()).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        if looks {
            client.execute_script(&self.down).await.unwrap();
        }
        found
    }
}
