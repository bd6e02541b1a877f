//! Bugs that were put in on purpose: the simulator must find each (`rowtide-sim --mutations`).
//!
//! Each is one line at the place where it would be made, asking [`mutated`](super::mutated), which is a constant
//! without the feature `simulation`.

macro_rules! mutations {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Mutation {
            $($(#[$doc])* $name,)*
        }

        impl Mutation {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name on the command line.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

mutations! {
    /// The checkpoint is moved to the end of a page with its first bundle.
    CheckpointEarly = "checkpoint-early",
    /// A bundle is applied, and the checkpoint is not moved.
    CheckpointStays = "checkpoint-stays",
    /// The last row of a bundle is not applied.
    LastRowSkipped = "last-row-skipped",
    /// The server's row replaces a dirty row unasked.
    DirtyRowOverwritten = "dirty-row-overwritten",
    /// Every conflict is decided for the server.
    ServerAlwaysWins = "server-always-wins",
    /// A dirty row that is kept does not take the new base version.
    BaseNotRebased = "base-not-rebased",
    /// The server's deletes are noted and not carried out.
    DeleteNotApplied = "delete-not-applied",
    /// A refused row does not get into the inbox.
    RefusedRowDropped = "refused-row-dropped",
    /// What a delete of the server takes along is not uploaded.
    SideEffectsForgotten = "side-effects-forgotten",
    /// The change log is read and not emptied.
    ChangeLogKept = "change-log-kept",
    /// What was frozen is dropped instead of becoming dirty again.
    ThawForgets = "thaw-forgets",
    /// Frozen rows stay dirty as well.
    DirtyKeptAtFreeze = "dirty-kept-at-freeze",
    /// Updates are sent as inserts.
    AlwaysInsert = "always-insert",
    /// Local deletes are not frozen.
    DeletesNotSent = "deletes-not-sent",
    /// The outbox outlives its replay.
    OutboxKeptAfterReplay = "outbox-kept-after-replay",
    /// What was edited during an upload is taken as uploaded.
    EditDuringUploadForgotten = "edit-during-upload-forgotten",
    /// The versions of uploaded rows are not kept.
    VersionsNotReplayed = "versions-not-replayed",
    /// An own bundle moves the checkpoint over bundles of others.
    GapJumped = "gap-jumped",
    /// The number of a bundle is used again.
    NumberReused = "number-reused",
    /// The stage is not emptied.
    StageKept = "stage-kept",
    /// Rows that a snapshot lacks stay.
    MissingRowsKept = "missing-rows-kept",
    /// A snapshot makes local intent be forgotten.
    LocalIntentLostInRebuild = "local-intent-lost-in-rebuild",
    /// Rows that a progressive download shows early are captured as the app's own.
    EarlyRowsCaptured = "early-rows-captured",
    /// How far a download came is not kept.
    ProgressNotKept = "progress-not-kept",
    /// Detach does not ask whether rows are unsynced.
    DetachDropsUnsynced = "detach-drops-unsynced",
    /// Detach leaves the rows of a table.
    DetachKeepsRows = "detach-keeps-rows",
    /// Detach leaves the checkpoint of the former user.
    CheckpointKeptAtDetach = "checkpoint-kept-at-detach",
    /// Rows that were written while signed out are dropped at attach.
    AnonymousRowsDropped = "anonymous-rows-dropped",
    /// An upload that fails for the moment is taken as done.
    LostReplyTakenAsDone = "lost-reply-taken-as-done",
    /// The lease is not sent with the first upload.
    LeaseNotSent = "lease-not-sent",
    /// A retired source is not replaced.
    SourceNotReplaced = "source-not-replaced",
    /// What an earlier run left is not settled first.
    NotSettled = "not-settled",
    /// A token that was rejected is used on.
    RejectedTokenKept = "rejected-token-kept",
    /// The server commits rows whose base is old.
    ConflictOverlooked = "conflict-overlooked",
    /// The server gives a row the version of the bundle before.
    VersionBehind = "version-behind",
    /// The server keeps a deleted row.
    TombstoneLives = "tombstone-lives",
    /// The server leaves rows out of a snapshot.
    SnapshotMissesRows = "snapshot-misses-rows",
    /// The server gives a snapshot the number of the next bundle.
    SnapshotTooNew = "snapshot-too-new",
    /// The server prunes history and does not say so.
    FloorForgotten = "floor-forgotten",
    /// The server does not end the initialisation with the first bundle.
    SeedNotEnded = "seed-not-ended",
    /// The server leaves deletes out of a pull.
    DeletesNotTold = "deletes-not-told",
}
