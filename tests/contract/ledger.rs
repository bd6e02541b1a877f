//! Which suite runs which list of cases, and the proof that none is left out.
//!
//! A suite runs every case of its list. What comes out differently is compared with [`DIFFERENCES`]: a case that
//! is not listed must not differ at all, and a listed one must differ in exactly what is listed.

use crate::differences::DIFFERENCES;
use rowtide_tests::{contract, contract_files};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a case has come out differently in: `what = found`, and what was expected instead.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    found: Vec<String>,
    expected: Vec<String>,
}

impl Findings {
    /// Compares JSON values; numbers by their value, and a boolean is equal to the number that SQLite has for it.
    pub(crate) fn check(&mut self, what: impl Into<String>, expected: &Value, found: &Value) {
        if !same(expected, found) {
            self.note(what, found, expected);
        }
    }

    pub(crate) fn demand(&mut self, what: impl Into<String>, holds: bool) {
        if !holds {
            self.note(what, false, true);
        }
    }

    pub(crate) fn note(
        &mut self,
        what: impl Into<String>,
        found: impl std::fmt::Display,
        expected: impl std::fmt::Display,
    ) {
        self.found.push(format!("{} = {found}", what.into()));
        self.expected.push(expected.to_string());
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.found.extend(other.found);
        self.expected.extend(other.expected);
    }

    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    /// Fails unless exactly this differs.
    pub(crate) fn assert(&self, place: &str, differs: &[&str]) {
        assert!(self.found == differs, "{place}: {}", self.describe());
    }

    fn describe(&self) -> String {
        let pairs = self.found.iter().zip(&self.expected);
        pairs.map(|(found, expected)| format!("{found} (expected {expected})")).collect::<Vec<_>>().join("; ")
    }
}

fn same(expected: &Value, found: &Value) -> bool {
    let number =
        |value: &Value| value.as_bool().map(|truth| i64::from(truth).into()).or(value.as_number().cloned());
    match (expected, found) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        (a, b) => match (number(a), number(b)) {
            (Some(a), Some(b)) => a == b || (a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64(),
            _ => a == b,
        },
    }
}

/// The cases of a list with their names: of a JSON array, of an object of objects, or the one object itself.
pub(crate) fn cases(file: &str, section: &str, data: &Value) -> Vec<(String, Value)> {
    let list = data.pointer(section).unwrap_or_else(|| panic!("{file} has no {section}"));
    match list {
        Value::Array(elements) => elements.iter().map(|case| (name(file, case), case.clone())).collect(),
        Value::Object(members) if is_list(list) => {
            members.iter().map(|(name, case)| (name.clone(), case.clone())).collect()
        }
        single => vec![(section.trim_start_matches('/').to_owned(), single.clone())],
    }
}

fn name(file: &str, case: &Value) -> String {
    let named = ["name", "tableName", "expectedError"]
        .iter()
        .find_map(|member| case.get(member)?.as_str().map(str::to_owned));
    let header = || Some(format!("Retry-After {}", case.get("wire")?));
    let text = || case.as_str().map(str::to_owned);
    named.or_else(header).or_else(text).unwrap_or_else(|| panic!("{file}: a case has no name: {case}"))
}

fn is_list(value: &Value) -> bool {
    match value {
        Value::Array(_) => true,
        Value::Object(members) => !members.is_empty() && members.values().all(Value::is_object),
        _ => false,
    }
}

/// Pointers to every list of cases in a file.
fn lists(value: &Value, pointer: &str, found: &mut Vec<String>) {
    if !pointer.is_empty() && is_list(value) {
        found.push(pointer.to_owned());
    } else if let Some(members) = value.as_object() {
        members.iter().for_each(|(name, value)| lists(value, &format!("{pointer}/{name}"), found));
    }
}

/// Runs a list of cases and compares what differs with what is listed.
pub(crate) async fn run_list(file: &str, section: &str, run: impl AsyncFn(&str, &Value) -> Findings) {
    let Some(data) = contract(file) else { return };
    let mut wrong = Vec::new();
    for (name, case) in cases(file, section, &data) {
        let findings = run(&name, &case).await;
        let listed = DIFFERENCES.iter().find(|listed| listed.file == file && listed.case == name);
        let expected = listed.map_or(&[][..], |listed| listed.found);
        if findings.found == expected {
            continue;
        }
        wrong.push(match listed {
            None => format!("{name}: {}", findings.describe()),
            Some(_) => format!("{name} is listed as {expected:#?} and is {:#?}", findings.found),
        });
    }
    assert!(wrong.is_empty(), "{file}{section}:\n{}", wrong.join("\n"));
}

/// A test for each list of cases, and the list of the lists.
macro_rules! suites {
    ($($test:ident: $file:literal $section:literal $run:path;)*) => {
        const SUITES: &[(&str, &str)] = &[$(($file, $section)),*];
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                crate::ledger::run_list($file, $section, async |name, case| $run(name, case).await).await;
            }
        )*
    };
}

suites! {
    configurations_are_accepted_and_refused:
        "local-schema/config-validation.json" "/cases" crate::configuration::validation;
    the_rich_configuration_is_accepted:
        "local-schema/business-rich-v0/config.json" "/syncTables" crate::rich_schema::configured;
    the_rich_schema_has_the_described_columns_and_references:
        "rich-schema/business-rich-v0.json" "/tables" crate::rich_schema::described;
    numbers_go_up_and_come_back_as_committed:
        "rich-schema/business-rich-v0.json" "/numericScenarios" crate::rich_schema::number;
    tables_are_compared_in_both_directions:
        "protocol-handshake/connect.json" "/contractCases" crate::handshake::tables;
    connect_is_answered_by_attach:
        "protocol-handshake/connect.json" "/cases" crate::handshake::connect;
    other_protocol_versions_are_refused_before_connect:
        "canonical-json/jcs-uniform-numeric-strings.json" "/protocol/updated_client_rejections"
        crate::handshake::version;
    requests_have_the_method_path_query_header_and_body:
        "protocol-http/requests.json" "/cases" crate::requests::shape;
    integers_go_up_and_committed_ones_come_down:
        "canonical-json/jcs-uniform-numeric-strings.json" "/integer_cases" crate::values::travels;
    decimals_go_up_and_committed_ones_come_down:
        "canonical-json/jcs-uniform-numeric-strings.json" "/decimal_cases" crate::values::travels;
    floats_go_up_and_committed_ones_come_down:
        "canonical-json/jcs-uniform-numeric-strings.json" "/float_cases" crate::values::travels;
    booleans_go_up_and_committed_ones_come_down:
        "canonical-json/jcs-uniform-numeric-strings.json" "/boolean_cases" crate::values::travels;
    invalid_values_are_rejected_before_any_mutation:
        "canonical-json/jcs-uniform-numeric-strings.json" "/invalid_cases" crate::values::invalid;
    canonical_bytes_and_their_hashes_come_out_as_published:
        "canonical-json/jcs-uniform-numeric-strings.json" "/canonical_examples" crate::values::canonical;
    a_replay_applies_committed_values_and_keeps_later_edits:
        "canonical-json/jcs-uniform-numeric-strings.json" "/replay_cases" crate::values::replay;
    pushes_end_as_described:
        "push/basic-insert.json" "/cases" crate::push::run;
    pushes_behave_as_described:
        "push/behavior/apply.json" "/cases" crate::behavior::run;
    pulls_and_snapshots_end_as_described:
        "pull-snapshot/basic.json" "/cases" crate::snapshot::run;
    pulls_and_snapshots_behave_as_described:
        "pull-snapshot/behavior/apply.json" "/cases" crate::behavior::run;
    protocol_gates_hold:
        "lifecycle/behavior/protocol-gates.json" "/cases" crate::behavior::run;
    waits_of_a_snapshot_at_capacity_have_the_published_bounds:
        "snapshot-capacity/retry.json" "/defaults" crate::capacity::bounds;
    only_positive_whole_seconds_of_a_retry_after_header_count:
        "snapshot-capacity/retry.json" "/retry_after_cases" crate::capacity::header;
    a_snapshot_at_capacity_is_asked_for_again:
        "snapshot-capacity/retry.json" "/capacity_error_codes" crate::capacity::code;
    a_watch_stream_is_opened_where_the_server_offers_it:
        "watch/basic.json" "/capabilitiesCases" crate::watch::capabilities;
    events_of_a_watch_stream_lead_to_what_is_described:
        "watch/basic.json" "/sseCases" crate::watch::events;
    a_server_that_refuses_a_watch_stream_is_polled_and_asked_again:
        "watch/basic.json" "/setupErrorResponses" crate::watch::setup_error;
    a_refused_watch_stream_is_closed_before_the_server_is_polled:
        "watch/basic.json" "/runtimeCases" crate::watch::runtime;
}

/// No cases of these suites: the recorded exchanges (`recorded.rs`).
const ELSEWHERE: &str = "gen-a/";

#[test]
fn every_list_of_cases_in_the_contract_data_has_a_suite_that_runs_it() {
    let Some(files) = contract_files() else { return };
    let mut found = BTreeSet::new();
    for file in files.iter().filter(|file| !file.starts_with(ELSEWHERE)) {
        let mut pointers = Vec::new();
        lists(&contract(file).unwrap(), "", &mut pointers);
        assert!(!pointers.is_empty(), "{file} has no list of cases that is understood");
        found.extend(pointers.into_iter().map(|pointer| (file.clone(), pointer)));
    }
    let run: BTreeSet<_> =
        SUITES.iter().map(|(file, list)| ((*file).to_owned(), (*list).to_owned())).collect();
    let missed: Vec<_> = found.difference(&run).collect();
    assert!(missed.is_empty(), "no suite runs {missed:?}");
}

#[test]
fn every_listed_difference_is_of_a_case_that_some_suite_runs() {
    for listed in DIFFERENCES {
        assert!(!listed.found.is_empty(), "{} is listed without a difference", listed.case);
        let same =
            |other: &&crate::differences::Difference| other.file == listed.file && other.case == listed.case;
        assert_eq!(DIFFERENCES.iter().filter(same).count(), 1, "{} is listed twice", listed.case);
        let Some(data) = contract(listed.file) else { continue };
        let lists = SUITES.iter().filter(|(file, _)| *file == listed.file);
        let mut names = lists.flat_map(|(file, list)| cases(file, list, &data)).map(|(name, _)| name);
        assert!(names.any(|name| name == listed.case), "{} has no case {}", listed.file, listed.case);
    }
}

#[test]
fn no_two_cases_of_a_file_share_a_name() {
    let mut names: BTreeMap<(&str, String), &str> = BTreeMap::new();
    for (file, list) in SUITES {
        let Some(data) = contract(file) else { continue };
        for (name, _) in cases(file, list, &data) {
            let known = names.insert((file, name.clone()), list);
            assert_eq!(known, None, "{file} has {name} twice");
        }
    }
}

#[test]
fn the_conformance_document_names_exactly_the_cases_that_differ_with_their_reasons() {
    let document = include_str!("../../docs/conformance.md");
    let mut file = "";
    let mut documented = BTreeSet::new();
    for line in document.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            file = heading.trim_matches('`');
        }
        let cells: Vec<&str> = line.split(" | ").collect();
        let Some(case) = cells[0].strip_prefix("| `").and_then(|cell| cell.strip_suffix('`')) else {
            continue;
        };
        assert_eq!(cells.len(), 4, "{case}: case, contract, Rowtide, why");
        let reason = cells[3].trim_end_matches(" |");
        assert!(documented.insert((file, case, reason)), "{case} is documented twice");
    }
    let listed: BTreeSet<_> =
        DIFFERENCES.iter().map(|listed| (listed.file, listed.case, listed.reason)).collect();
    let undocumented: Vec<_> = listed.difference(&documented).collect();
    let unlisted: Vec<_> = documented.difference(&listed).collect();
    assert!(undocumented.is_empty(), "docs/conformance.md lacks {undocumented:#?}");
    assert!(unlisted.is_empty(), "docs/conformance.md describes what is not listed: {unlisted:#?}");
}
