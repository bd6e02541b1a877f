//! The server that the scenarios run against, and its users.

use crate::device::TABLES;
use async_trait::async_trait;
use rowtide::{HttpTransport, Method, Request, Response, TokenError, TokenProvider, TokenReason, Transport};
use rowtide_tests::database::Database;
use rowtide_tests::on_postgres;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// One server of the project's own, for as long as a scenario needs it.
struct Server {
    process: Child,
    url: String,
    /// Dropped after the process has ended.
    _database: Option<Database>,
}

static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());

impl Server {
    /// The running one, or a new one.
    fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }

    fn start() -> Self {
        let mut command = Command::new(rowtide_tests::binary());
        command.args(["serve", "--listen", "127.0.0.1:0", "--demo"]);
        // On PostgreSQL a demonstration brings these tables itself, with their types and constraints.
        let database = on_postgres().then(|| {
            let database = Database::create_blocking();
            command.args(["--database-url", &database.url]);
            database
        });
        if database.is_none() {
            command.args(TABLES.map(|table| format!("--table={table}:id")));
        }
        let mut process = command
            .env("ROWTIDE_JWT_SECRET", "a secret of the tests")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Nobody who reads this suite's output waits for a server that outlives it.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { process, url, _database: database }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A server and a user that nobody used before.
#[derive(Clone)]
pub(crate) struct World {
    /// Base URL of synchronisation.
    pub(crate) url: String,
    /// The user.
    pub(crate) user: String,
    /// The way there.
    pub(crate) http: HttpTransport,
    root: String,
    _server: Option<Arc<Server>>,
}

/// The worlds that a scenario has to hold in.
pub(crate) fn worlds() -> Vec<World> {
    match std::env::var("ROWTIDE_SERVER_URL") {
        Ok(url) if !url.is_empty() => {
            let url = url.trim_end_matches('/');
            vec![World::new(url.to_owned(), url.to_owned(), None)]
        }
        _ => {
            let server = Server::shared();
            let world =
                |path| World::new(format!("{}/{path}", server.url), server.url.clone(), Some(server.clone()));
            vec![world("a"), world("b")]
        }
    }
}

impl World {
    fn new(url: String, root: String, server: Option<Arc<Server>>) -> Self {
        Self { url, user: fresh_user(), http: HttpTransport::new().unwrap(), root, _server: server }
    }

    /// The same server, another user.
    pub(crate) fn of(&self, user: &str) -> Self {
        Self { user: user.to_owned(), ..self.clone() }
    }

    /// Raises the floor below which the server says that the user's history is pruned.
    pub(crate) async fn prune_below(&self, floor: i64) {
        let body = serde_json::json!({ "user_id": self.user, "retained_bundle_floor": floor });
        let response = self.post("/test/retention-floor", &body).await;
        assert!((200..300).contains(&response.status), "the floor was not moved: {}", response.status);
    }

    async fn post(&self, path: &str, body: &serde_json::Value) -> Response {
        let request = Request {
            method: Method::Post,
            url: format!("{}{path}", self.root),
            headers: vec![("content-type", "application/json".into())],
            body: Some(body.to_string()),
            max_response_bytes: 1 << 20,
        };
        self.http.send(request).await.unwrap()
    }

    /// A token for a user.
    pub(crate) async fn sign_in(&self, user: &str) -> String {
        let body = serde_json::json!({ "user": user, "password": "any", "device_id": "any" });
        let response = self.post("/dummy-signin", &body).await;
        assert_eq!(response.status, 200, "nobody can sign in");
        let answer: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        answer["token"].as_str().unwrap().to_owned()
    }
}

/// A user that no run used before.
pub(crate) fn fresh_user() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Signs in whoever uses the device now.
#[derive(Clone)]
pub(crate) struct SignIn {
    pub(crate) world: World,
    pub(crate) user: Arc<Mutex<String>>,
}

#[async_trait]
impl TokenProvider for SignIn {
    async fn token(&self, _: TokenReason) -> Result<String, TokenError> {
        let user = self.user.lock().unwrap().clone();
        Ok(self.world.sign_in(&user).await)
    }
}
