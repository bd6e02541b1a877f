//! The command `rowtide`, as it was built.

use std::path::{Path, PathBuf};

/// The binary beside the test's own.
///
/// # Panics
/// It was not built.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test is a program");
    let binary =
        test.parent().and_then(Path::parent).expect("tests lie in a folder of the build").join("rowtide");
    assert!(binary.exists(), "build the command first: cargo build -p rowtide-cli");
    binary
}
