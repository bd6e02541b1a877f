//! The list in the document, the one at the head of these tests, and the tests are the same.

const DOCUMENT: &str = include_str!("../../docs/protocol.md");
const HEAD: &str = include_str!("main.rs");
const FILES: [(&str, &str); 9] = [
    ("automatic.rs", include_str!("automatic.rs")),
    ("blobs.rs", include_str!("blobs.rs")),
    ("capture.rs", include_str!("capture.rs")),
    ("conflicts.rs", include_str!("conflicts.rs")),
    ("downloads.rs", include_str!("downloads.rs")),
    ("lifecycle.rs", include_str!("lifecycle.rs")),
    ("replay.rs", include_str!("replay.rs")),
    ("retries.rs", include_str!("retries.rs")),
    ("schemas.rs", include_str!("schemas.rs")),
];

/// Names of the tests of a file.
fn tests(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("async fn "));
    lines.filter_map(|line| line.split('(').next()).filter(|name| name.starts_with("defect_"))
}

#[test]
fn every_mistake_of_the_document_is_guarded_and_every_guard_is_listed() {
    for number in 16..=38 {
        let prefix = format!("defect_{number}_");
        let row = DOCUMENT.lines().find(|line| line.starts_with(&format!("| {number} |")));
        let row = row.unwrap_or_else(|| panic!("mistake {number} is not in the document"));
        let guards: Vec<_> = FILES
            .iter()
            .flat_map(|(file, text)| tests(text).map(move |test| (*file, test)))
            .filter(|(_, test)| test.starts_with(&prefix))
            .collect();
        assert!(!guards.is_empty(), "nothing guards against mistake {number}");
        for (file, test) in guards {
            assert!(row.contains(file), "the document does not say that {file} guards against {number}");
            assert!(
                HEAD.contains(&format!("//! | {number} | `{test}` |")),
                "{test} is not listed in main.rs"
            );
        }
    }
    let listed = HEAD.lines().filter(|line| line.starts_with("//! | ") && line.contains("`defect_"));
    assert_eq!(listed.count(), FILES.iter().flat_map(|(_, text)| tests(text)).count());
}
