//! The network between a device and the server: it delays, drops, repeats, cuts off, and answers on its own.

use crate::disk::Drive;
use crate::draw::network_fault;
use crate::journal::{Kind, Lane};
use crate::ledger::RowId;
use crate::script::NetworkFault;
use crate::world::World;
use async_trait::async_trait;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rowtide::{Request, Response, StreamingResponse, Transport, TransportError};
use rowtide_testing::{Endpoint, Fault};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Requests of one run after which it will not come to rest any more.
const MOST_REQUESTS: u64 = 4_000;

/// What the network has in mind.
#[derive(Debug)]
pub(crate) struct Network {
    seed: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    percent: u8,
    planned: Vec<Planned>,
    requests: u64,
    /// Requests of each device at each endpoint so far: chance follows from these, so that a script that is shortened
    /// meets the same faults.
    calls: BTreeMap<(usize, u8), u64>,
    /// What the rows of each push session are based on.
    bases: BTreeMap<String, Vec<(RowId, i64)>>,
}

#[derive(Debug)]
struct Planned {
    device: usize,
    endpoint: Endpoint,
    skip: u32,
    fault: NetworkFault,
}

/// What becomes of one request.
struct Fate {
    number: u64,
    fault: Option<NetworkFault>,
    up: Duration,
    down: Duration,
}

impl Network {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, state: Mutex::default() }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn plan(&self, device: usize, endpoint: Endpoint, skip: u32, fault: NetworkFault) {
        self.lock().planned.push(Planned { device, endpoint, skip, fault });
    }

    pub(crate) fn set_weather(&self, percent: u8) {
        self.lock().percent = percent;
    }

    /// From now on nothing is lost.
    pub(crate) fn heal(&self) {
        let mut state = self.lock();
        state.planned.clear();
        state.percent = 0;
    }

    pub(crate) fn requests(&self) -> u64 {
        self.lock().requests
    }

    pub(crate) fn is_worn_out(&self) -> bool {
        self.requests() > MOST_REQUESTS
    }

    fn fate(&self, device: usize, endpoint: Endpoint) -> Fate {
        let mut state = self.lock();
        state.requests += 1;
        let number = state.requests;
        let call = state.calls.entry((device, endpoint as u8)).or_default();
        *call += 1;
        let draw = [device as u64, endpoint as u64, *call]
            .iter()
            .fold(self.seed, |mixed, part| mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(part + 1));
        let mut random = StdRng::seed_from_u64(draw);
        let mut millis = || Duration::from_millis(random.random_range(1..40));
        let (up, down) = (millis(), millis());
        let bad = random.random_range(0..100) < state.percent;
        let by_chance = bad.then(|| network_fault(&mut random));
        let due = state.planned.iter_mut().position(|planned| {
            if planned.device != device || planned.endpoint != endpoint {
                return false;
            }
            let now = planned.skip == 0;
            planned.skip = planned.skip.saturating_sub(1);
            now
        });
        let planned = due.map(|index| state.planned.remove(index).fault);
        Fate { number, fault: planned.or(by_chance), up, down }
    }
}

/// The way of one process to the server.
pub(crate) struct Link {
    pub(crate) world: Arc<World>,
    pub(crate) device: usize,
    pub(crate) drive: Arc<Mutex<Drive>>,
}

fn lost() -> TransportError {
    TransportError::Connection("the connection broke".into())
}

impl Link {
    fn is_dead(&self) -> bool {
        self.drive.lock().unwrap_or_else(PoisonError::into_inner).dead
    }

    fn alive(&self) -> Result<(), TransportError> {
        if self.is_dead() || self.world.network.is_worn_out() { Err(lost()) } else { Ok(()) }
    }

    fn note(&self, kind: Kind, text: String) {
        self.world.journal.note(Lane::Device(self.device), kind, text);
    }

    fn note_at_server(&self, kind: Kind, text: String) {
        self.world.journal.note(Lane::Server, kind, text);
    }

    /// The server acts on a request; what it commits is noted at once.
    async fn serve(&self, endpoint: Endpoint, request: Request) -> Result<Response, TransportError> {
        let session = request.url.split("/push-sessions/").nth(1).and_then(|tail| tail.split('/').next());
        let session = session.unwrap_or_default().to_owned();
        if endpoint == Endpoint::PushChunk {
            let rows = bases(request.body.as_deref().unwrap_or_default());
            self.world.network.lock().bases.entry(session.clone()).or_default().extend(rows);
        }
        let response = self.world.server.send(request).await;
        if endpoint == Endpoint::PushCommit {
            let bases = self.world.network.lock().bases.remove(&session).unwrap_or_default();
            let seq = response.as_ref().ok().and_then(|response| committed_seq(&response.body));
            if let Some(seq) = seq {
                self.world.check_bases(&bases, seq);
            }
            for user in crate::draw::USERS {
                self.world.note_commits(user).await;
            }
        }
        response
    }
}

#[async_trait]
impl Transport for Link {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        self.alive()?;
        let endpoint = Endpoint::of(request.method, request.url.split('?').next().unwrap_or_default());
        let Fate { number, fault, up, down } = self.world.network.fate(self.device, endpoint);
        self.note(Kind::Sent(number), format!("#{number} {endpoint:?} {}", describe(&request)));
        if let Some(fault) = fault {
            self.note(Kind::Fault, format!("#{number} {fault:?}"));
        }
        tokio::time::sleep(up).await;
        if let Some(NetworkFault::Slow(milliseconds)) = fault {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        }
        match fault {
            Some(NetworkFault::DropRequest) => return Err(lost()),
            Some(NetworkFault::Answer(status)) => {
                tokio::time::sleep(down).await;
                self.alive()?;
                let retry_after_seconds = (status == 429).then_some(1);
                return Ok(Response { status, retry_after_seconds, body: Vec::new() });
            }
            Some(NetworkFault::TruncateReply) => {
                self.world.server.fail_next(endpoint, Fault::ApplyThenTruncateReply);
            }
            Some(NetworkFault::Duplicate) => {
                self.note_at_server(Kind::Arrived(number), format!("#{number} arrives a first time"));
                let _unheard = self.serve(endpoint, request.clone()).await;
                tokio::time::sleep(up).await;
            }
            Some(NetworkFault::DropReply | NetworkFault::Slow(_)) | None => {}
        }
        self.note_at_server(Kind::Arrived(number), format!("#{number} arrives"));
        let response = self.serve(endpoint, request).await?;
        self.note_at_server(Kind::Replied(number), format!("#{number} is answered {}", answer(&response)));
        if fault == Some(NetworkFault::DropReply) {
            return Err(lost());
        }
        tokio::time::sleep(down).await;
        self.alive()?;
        self.note(Kind::Received(number), format!("#{number} is heard {}", response.status));
        Ok(response)
    }

    async fn open(&self, request: Request) -> Result<StreamingResponse, TransportError> {
        self.alive()?;
        let Fate { number, fault, up, .. } = self.world.network.fate(self.device, Endpoint::Watch);
        self.note(Kind::Sent(number), format!("#{number} Watch"));
        tokio::time::sleep(up).await;
        if fault.is_some() {
            return Err(lost());
        }
        self.world.server.open(request).await
    }
}

/// The rows of a chunk, with the version that each is based on.
fn bases(chunk: &str) -> Vec<(RowId, i64)> {
    let chunk: serde_json::Value = serde_json::from_str(chunk).unwrap_or_default();
    let row = |row: &serde_json::Value| {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let id = RowId { table: text(&row["table"]), key: text(&row["key"]["id"]) };
        (id, row["base_row_version"].as_i64().unwrap_or(-1))
    };
    chunk["rows"].as_array().map(|rows| rows.iter().map(row).collect()).unwrap_or_default()
}

/// The bundle that a commit made, where its answer says so.
fn committed_seq(answer: &[u8]) -> Option<i64> {
    serde_json::from_slice::<serde_json::Value>(answer).ok()?["bundle_seq"].as_i64()
}

/// A request without its token.
fn describe(request: &Request) -> String {
    let path = request.url.split("/sync/").nth(1).unwrap_or_default();
    format!("{path} {}", request.body.as_deref().unwrap_or_default())
}

fn answer(response: &Response) -> String {
    let text = String::from_utf8_lossy(&response.body);
    format!("{} {text}", response.status)
}
