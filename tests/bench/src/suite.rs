//! Which cases run, and what is made of them.

use crate::local::median;
use crate::measure::{self, Place, Usage};
use crate::server::{self, Server};
use crate::table::Row;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::Path;
use tempfile::TempDir;

/// What the peer's figures are measured by: client processor time, at most a quarter of it.
pub(crate) const PEER_GOALS: [(&str, f64); 3] = [
    ("push of 100,000 rows, client CPU", 0.25),
    ("pull of 10,000 rows in 100 bundles, client CPU", 0.25),
    ("hydrate of 100,000 rows, client CPU", 0.25),
];
const MIB: f64 = 1024.0 * 1024.0;
const BUNDLES: usize = 100;
/// Rounds of short cases; the median of their ratios counts.
const ROUNDS: usize = 3;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Where a run works.
pub(crate) struct Suite<'a> {
    pub(crate) rowtide: &'a Path,
    /// Rows of the large cases.
    pub(crate) large: usize,
    pub(crate) progress: ProgressBar,
    pub(crate) rows: Vec<Row>,
}

/// A server with a folder for devices beside it.
struct World {
    folder: TempDir,
    server: Server,
}

impl World {
    async fn begin(rowtide: &Path) -> Outcome<Self> {
        let folder = TempDir::new()?;
        let server = Server::start(rowtide, folder.path()).await?;
        Ok(Self { folder, server })
    }

    fn run(&self, case: &str, device: &str, rows: usize) -> Usage {
        measure::run(
            &Place { folder: self.folder.path(), url: &self.server.url, token: &self.server.token },
            case,
            device,
            rows,
        )
    }

    fn copy(&self, from: &str, to: &str) -> std::io::Result<()> {
        let file = |name: &str| self.folder.path().join(format!("{name}.db"));
        std::fs::copy(file(from), file(to))?;
        Ok(())
    }
}

impl Suite<'_> {
    pub(crate) fn new(rowtide: &Path, large: usize) -> Suite<'_> {
        let progress = ProgressBar::new_spinner();
        progress.set_style(
            ProgressStyle::with_template("{spinner} {elapsed} {msg}").expect("the template is valid"),
        );
        Suite { rowtide, large, progress, rows: Vec::new() }
    }

    fn tell(&self, text: &str) {
        self.progress.set_message(text.to_owned());
        self.progress.tick();
    }

    pub(crate) async fn run(&mut self) -> Outcome<()> {
        self.capture()?;
        self.push().await?;
        self.pull().await?;
        self.hydrate(100_000).await?;
        self.nothing_to_do().await?;
        self.conflicts().await?;
        self.open_and_idle().await?;
        self.large_scale().await?;
        Ok(())
    }

    /// Local writes with and without capture, in turn.
    fn capture(&mut self) -> Outcome<()> {
        const ROWS: usize = 100_000;
        let (mut inserts, mut updates) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            self.tell(&format!("local writes, round {} of {ROUNDS}", round + 1));
            let folder = TempDir::new()?;
            let place = Place { folder: folder.path(), url: "http://127.0.0.1:9", token: "" };
            let run = |case, device| measure::run(&place, case, device, ROWS).cpu;
            inserts.push((run("insert-plain", "plain"), run("insert", "captured")));
            updates.push((run("update-plain", "plain"), run("update", "captured")));
        }
        self.rows.push(median_row("100,000 inserts, CPU", &inserts, 1.6));
        self.rows.push(median_row("100,000 updates of dirty rows, CPU", &updates, 1.4));
        Ok(())
    }

    async fn push(&mut self) -> Outcome<()> {
        const ROWS: usize = 100_000;
        self.tell("push of 100,000 rows");
        let world = World::begin(self.rowtide).await?;
        world.run("fill", "a", ROWS);
        world.copy("a", "limit")?;
        let pushed = world.run("push", "a", ROWS);
        let sink = server::sink()?;
        let place = Place { folder: world.folder.path(), url: &sink, token: "" };
        let limit = measure::run(&place, "push-limit", "limit", ROWS);
        self.rows.push(Row::beside("push of 100,000 rows, client CPU", pushed.cpu, "s", limit.cpu, 2.0));
        self.rows.push(Row::at_most("push of 100,000 rows, requests", pushed.requests as f64, "", 60.0));
        self.rows.push(Row::at_most("push of 100,000 rows, peak memory", pushed.peak / MIB, "MiB", 48.0));
        Ok(())
    }

    async fn pull(&mut self) -> Outcome<()> {
        self.tell("pull of 10,000 rows in 100 bundles");
        let world = World::begin(self.rowtide).await?;
        // One bundle, so that the other device has nothing to initialise.
        world.run("fill", "a", 2);
        world.run("push", "a", 0);
        for device in ["b", "limit"] {
            world.run("attach", device, 0);
        }
        world.run("push-bundles", "a", BUNDLES * 100);
        let pulled = world.run("pull", "b", 0);
        let limit = world.run("pull-limit", "limit", 0);
        assert_eq!(limit.own as usize, BUNDLES, "the limit reads the same bundles");
        self.rows.push(Row::beside(
            "pull of 10,000 rows in 100 bundles, client CPU",
            pulled.cpu,
            "s",
            limit.cpu,
            2.0,
        ));
        Ok(())
    }

    async fn hydrate(&mut self, rows: usize) -> Outcome<()> {
        let name = format!("hydrate of {} rows", grouped(rows));
        self.tell(&name);
        let world = World::begin(self.rowtide).await?;
        world.run("fill", "a", rows);
        world.run("push", "a", rows);
        self.hydrate_in(&world, rows, &name)
    }

    fn hydrate_in(&mut self, world: &World, rows: usize, name: &str) -> Outcome<()> {
        let (ours, limit) = (world.run("attach", "b", rows), world.run("hydrate-limit", "limit", rows));
        self.rows.push(Row::beside(&format!("{name}, client CPU"), ours.cpu, "s", limit.cpu, 2.0));
        // As a largest value: 100,000 rows a second are 10 microseconds a row.
        let per_row = ours.cpu * 1e6 / rows as f64;
        self.rows.push(Row::at_most(&format!("{name}, client CPU of a row"), per_row, "µs", 10.0));
        self.rows.push(Row::at_most(&format!("{name}, peak memory"), ours.peak / MIB, "MiB", 48.0));
        Ok(())
    }

    async fn nothing_to_do(&mut self) -> Outcome<()> {
        self.tell("sync with nothing to do");
        let world = World::begin(self.rowtide).await?;
        world.run("fill", "a", 2);
        world.run("push", "a", 0);
        let (mut pairs, mut requests) = (Vec::new(), 0);
        for _ in 0..ROUNDS {
            let ours = world.run("nothing", "a", 0);
            requests = ours.requests;
            pairs.push((world.run("get-limit", "limit", 0).own, ours.own));
        }
        self.rows.push(Row { unit: "ms", ..median_row("sync with nothing to do, CPU", &pairs, 1.2) });
        self.rows.push(Row::at_most("sync with nothing to do, requests", requests as f64, "", 1.0));
        Ok(())
    }

    /// A push of 10,000 changed rows, once as it is and once where another device changed 1,000 of them.
    async fn conflicts(&mut self) -> Outcome<()> {
        self.tell("push of 10,000 rows with 1,000 conflicts");
        let mut cpu = Vec::new();
        for changed in [0, 1_000] {
            let world = World::begin(self.rowtide).await?;
            world.run("fill", "a", 20_000);
            world.run("push", "a", 0);
            world.run("attach", "b", 0);
            if changed > 0 {
                world.run("touch-and-push", "a", changed);
            }
            world.run("touch", "b", 10_000);
            cpu.push(world.run("push", "b", 0).cpu);
        }
        self.rows.push(Row::beside(
            "push of 10,000 rows with 1,000 conflicts, CPU",
            cpu[1],
            "s",
            cpu[0],
            3.0,
        ));
        Ok(())
    }

    async fn open_and_idle(&mut self) -> Outcome<()> {
        self.tell("open, and an idle client");
        let world = World::begin(self.rowtide).await?;
        world.run("fill", "a", 100_000);
        world.run("push", "a", 0);
        let opened = world.run("open", "a", 0);
        self.rows.push(Row::at_most("open beyond SQLite's own", opened.own, "ms", 5.0));
        world.run("attach", "idle", 0);
        let idle = world.run("idle", "idle", 0);
        self.rows.push(Row::at_most("an idle client, its own memory", idle.own / MIB, "MiB", 4.0));
        let resident = world.run("idle-resident", "idle", 0);
        let name = "an idle client, with what of the program was never needed before";
        self.rows.push(Row::stated(name, resident.own / MIB, "MiB"));
        Ok(())
    }

    /// A million rows: hydrate, and how long the app's writes wait.
    async fn large_scale(&mut self) -> Outcome<()> {
        let rows = self.large;
        let name = format!("hydrate of {} rows", grouped(rows));
        self.tell(&format!("{} rows on the server", grouped(rows)));
        let world = World::begin(self.rowtide).await?;
        world.run("fill", "a", rows);
        let pushed = world.run("push", "a", rows);
        let peak = format!("push of {} rows, peak memory", grouped(rows));
        self.rows.push(Row::at_most(&peak, pushed.peak / MIB, "MiB", 48.0));
        self.tell(&name);
        self.hydrate_in(&world, rows, &name)?;
        let wait = |text: &str| format!("longest wait of a write, {text} of {} rows", grouped(rows));
        self.tell(&wait("progressive hydrate"));
        let progressive = world.run("wait-progressive", "c", rows);
        self.rows.push(Row::at_most(&wait("progressive hydrate"), progressive.own, "ms", 50.0));
        self.rows.push(Row::at_most(
            &format!("progressive {name}, peak memory"),
            progressive.peak / MIB,
            "MiB",
            48.0,
        ));
        let at_once = world.run("wait-at-once", "d", rows);
        self.rows.push(Row::stated(&wait("hydrate at once"), at_once.own, "ms"));
        world.run("touch-and-push", "a", rows / 100);
        let rebuilt = world.run("wait-rebuild", "d", rows);
        self.rows.push(Row::at_most(&wait("rebuild with 1 % changed"), rebuilt.own, "ms", 250.0));
        Ok(())
    }

    /// Time and memory over the number of rows, for pictures: rows, seconds and bytes of push and hydrate.
    pub(crate) async fn curve(&self, sizes: &[usize]) -> Outcome<Vec<(usize, Usage, Usage)>> {
        let mut points = Vec::new();
        for rows in sizes {
            self.tell(&format!("curves: {} rows", grouped(*rows)));
            let world = World::begin(self.rowtide).await?;
            world.run("fill", "a", *rows);
            let pushed = world.run("push", "a", *rows);
            points.push((*rows, pushed, world.run("attach", "b", *rows)));
        }
        Ok(points)
    }
}

/// A row of pairs of the limit and ours: the medians, and the median of the ratios.
fn median_row(name: &str, pairs: &[(f64, f64)], goal: f64) -> Row {
    let ratio = median(pairs.iter().map(|(limit, ours)| ours / limit).collect());
    let limit = median(pairs.iter().map(|(limit, _)| *limit).collect());
    let ours = median(pairs.iter().map(|(_, ours)| *ours).collect());
    Row { ratio: Some(ratio), ok: ratio <= goal, ..Row::beside(name, ours, "s", limit, goal) }
}

fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
