//! Identifiers of the protocol as types, so that a sequence is never passed where a version belongs.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl $name {
            /// The counter one above this one; a number that is valid nowhere where a server claims the largest one.
            pub fn next(self) -> Self {
                Self(self.0.wrapping_add(1))
            }
        }
    };
}

counter! {
    /// Number of a bundle in one user's history, assigned by the server, gap-free from 1; 0 is "nothing yet".
    BundleSeq
}
counter! {
    /// Number of an upload bundle of one source, assigned by the client, from 1.
    SourceBundleId
}
counter! {
    /// Version of a row: the sequence of the bundle that last changed it; 0 is "the server never had it".
    RowVersion
}

impl From<BundleSeq> for RowVersion {
    /// A row changed by a bundle carries the bundle's sequence as its version.
    fn from(seq: BundleSeq) -> Self {
        Self(seq.0)
    }
}

/// Mints a random identifier: a UUID of version 4, lowercase and dashed.
pub fn mint_uuid() -> String {
    crate::simulation::uuid().unwrap_or_else(uuid::Uuid::new_v4).to_string()
}

/// Identity of one client database towards the server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SourceId(String);

impl SourceId {
    /// Name of the request header that carries it.
    pub const HEADER: &'static str = "Oversync-Source-ID";

    /// Mints a new random identity (UUID version 4).
    pub fn mint() -> Self {
        Self(mint_uuid())
    }

    /// Accepts an identity of one or more visible ASCII characters (`!` to `~`), the narrower rule of
    /// the two generations.
    pub fn parse(text: &str) -> Option<Self> {
        let visible = !text.is_empty() && text.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
        visible.then(|| Self(text.to_owned()))
    }

    /// The identity as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
