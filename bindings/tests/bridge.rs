//! The bridge as the hand-written layers use it, with the app's side played by Rust.
#![allow(clippy::unwrap_used, missing_docs)]

use rowtide_ffi::{
    AnonymousRows, CallbackError, Cells, Client, ClientConfig, ConflictPolicy, Database, Hydrate, Outcome,
    RowtideError, Status, StatusListener, SyncTable, TablesListener, TokenProvider, TokenReason, TokenReply,
    UnknownColumns, default_transfer_limits,
};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const SCHEMA: &str = "CREATE TABLE notes (id TEXT PRIMARY KEY NOT NULL, title TEXT)";

/// What `("INSERT …", ["n1"])` looks like packed.
fn text(value: &str) -> Cells {
    texts([value.to_owned()])
}

fn texts(values: impl IntoIterator<Item = String>) -> Cells {
    let mut cells = Vec::new();
    for value in values {
        cells.push(3);
        cells.extend_from_slice(&u32::try_from(value.len()).unwrap().to_le_bytes());
        cells.extend_from_slice(value.as_bytes());
    }
    cells.into()
}

fn none() -> Cells {
    Vec::new().into()
}

async fn database(folder: &TempDir) -> Arc<Database> {
    let path = folder.path().join("app.db").display().to_string();
    let database = Database::open(path).await.unwrap();
    database.execute_script(SCHEMA.to_owned()).await.unwrap();
    database
}

/// A client of a server that is not there.
async fn client(database: &Database, tokens: Option<Arc<dyn TokenProvider>>) -> Arc<Client> {
    // Bound and given back: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    database.connect(config(format!("http://127.0.0.1:{port}")), tokens, None).await.unwrap()
}

fn config(url: String) -> ClientConfig {
    let table = SyncTable {
        name: "notes".to_owned(),
        key: "id".to_owned(),
        policy: ConflictPolicy::ServerWins,
        rules: Vec::new(),
        keep_base: false,
    };
    ClientConfig {
        url,
        schema: "business".to_owned(),
        tables: vec![table],
        anonymous_rows: AnonymousRows::Keep,
        hydrate: Hydrate::AtOnce,
        unknown_columns: UnknownColumns::Refuse,
        installation: None,
        limits: default_transfer_limits(),
        extra_roots: Vec::new(),
    }
}

/// Hands on what it hears, from the thread that it is called on.
struct Heard<T>(Mutex<Sender<(String, T)>>);

impl<T> Heard<T> {
    fn new() -> (Arc<Self>, Receiver<(String, T)>) {
        let (sender, receiver) = channel();
        (Arc::new(Self(Mutex::new(sender))), receiver)
    }

    fn hear(&self, what: T) {
        let thread = std::thread::current().name().unwrap_or("-").to_owned();
        let _ = self.0.lock().unwrap().send((thread, what));
    }
}

impl StatusListener for Heard<Status> {
    fn on_status(&self, status: Status) -> Result<(), CallbackError> {
        self.hear(status);
        Ok(())
    }
}

impl TablesListener for Heard<Vec<String>> {
    fn on_tables_changed(&self, tables: Vec<String>) -> Result<(), CallbackError> {
        self.hear(tables);
        Err(CallbackError::Failed { reason: "a listener that always fails".to_owned() })
    }
}

/// Answers a request of a token as a test wants.
struct Tokens(Box<dyn Fn(Arc<TokenReply>) -> Result<(), CallbackError> + Send + Sync>);

impl TokenProvider for Tokens {
    fn request_token(&self, _: TokenReason, reply: Arc<TokenReply>) -> Result<(), CallbackError> {
        (self.0)(reply)
    }
}

#[tokio::test]
async fn listeners_are_called_on_the_hosts_thread_and_one_that_fails_is_called_again() {
    let folder = TempDir::new().unwrap();
    let database = database(&folder).await;
    let client = client(&database, None).await;
    let (listener, heard) = Heard::<Vec<String>>::new();
    let observation = client.observe_tables(vec!["notes".to_owned()], listener).unwrap();
    assert_eq!(heard.recv().unwrap(), ("rowtide-host".to_owned(), vec!["notes".to_owned()]));
    database.execute("INSERT INTO notes (id) VALUES (?)".to_owned(), text("n1")).await.unwrap();
    assert_eq!(heard.recv().unwrap().1, ["notes"]);
    observation.cancel();
    // The listener was given back: nobody is left to send.
    while heard.recv().is_ok() {}
}

#[tokio::test]
async fn observation_ends_with_the_client_and_the_database_closes() {
    let folder = TempDir::new().unwrap();
    let database = database(&folder).await;
    let client = client(&database, None).await;
    let (listener, heard) = Heard::<Status>::new();
    let _observation = client.observe_status(listener).unwrap();
    assert_eq!(heard.recv().unwrap().1.pending_rows, 0);
    client.close().await.unwrap();
    while heard.recv().is_ok() {}
    database.close().await.unwrap();
    assert!(matches!(client.status().await, Err(RowtideError::Internal { .. })));
    assert!(matches!(database.transaction(1_000).await, Err(RowtideError::Internal { .. })));
    Database::open(folder.path().join("app.db").display().to_string()).await.unwrap();
}

#[tokio::test]
async fn a_token_provider_that_throws_forgets_or_is_offline_ends_the_operation_with_what_it_said() {
    let folder = TempDir::new().unwrap();
    let database = database(&folder).await;
    let throws = Tokens(Box::new(|_| Err(CallbackError::Failed { reason: "no keychain".to_owned() })));
    let forgets = Tokens(Box::new(|_| Ok(())));
    let offline = Tokens(Box::new(|reply| {
        reply.offline("the identity service is away".to_owned());
        reply.token("too late".to_owned());
        Ok(())
    }));
    for (tokens, denied, said) in [
        (throws, true, "no keychain"),
        (forgets, true, "gave no answer"),
        (offline, false, "the identity service is away"),
    ] {
        let client = client(&database, Some(Arc::new(tokens))).await;
        let error = client.attach("ada".to_owned()).unwrap().wait().await.unwrap_err();
        assert_eq!(matches!(error, RowtideError::Authentication { .. }), denied, "{error:?}");
        assert_eq!(matches!(error, RowtideError::Network { .. }), !denied, "{error:?}");
        assert!(error.to_string().contains(said), "{error}");
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_request_for_a_token_that_nobody_answers_ends_with_its_operation() {
    let folder = TempDir::new().unwrap();
    let database = database(&folder).await;
    let (asked, asking) = channel();
    let asked = Mutex::new(asked);
    let keeps = Tokens(Box::new(move |reply| {
        asked.lock().unwrap().send(reply).unwrap();
        Ok(())
    }));
    let client = client(&database, Some(Arc::new(keeps))).await;
    let running = client.attach("ada".to_owned()).unwrap();
    let reply = asking.recv().unwrap();
    running.cancel();
    assert!(matches!(running.wait().await, Err(RowtideError::Cancelled { .. })));
    reply.token("nobody waits".to_owned());
    let report = client.detach().unwrap().wait().await.unwrap();
    assert_eq!(report.outcome, Outcome::NoChange, "the next operation has its turn");
}

#[test]
fn blocking_calls_serve_a_driver_up_to_a_query_of_many_pages() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("app.db").display().to_string();
    let database = Database::open_blocking(path.clone()).unwrap();
    assert!(matches!(Database::open_blocking(path), Err(RowtideError::AlreadyOwned { .. })));
    database.execute_blocking(SCHEMA.to_owned(), none()).unwrap();
    let ids = texts((0..100).map(|index| format!("n{index:02}")));
    let sql = "INSERT INTO notes (id) VALUES (?)".to_owned();
    assert_eq!(database.execute_batch_blocking(sql.clone(), ids.clone(), 1).unwrap(), 100);
    let three = "REPLACE INTO notes (id) VALUES (?), (?), (?)".to_owned();
    let error = database.execute_batch_blocking(three, ids, 3).unwrap_err();
    assert!(matches!(error, RowtideError::Configuration { .. }), "{error:?}");

    let transaction = database.transaction_blocking(600_000).unwrap();
    let inserted = transaction.clone().execute_blocking(sql, text("n100")).unwrap();
    assert_eq!((inserted.changed_rows, inserted.last_insert_rowid), (1, 101));
    transaction.clone().commit_blocking().unwrap();
    let error = transaction.commit_blocking().unwrap_err();
    assert!(matches!(error, RowtideError::Configuration { .. }), "{error:?}");

    let result = database.query_blocking("SELECT id FROM notes ORDER BY id".to_owned(), none(), 64).unwrap();
    let (mut rows, mut more) = (result.first.rows, result.first.more);
    let rest = result.rest.unwrap();
    while more {
        let page = rest.clone().next_blocking().unwrap();
        rows += page.rows;
        more = page.more;
    }
    assert_eq!(rows, 101);
    assert!(matches!(rest.clone().next_blocking(), Err(RowtideError::Configuration { .. })));
    drop(rest);
    database.close_blocking().unwrap();
}

#[tokio::test]
async fn a_host_that_is_not_ascii_is_refused_with_the_way_to_write_it() {
    let folder = TempDir::new().unwrap();
    let database = database(&folder).await;
    let config = config("https://bücher.example".to_owned());
    let Err(RowtideError::Configuration { reason }) = database.connect(config, None, None).await else {
        panic!("the host was accepted");
    };
    assert!(reason.contains("bücher") && reason.contains("xn--"), "{reason}");
}
