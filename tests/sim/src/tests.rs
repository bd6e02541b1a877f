//! The simulator's own promises.

use crate::draw::draw;
use crate::journal::Kind;
use crate::run::run;
use crate::script::{Act, Call, Script, Step};
use crate::shrink::shrink;
use crate::{crash_points, mutations, timeline};
use rowtide::simulation::mutation::Mutation;

fn journal(script: &Script) -> Vec<String> {
    run(script, None).journal.iter().map(ToString::to_string).collect()
}

#[test]
fn a_seed_is_the_same_run_event_by_event() {
    let script = draw(11);
    let first = journal(&script);
    assert!(first.len() > 100, "{first:?}");
    assert_eq!(first, journal(&script));
    assert_ne!(first, journal(&draw(12)));
}

#[test]
fn a_failing_script_is_shortened_and_still_fails_alike() {
    let verdict = mutations::hunt(Mutation::DeletesNotSent, 1, 200);
    let (seed, failure) = verdict.caught.expect("a seed finds it");
    let script = draw(seed);
    let (short, told) = shrink(&script, &failure, Some(Mutation::DeletesNotSent));
    assert!(short.steps.len() < script.steps.len() / 2, "{short}");
    assert_eq!(run(&short, Some(Mutation::DeletesNotSent)).failure, Some(told));
    assert_eq!(run(&short, None).failure, None);
}

#[test]
fn a_drawing_has_a_lane_for_the_server_and_each_device_and_shows_deaths() {
    let mut script = draw(11);
    script.setup.users = vec!["ada", "ada"];
    script.steps = vec![
        Step { after_ms: 10, act: Act::Call { device: 0, call: Call::Attach } },
        Step { after_ms: 5, act: Act::Kill { device: 0, when: crate::script::Moment::Now } },
    ];
    let run = run(&script, None);
    assert_eq!(run.failure, None);
    assert!(run.journal.iter().any(|entry| entry.kind == Kind::Killed));
    let svg = timeline::draw("a <title>", &run.journal);
    for text in [">server<", ">d0<", ">d1<", ">killed<", "lost: ", "a &lt;title&gt;"] {
        assert!(svg.contains(text), "{text}");
    }
}

#[test]
fn the_table_of_crash_points_is_put_between_its_marks_and_nowhere_else() {
    let document = "head\n<!-- crash points: begin -->\nold\n<!-- crash points: end -->\ntail\n";
    let put = crash_points::put(document, "| new |\n").unwrap();
    assert_eq!(put, "head\n<!-- crash points: begin -->\n\n| new |\n\n<!-- crash points: end -->\ntail\n");
    assert_eq!(crash_points::put(&put, "| new |\n").unwrap(), put);
    assert!(crash_points::put("no marks", "| new |\n").is_err());
}

#[test]
fn bugs_have_names_of_their_own() {
    let mut names: Vec<_> = Mutation::ALL.iter().map(|mutation| mutation.as_str()).collect();
    assert!(names.len() >= 25);
    for name in &names {
        assert_eq!(mutations::named(name).unwrap().as_str(), *name);
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Mutation::ALL.len());
    assert!(mutations::named("none").unwrap_err().contains("checkpoint-early"));
}
