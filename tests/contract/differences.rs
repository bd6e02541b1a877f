//! The cases that end differently on purpose. `docs/conformance.md` describes each.

/// A case, what comes out differently in it, and why that is so.
pub(crate) struct Difference {
    pub(crate) file: &'static str,
    pub(crate) case: &'static str,
    /// Everything that differs, with what is found instead.
    pub(crate) found: &'static [&'static str],
    pub(crate) reason: &'static str,
}

const TEXT_DECIMAL: &str = "a decimal lives in a TEXT column, where every text is a value; which texts are decimals is the \
    server's to check";
const NULLABLE_KEY: &str = "the published guides write keys without `NOT NULL`; a guard refuses NULL at the write, where \
    the app can see it";
/// A pulled value was stored.
const STORED: &[&str] = &["ended = none", "rows = 1", "lastBundleSeqSeen = 1"];

/// Every difference there is.
pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference {
        file: "canonical-json/jcs-uniform-numeric-strings.json",
        case: "decimal_leading_plus",
        found: STORED,
        reason: TEXT_DECIMAL,
    },
    Difference {
        file: "canonical-json/jcs-uniform-numeric-strings.json",
        case: "decimal_leading_zero",
        found: STORED,
        reason: TEXT_DECIMAL,
    },
    Difference {
        file: "canonical-json/jcs-uniform-numeric-strings.json",
        case: "decimal_negative_zero",
        found: STORED,
        reason: TEXT_DECIMAL,
    },
    Difference {
        file: "canonical-json/jcs-uniform-numeric-strings.json",
        case: "decimal_malformed_fraction",
        found: STORED,
        reason: TEXT_DECIMAL,
    },
    Difference {
        file: "canonical-json/jcs-uniform-numeric-strings.json",
        case: "decimal_malformed_exponent",
        found: STORED,
        reason: TEXT_DECIMAL,
    },
    Difference {
        file: "canonical-json/jcs-uniform-numeric-strings.json",
        case: "decimal_nan",
        found: STORED,
        reason: TEXT_DECIMAL,
    },
    Difference {
        file: "canonical-json/jcs-uniform-numeric-strings.json",
        case: "boolean_integer_two",
        found: STORED,
        reason: "a boolean lives in an INTEGER column, which cannot know that its 2 was meant to be one",
    },
    Difference {
        file: "local-schema/config-validation.json",
        case: "nullable-text-primary-key-rejected",
        found: &["opened = accepted"],
        reason: NULLABLE_KEY,
    },
    Difference {
        file: "local-schema/config-validation.json",
        case: "nullable-blob-primary-key-rejected",
        found: &["opened = accepted"],
        reason: NULLABLE_KEY,
    },
    Difference {
        file: "local-schema/config-validation.json",
        case: "previously-initialized-nullable-drift-preserves-runtime-state",
        found: &["opened = accepted"],
        reason: NULLABLE_KEY,
    },
    Difference {
        file: "local-schema/config-validation.json",
        case: "blob-primary-key-accepted",
        found: &["apply-state-installed = 0"],
        reason: "the local tables have a layout and a prefix of their own ([local-schema.md](local-schema.md))",
    },
    Difference {
        file: "lifecycle/behavior/protocol-gates.json",
        case: "sync-then-detach-protocol-mismatch-preserves-dirty-state",
        found: &[
            "step 4: ended = none",
            "step 4: attachment_state.attached_user_id = \"\"",
            "step 4: attachment_state.binding_state = \"anonymous\"",
            "step 4: attachment_state.current_source_id = \"<source-2>\"",
            "step 4: attachment_state.schema_name = \"\"",
            "step 4: dirty_rows rows = 0",
            "step 4: source_state.source_id = \"<source-2>\"",
            "step 4: createRequestCount = 1",
        ],
        reason: "capabilities are asked for once per open client, which saves a request in every operation",
    },
    Difference {
        file: "pull-snapshot/basic.json",
        case: "pull-rejects-stable-behind-request",
        found: &["ended = network", "rebuildRequired = 1"],
        reason: "a server of generation A that was set back answers like this, and a rebuild is what mends it",
    },
    Difference {
        file: "pull-snapshot/basic.json",
        case: "snapshot-rejects-non-empty-chunk-without-bundle-seq",
        found: &["ended = none"],
        reason: "its session announces no rows, so that there is nothing to download",
    },
    Difference {
        file: "pull-snapshot/behavior/apply.json",
        case: "checkpoint-recovery-pending-work-is-actionable-and-preserved",
        found: &[
            "step 1: ended = none",
            "step 1: blocked = no",
            "step 1: dirtyRowCount = 1",
            "step 1: lastBundleSeqSeen = 7",
            "step 1: outboxRowCount = 0",
            "step 1: rebuildRequired = 0",
        ],
        reason: "a rebase keeps every pending row, so that pending rows are no reason to stay behind",
    },
    Difference {
        file: "pull-snapshot/behavior/apply.json",
        case: "snapshot-multi-chunk-staging-invisible-until-final-apply",
        found: &["step 1: snapshotStageCount = 0"],
        reason: "the same rows would fail again; the next download begins with a new session",
    },
    Difference {
        file: "pull-snapshot/behavior/apply.json",
        case: "snapshot-restart-clears-stage-and-restarts-from-zero",
        found: &[
            "step 2: ended = server",
            "step 2: lastBundleSeqSeen = 0",
            "step 2: snapshotStageCount = 1",
            "step 2: users = []",
        ],
        reason: "what was downloaded is durable, and a large first download gets to its end over a bad \
            connection",
    },
    Difference {
        file: "pull-snapshot/behavior/apply.json",
        case: "snapshot-row-count-mismatch-preserves-stage",
        found: &["step 1: snapshotStageCount = 0"],
        reason: "every chunk is checked against its session before it is stored",
    },
    Difference {
        file: "push/basic-insert.json",
        case: "committed-remote-request-hash-mismatch-requires-rebuild",
        found: &["ended = protocol", "outboxState = \"prepared\"", "rebuildRequired = 0"],
        reason: "an answer to a commit that describes another upload proves nothing about this one; the next run asks \
            again, and learns what was committed",
    },
    Difference {
        file: "push/basic-insert.json",
        case: "already-committed-request-hash-mismatch-preserves-source-sequence-error",
        found: &[
            "outboxRowCount = 0",
            "outboxState = \"none\"",
            "pushSessionCreateRequest = [{\"planned_row_count\":1,\"source_bundle_id\":1},{\"planned_row_count\":1,\"source_bundle_id\":1},{\"planned_row_count\":1,\"source_bundle_id\":1},{\"planned_row_count\":1,\"source_bundle_id\":1}]",
        ],
        reason: "the number was used by another copy of the database: this one goes on under a new source with its \
            rows pending, and gives up where the server answers so to every source",
    },
    Difference {
        file: "push/behavior/apply.json",
        case: "committed-push-non-contiguous-bundle-does-not-advance-last-seq",
        found: &["step 1: lastBundleSeqSeen = 2"],
        reason: "rows of other devices in between are known to exist, so that they are read at once",
    },
    Difference {
        file: "push/behavior/apply.json",
        case: "committed-replay-preserves-newer-local-delete",
        found: &[
            "step 1: ended = none",
            "step 1: lastBundleSeqSeen = 1",
            "step 1: nextSourceBundleId = 2",
            "step 1: outboxRowCount = 0",
            "step 1: outboxState = \"none\"",
            "step 2: lastBundleSeqSeen = 1",
            "step 2: nextSourceBundleId = 2",
            "step 2: outboxRowCount = 0",
            "step 2: outboxState = \"none\"",
            "step 3: dirtyRowCount = 0",
            "step 3: lastBundleSeqSeen = 2",
            "step 3: nextSourceBundleId = 3",
        ],
        reason: "a hash that is the expected one proves that the server committed what was sent \
            ([0002](adr/0002-replay-by-predicted-hash.md)), and a push ends when nothing is pending",
    },
];
