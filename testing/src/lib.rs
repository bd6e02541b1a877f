//! A sync server for an app's own tests: the real one, with faults, a clock and tokens that the test commands.
//!
//! [`TestServer`] runs the embedded server in the process of the test. Clients of the same process take it as their
//! transport; apps in other languages reach it on a loopback port ([`TestServer::serve`]). It speaks either wire
//! generation, fails as planned ([`Fault`]) or by chance with a seed ([`RandomFaults`]), writes what a user's other
//! device would ([`TestServer::put_rows`]), and shows what arrived ([`TestServer::rows`]).
//!
//! # A reply is lost
//!
//! The app commits, and never hears that the server took it. The next sync finds out, and nothing is sent twice:
//!
//! ```
//! use rowtide::protocol::profile::WireGeneration;
//! use rowtide::{Client, Config, LocalDatabase, SyncTable};
//! use rowtide_testing::{Endpoint, Fault, TestServer};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = TestServer::new(WireGeneration::B, &[("notes", "id")]);
//! server.put_rows("ada", "notes", &[serde_json::json!({ "id": "n1", "title": "from another device" })]).await?;
//!
//! let folder = tempfile::tempdir()?;
//! let file = folder.path().join("app.db");
//! let schema = "CREATE TABLE notes (id TEXT PRIMARY KEY NOT NULL, title TEXT)";
//! LocalDatabase::open(&file).await?.execute_script(schema).await?;
//! let config = Config::new(&file, TestServer::URL, "business")?
//!     .table(SyncTable::new("notes").key("id"))
//!     .transport(server.clone())
//!     .tokens(server.tokens("ada"));
//! let client = Client::open(config).await?;
//! client.attach("ada").await?;
//!
//! client.execute("INSERT INTO notes VALUES ('n2', 'written here')", vec![]).await?;
//! server.fail_next(Endpoint::PushCommit, Fault::ApplyThenDropReply);
//! client.sync().await?;
//!
//! let rows = server.rows("ada", "notes").await?;
//! assert_eq!(rows.len(), 2);
//! assert_eq!(rows[1].columns["title"], "written here");
//! assert_eq!(server.take_struck().len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Time
//!
//! Leases, sessions, tokens and [`Fault::Delay`] follow the clock of [`TestServerOptions`]. With a [`VirtualClock`] that
//! the client shares, no test waits for real time.

mod carry;
mod clock;
mod endpoint;
mod fault;
mod history;
mod loopback;
mod options;
mod rows;
mod server;
mod sources;
mod store;
mod tokens;
mod virtual_clock;
mod writes;

pub use endpoint::Endpoint;
pub use fault::{Fault, RandomFaults, Struck};
pub use history::{ServerBundle, ServerChange};
pub use loopback::Loopback;
pub use options::{TestServerError, TestServerOptions, TestStore};
pub use rows::ServerRow;
pub use rowtide_server::Limits;
pub use server::{Exchange, TestServer};
pub use store::Backup;
pub use tokens::TestTokens;
pub use virtual_clock::VirtualClock;
