//! Opening a database that was closed a moment ago: its former owner's threads end on their own time, and ownership
//! tells when they have.

use rowtide::{Client, Config, ErrorKind, LocalDatabase, Result};
use std::path::Path;

/// Opens a database for sync, as soon as its former owner is gone.
///
/// # Errors
/// Any but [`ErrorKind::AlreadyOwned`].
pub async fn open(config: &Config) -> Result<Client> {
    loop {
        match Client::open(config.clone()).await {
            Err(error) if error.kind() == ErrorKind::AlreadyOwned => tokio::task::yield_now().await,
            opened => return opened,
        }
    }
}

/// Opens a database without sync, as soon as its former owner is gone.
///
/// # Panics
/// It cannot be opened.
pub async fn open_local(path: &Path) -> LocalDatabase {
    loop {
        match LocalDatabase::open(path).await {
            Err(error) if error.kind() == ErrorKind::AlreadyOwned => tokio::task::yield_now().await,
            opened => return opened.expect("the database opens"),
        }
    }
}
