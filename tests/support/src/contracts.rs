//! The contract data, read in place.

use serde_json::Value;
use std::path::PathBuf;

/// Reads a file of the contract data; `None` where the data is not beside the checkout and
/// `ROWTIDE_CONTRACTS` does not name it. Under CI that is a failure.
///
/// # Panics
/// The file is not JSON, or CI runs without the data.
pub fn contract(path: &str) -> Option<Value> {
    let root = std::env::var_os("ROWTIDE_CONTRACTS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/contracts"),
        PathBuf::from,
    );
    if !root.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "CI runs without the contract data; set ROWTIDE_CONTRACTS");
        eprintln!("skipped: no contract data; set ROWTIDE_CONTRACTS to its folder");
        return None;
    }
    let file = root.join(path);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display())))
}
