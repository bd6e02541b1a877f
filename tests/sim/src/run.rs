//! Plays a script: on virtual time, in one thread, the same every time.

use crate::device::{Device, outcome};
use crate::disk::SimDisk;
use crate::journal::{Entry, Kind, Lane};
use crate::oracle;
use crate::script::{Act, Call, Script};
use crate::world::World;
use rowtide::Outcome;
use rowtide::simulation::Simulation;
use rowtide::simulation::mutation::Mutation;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Rounds of syncs in which everything must come to rest.
const ROUNDS: usize = 16;

/// A call of an app that takes longer, with nothing in its way any more, hangs.
const LONGEST_CALL: Duration = Duration::from_secs(3_600);

/// Virtual time after which a run hangs.
const LONGEST_RUN: Duration = Duration::from_secs(100 * 86_400);

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) journal: Vec<Entry>,
    /// What must not be.
    pub(crate) failure: Option<String>,
    /// The commits that the first device's process made while the script was played, and what each did.
    pub(crate) steps: Vec<(u32, String)>,
}

/// Plays a script, with a bug if one is to be found. A panic is a failure like any other.
pub(crate) fn run(script: &Script, mutation: Option<Mutation>) -> Run {
    std::panic::catch_unwind(|| play(script, mutation)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
        Run { journal: Vec::new(), failure: Some(format!("a panic: {text}")), steps: Vec::new() }
    })
}

fn play(script: &Script, mutation: Option<Mutation>) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime can be built");
    runtime.block_on(async {
        let world = Arc::new(World::new(script.seed, &script.setup));
        let _simulation = Simulation::begin(script.seed, Rc::new(SimDisk(world.clone())), mutation);
        let mut player = Player::new(&world);
        let Ok(steps) = tokio::time::timeout(LONGEST_RUN, player.run(script)).await else {
            world.journal.fail("something waits for ever");
            return Run {
                failure: world.journal.failure(),
                journal: world.journal.take(),
                steps: Vec::new(),
            };
        };
        Run { failure: world.journal.failure(), journal: world.journal.take(), steps }
    })
}

/// How far a device is after a round.
enum Settling {
    AtRest,
    /// Another device seeds the server.
    Waits {
        seconds: u64,
    },
    Moved(String),
}

struct Player {
    world: Arc<World>,
    devices: Vec<Arc<Device>>,
    /// What the apps wait for.
    waiting: JoinSet<()>,
}

impl Player {
    fn new(world: &Arc<World>) -> Self {
        let devices = (0..world.setup.users.len()).map(|number| Device::new(world, number)).collect();
        Self { world: world.clone(), devices, waiting: JoinSet::new() }
    }

    /// Plays the script, heals everything and looks at the result; answers what the first device's process committed
    /// meanwhile, counted from when it was open.
    async fn run(&mut self, script: &Script) -> Vec<(u32, String)> {
        for device in &self.devices {
            device.open().await;
        }
        let before = self.devices[0].commits();
        self.play(script).await;
        let steps = self.world.seen()[0].steps.clone();
        self.come_to_rest().await;
        let since = |(commit, name): (u32, String)| (commit > before).then(|| (commit - before, name));
        steps.into_iter().filter_map(since).collect()
    }

    async fn play(&mut self, script: &Script) {
        for step in &script.steps {
            tokio::time::sleep(Duration::from_millis(step.after_ms)).await;
            if self.world.journal.failure().is_some() {
                return;
            }
            let lane = step.act.device().map_or(Lane::Server, Lane::Device);
            self.world.journal.note(lane, Kind::Act, format!("{}", step.act));
            self.act(&step.act).await;
        }
    }

    async fn act(&mut self, act: &Act) {
        let Self { world, devices, waiting } = &mut *self;
        match act {
            Act::Write { device, mark, sql } => {
                let (device, mark, sql) = (devices[*device].clone(), *mark, sql.clone());
                waiting.spawn(async move { device.write(mark, &sql).await });
            }
            Act::Call { device, call } => {
                let (device, call) = (devices[*device].clone(), *call);
                waiting.spawn(async move { device.call(call).await });
            }
            Act::Kill { device, when } => devices[*device].kill(*when),
            Act::Open { device } => devices[*device].open().await,
            Act::Fault { device, endpoint, skip, fault } => {
                world.network.plan(*device, *endpoint, *skip, *fault)
            }
            Act::Weather { percent } => world.network.set_weather(*percent),
            Act::Disk { device, jobs, trouble } => devices[*device].trouble(*trouble, *jobs),
            Act::Clock { device, milliseconds } => devices[*device].clock.put(*milliseconds),
            Act::SwitchUser { device, user } => {
                let (device, user) = (devices[*device].clone(), *user);
                waiting.spawn(async move { device.switch_user(user).await });
            }
            Act::RejectTokens { user } => world.server.reject_tokens(user),
            Act::RestartServer => world.server.restart(),
            Act::Prune { user } => {
                if let Err(error) = world.server.prune_history(user).await {
                    world.journal.fail(format!("the history of {user} cannot be pruned: {error}"));
                }
            }
            Act::ServerClock { seconds } => world.server.advance(*seconds),
            Act::Retire { device } => {
                let view = world.seen()[*device].view.clone();
                if let Some((user, source)) = view.and_then(|view| Some((view.user?, view.source))) {
                    // A user without data, or a source that is retired already: nothing to retire.
                    let _ = world.server.retire_source(&user, &source).await;
                }
            }
            Act::Backup => world.back_up(),
            Act::Restore => self.restore().await,
        }
    }

    /// The operator stops everything, puts an older copy in place, and lets each device find out before any of them
    /// writes: the protocol cannot tell a device that was ahead once others have committed as many bundles anew.
    async fn restore(&mut self) {
        for device in &self.devices {
            device.call(Call::Stop).await;
        }
        self.calls_end().await;
        if self.world.seen().iter().any(|seen| seen.view.as_ref().is_some_and(|view| view.has_outbox)) {
            // Its upload is settled before anything is pulled.
            return;
        }
        if !self.world.restore() {
            return;
        }
        self.world.network.heal();
        for device in &self.devices {
            device.heal();
            if device.client().is_none() {
                device.open().await;
            }
            device.call(Call::Pull).await;
        }
    }

    /// Waits until no app waits for anything.
    async fn calls_end(&mut self) {
        let ended = async { while self.waiting.join_next().await.is_some() {} };
        if tokio::time::timeout(LONGEST_CALL, ended).await.is_err() {
            self.world.journal.fail("a call of an app never ends");
        }
    }

    /// Heals everything, syncs until nothing moves, and looks at the result.
    async fn come_to_rest(&mut self) {
        if self.world.journal.failure().is_some() {
            return;
        }
        self.world.network.heal();
        for device in &self.devices {
            device.heal();
            device.call(Call::Stop).await;
        }
        self.calls_end().await;
        if self.world.journal.failure().is_some() {
            return;
        }
        for device in &self.devices {
            if device.client().is_none() {
                device.open().await;
            }
            device.call(Call::Stop).await;
        }
        self.settle().await;
        if self.world.journal.failure().is_none() {
            oracle::at_rest(&self.world, &self.devices).await;
        }
    }

    async fn settle(&self) {
        let mut last = String::new();
        // What a loop began before it was stopped may end between two looks.
        let mut calm = 0;
        for round in 0..ROUNDS {
            let mut moved = false;
            let mut wait = None;
            for (number, device) in self.devices.iter().enumerate() {
                match self.settle_device(device, round).await {
                    Settling::AtRest => {}
                    Settling::Waits { seconds } => wait = wait.max(Some(seconds)),
                    Settling::Moved(what) => {
                        moved = true;
                        last = format!("d{number}: {what}");
                    }
                }
                if self.world.journal.failure().is_some() {
                    return;
                }
            }
            calm = if moved || wait.is_some() { 0 } else { calm + 1 };
            if calm == 2 {
                return;
            }
            match wait {
                // Whoever seeds does so in the next round; a lease that nobody uses any more runs out.
                Some(seconds) if !moved => tokio::time::sleep(Duration::from_secs(seconds)).await,
                Some(_) | None => {}
            }
        }
        self.world.journal.fail(format!("nothing comes to rest in {ROUNDS} rounds: {last}"));
    }

    /// One round of a device.
    async fn settle_device(&self, device: &Device, round: usize) -> Settling {
        let Some((client, user)) = device.client() else { return Settling::Moved("does not run".into()) };
        let status = match client.status().await {
            Ok(status) => status,
            Err(error) => return Settling::Moved(format!("status: {error}")),
        };
        if status.user.is_none() {
            let result = client.attach(user).await;
            device.ended(Call::Attach, &result);
            if let Ok(Outcome::RetryLater { seconds }) = result.as_ref().map(|report| &report.outcome) {
                return Settling::Waits { seconds: u64::try_from(*seconds).unwrap_or(1) };
            }
            return Settling::Moved(format!("Attach: {}", outcome(&result)));
        }
        let result = client.sync().await;
        device.ended(Call::Sync, &result);
        match &result {
            Ok(report) if report.outcome == Outcome::NoChange => {}
            _ => return Settling::Moved(format!("Sync: {}", outcome(&result))),
        }
        // Half of the time what is in the inbox is given up, once the rest has settled.
        let refused = client.status().await.map_or(0, |status| status.refused_rows);
        if refused > 0 && round > 4 {
            device.call(Call::DiscardRefused).await;
            return Settling::Moved(format!("{refused} refused rows were given up"));
        }
        Settling::AtRest
    }
}
