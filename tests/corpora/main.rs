//! The inputs that the fuzzer kept, each read once more with the code of its target, without the fuzzer. `scripts/fuzz`
//! looks for new ones.
#![allow(clippy::unwrap_used)]
#![allow(unreachable_pub, missing_docs)] // the modules are the fuzzer's, where they are public

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

use std::path::Path;

#[test]
fn every_kept_input_of_every_fuzz_target_keeps_what_its_target_demands() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (target, check) in fuzz::TARGETS {
        let mut inputs: Vec<_> =
            corpus.join(target).read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{target} has no kept input");
        for input in inputs {
            let data = std::fs::read(&input).unwrap();
            let held = std::panic::catch_unwind(|| check(&data));
            assert!(held.is_ok(), "{target} breaks at {}", input.file_name().unwrap().display());
        }
    }
}

#[test]
fn every_fuzz_target_has_a_corpus_and_every_corpus_a_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let names = |folder: &str| -> Vec<String> {
        let entries = root.join(folder).read_dir().unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    let targets = fuzz::TARGETS.map(|(name, _)| name.to_owned()).to_vec();
    assert_eq!(names("corpus"), targets);
    assert_eq!(names("fuzz_targets"), targets);
}
