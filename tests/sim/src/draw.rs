//! Draws a script from a seed.

use crate::schema::{self, KEYS, Table};
use crate::script::{Act, Call, DiskTrouble, Moment, NetworkFault, Script, Setup, Step};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rowtide::Hydrate;
use rowtide::protocol::profile::WireGeneration;
use rowtide_testing::Endpoint;

/// Users of all runs.
pub(crate) const USERS: [&str; 2] = ["ada", "bob"];

/// The script of a seed.
pub(crate) fn draw(seed: u64) -> Script {
    let mut random = StdRng::seed_from_u64(seed);
    let random = &mut random;
    let tables = schema::draw(random);
    let devices = random.random_range(2..=4);
    let users = (0..devices).map(|_| USERS[usize::from(random.random_bool(0.15))]).collect();
    let setup = Setup {
        generation: if random.random_bool(0.6) { WireGeneration::B } else { WireGeneration::A },
        tables,
        users,
        page_rows: random.random_range(1..=6),
        page_bundles: random.random_range(1..=4),
        bundle_rows: if random.random_bool(0.3) { random.random_range(2..=6) } else { 0 },
        session_seconds: random.random_range(5..=900),
        backups: random.random_bool(0.1),
        hydrate: if seed.is_multiple_of(3) { Hydrate::Progressive } else { Hydrate::AtOnce },
    };
    let count = random.random_range(20..=60);
    let mut steps: Vec<Step> = Vec::new();
    for device in 0..devices {
        if random.random_bool(0.85) {
            steps.push(step(random, Act::Call { device, call: Call::Attach }));
        }
    }
    for number in 0..count {
        let act = draw_act(random, &setup, number);
        let killed = if let Act::Kill { device, .. } = act { Some(device) } else { None };
        steps.push(step(random, act));
        if let Some(device) = killed.filter(|_| random.random_bool(0.6)) {
            steps.push(Step { after_ms: random.random_range(50..1_500), act: Act::Open { device } });
        }
    }
    if setup.backups {
        // A loss of what was written in between.
        let early = random.random_range(0..steps.len() / 2);
        steps.insert(early, step(random, Act::Backup));
        let late = random.random_range(early + 1..=steps.len());
        steps.insert(late, step(random, Act::Restore));
    }
    Script { seed, setup, steps }
}

fn step(random: &mut impl Rng, act: Act) -> Step {
    // Most things happen while others still run.
    let after_ms =
        if random.random_bool(0.6) { random.random_range(0..60) } else { random.random_range(0..1_000) };
    Step { after_ms, act }
}

fn draw_act(random: &mut impl Rng, setup: &Setup, number: i64) -> Act {
    let device = random.random_range(0..setup.users.len());
    match random.random_range(0..100) {
        0..=37 => Act::Write { device, mark: number + 1, sql: statements(random, &setup.tables, number + 1) },
        38..=68 => Act::Call { device, call: call(random) },
        69..=73 => Act::Kill { device, when: moment(random) },
        74..=77 => Act::Open { device },
        78..=87 => Act::Fault {
            device,
            endpoint: *Endpoint::ALL.choose(random).expect("not empty"),
            skip: random.random_range(0..3),
            fault: network_fault(random),
        },
        88..=89 => Act::Weather { percent: *[0, 5, 20, 40].choose(random).expect("not empty") },
        90..=91 => Act::Disk { device, jobs: random.random_range(1..8), trouble: disk_trouble(random) },
        92 => Act::Clock { device, milliseconds: random.random_range(-86_400_000..86_400_000) },
        93 => Act::SwitchUser { device, user: USERS.choose(random).expect("not empty") },
        94 => Act::RejectTokens { user: USERS.choose(random).expect("not empty") },
        95 => Act::RestartServer,
        96 | 97 => Act::Prune { user: setup.users[device] },
        98 => Act::ServerClock { seconds: random.random_range(1..1_000) },
        _ if setup.backups => {
            if random.random_bool(0.5) {
                Act::Backup
            } else {
                Act::Restore
            }
        }
        _ => Act::Retire { device },
    }
}

fn call(random: &mut impl Rng) -> Call {
    use Call::{
        Attach, Cancel, Detach, DiscardRefused, NetworkBack, NetworkGone, PauseDownloads, PauseUploads, Pull,
        Push, Rebuild, Resume, RetryRefused, Start, Stop, Sync, SyncThenDetach,
    };
    let rare = [
        Rebuild,
        Detach,
        SyncThenDetach,
        Cancel,
        Start,
        Start,
        Stop,
        PauseUploads,
        PauseDownloads,
        Resume,
        NetworkGone,
        NetworkBack,
        RetryRefused,
        DiscardRefused,
    ];
    match random.random_range(0..100) {
        0..=59 => Sync,
        60..=65 => Attach,
        66..=76 => Push,
        77..=82 => Pull,
        _ => *rare.choose(random).expect("not empty"),
    }
}

fn moment(random: &mut impl Rng) -> Moment {
    match random.random_range(0..5) {
        0 => Moment::Now,
        1 | 2 => Moment::BeforeCommit(random.random_range(1..12)),
        _ => Moment::AfterCommit(random.random_range(1..12)),
    }
}

pub(crate) fn network_fault(random: &mut impl Rng) -> NetworkFault {
    match random.random_range(0..9) {
        0 => NetworkFault::DropRequest,
        1 | 2 => NetworkFault::DropReply,
        3 => NetworkFault::TruncateReply,
        4 => NetworkFault::Duplicate,
        5 => NetworkFault::Answer(500),
        6 => NetworkFault::Answer(503),
        7 => NetworkFault::Answer(429),
        _ => NetworkFault::Slow(random.random_range(100..5_000)),
    }
}

fn disk_trouble(random: &mut impl Rng) -> DiskTrouble {
    match random.random_range(0..3) {
        0 => DiskTrouble::Full { pages: random.random_range(0..3) },
        1 => DiskTrouble::Busy,
        _ => DiskTrouble::Slow { milliseconds: random.random_range(1..400) },
    }
}

/// One to three statements of one transaction; each row that they write carries the number of the write.
fn statements(random: &mut impl Rng, tables: &[Table], mark: i64) -> String {
    let count = if random.random_bool(0.6) { 1 } else { random.random_range(2..=4) };
    let parts: Vec<String> = (0..count).map(|_| statement(random, tables, mark)).collect();
    parts.join("; ")
}

fn statement(random: &mut impl Rng, tables: &[Table], mark: i64) -> String {
    let table = tables.choose(random).expect("there is a table");
    let name = &table.name;
    let key = table.key_literal(random.random_range(0..KEYS));
    let (columns, values) = values(random, table, tables, mark);
    match random.random_range(0..20) {
        0..=5 => format!("INSERT INTO {name} (id, {columns}) VALUES ({key}, {values})"),
        6..=7 => format!("INSERT OR REPLACE INTO {name} (id, {columns}) VALUES ({key}, {values})"),
        8..=12 => format!("UPDATE {name} SET ({columns}) = ({values}) WHERE id = {key}"),
        13 if table.integer => format!("UPDATE {name} SET n = n + 1, mark = 'm{mark}' WHERE id = {key}"),
        14 => format!("UPDATE {name} SET mark = 'm{mark}'"),
        15..=18 => format!("DELETE FROM {name} WHERE id = {key}"),
        _ => {
            let to = table.key_literal(random.random_range(0..KEYS));
            format!("UPDATE {name} SET id = {to}, mark = 'm{mark}' WHERE id = {key}")
        }
    }
}

fn values(random: &mut impl Rng, table: &Table, tables: &[Table], mark: i64) -> (String, String) {
    let (mut columns, mut values) = (vec!["mark"], vec![format!("'m{mark}'")]);
    if table.integer {
        columns.push("n");
        let numbers = [0, 1, -7, 9_007_199_254_740_993, i64::MAX];
        values.push(numbers.choose(random).expect("not empty").to_string());
    }
    if table.real {
        columns.push("r");
        values.push(["0.5", "-1e300", "NULL", "0.1"].choose(random).expect("not empty").to_string());
    }
    if table.blob {
        columns.push("b");
        values
            .push(["x''", "x'00ff'", "NULL", "zeroblob(300)"].choose(random).expect("not empty").to_string());
    }
    if let Some(parent) = &table.parent {
        columns.push("p");
        let to = tables[parent.table].key_literal(random.random_range(0..KEYS));
        values.push(if random.random_bool(0.3) { "NULL".to_owned() } else { to });
    }
    (columns.join(", "), values.join(", "))
}
