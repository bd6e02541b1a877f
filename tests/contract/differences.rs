//! The cases that end differently on purpose. `docs/conformance.md` describes each.

/// A case, what comes out differently in it, and why that is so.
pub(crate) struct Difference {
    pub(crate) file: &'static str,
    pub(crate) case: &'static str,
    /// Everything that differs, with what is found instead.
    pub(crate) found: &'static [&'static str],
    pub(crate) reason: &'static str,
}

/// Every difference there is.
pub(crate) const DIFFERENCES: &[Difference] = &[];
