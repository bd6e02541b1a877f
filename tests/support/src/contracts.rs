//! The contract data, read in place.

use serde_json::Value;
use std::path::{Path, PathBuf};

/// Reads a file of the contract data; `None` where the data is not beside the checkout and
/// `ROWTIDE_CONTRACTS` does not name it. Under CI that is a failure.
///
/// # Panics
/// The file is not JSON, or CI runs without the data.
pub fn contract(path: &str) -> Option<Value> {
    let text = contract_text(path)?;
    Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}")))
}

/// Reads a file of the contract data as it is; `None` as [`contract`].
///
/// # Panics
/// The file cannot be read, or CI runs without the data.
pub fn contract_text(path: &str) -> Option<String> {
    let file = root()?.join(path);
    Some(std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())))
}

/// Every JSON file of the contract data, by its path in there, sorted; `None` as [`contract`].
///
/// # Panics
/// A folder cannot be read, or CI runs without the data.
pub fn contract_files() -> Option<Vec<String>> {
    let root = root()?;
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        for entry in entries {
            let path = entry.expect("the folder can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                files.push(relative(&root, &path));
            }
        }
    }
    files.sort();
    Some(files)
}

fn relative(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).expect("it was found below");
    below.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn root() -> Option<PathBuf> {
    let root = std::env::var_os("ROWTIDE_CONTRACTS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/contracts"),
        PathBuf::from,
    );
    if !root.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "CI runs without the contract data; set ROWTIDE_CONTRACTS");
        eprintln!("skipped: no contract data; set ROWTIDE_CONTRACTS to its folder");
        return None;
    }
    Some(root)
}
