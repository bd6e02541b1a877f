//! Properties: what capture must leave for any statements on any schema, and that devices agree whatever
//! they do and whatever fails.
#![allow(clippy::unwrap_used)]

mod capture;
mod convergence;

use proptest::test_runner::Config;

/// `cases` runs of each property, or as many as `PROPTEST_CASES` says.
fn config(cases: u32) -> Config {
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    config
}
