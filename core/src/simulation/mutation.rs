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
}
