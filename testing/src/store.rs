//! The service that is running, and the store under it, which outlives a restart.

use crate::clock::ServerClock;
use crate::options::{TestServerError, TestStore};
use crate::tokens::IssuedTokens;
use axum::Router;
use rowtide_server::{Service, ServiceConfig, SqliteStore, Store};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// A copy of a server's data at one moment, made by [`TestServer::backup`](crate::TestServer::backup). Its file goes
/// with its last clone.
#[derive(Debug, Clone)]
pub struct Backup(Arc<BackupFile>);

#[derive(Debug)]
struct BackupFile {
    folder: TempDir,
}

impl Backup {
    fn path(&self) -> PathBuf {
        self.0.folder.path().join("backup.db")
    }
}

fn system(what: &'static str) -> impl Fn(std::io::Error) -> TestServerError {
    move |cause| TestServerError::System { what, cause }
}

fn temporary_folder() -> Result<TempDir, TestServerError> {
    tempfile::tempdir().map_err(system("cannot make a temporary folder"))
}

/// What is needed to start a service.
pub(crate) struct Founding {
    pub(crate) config: ServiceConfig,
    pub(crate) clock: ServerClock,
    pub(crate) tokens: Arc<IssuedTokens>,
}

/// A running service.
pub(crate) struct Running {
    pub(crate) router: Router,
    pub(crate) service: Service,
    pub(crate) store: Arc<dyn Store>,
    /// A folder for each store: calls to the former one may still run when the next is in place.
    folder: Option<TempDir>,
}

impl Running {
    pub(crate) fn first(founding: &Founding, place: TestStore) -> Result<Self, TestServerError> {
        match place {
            TestStore::Memory => {
                let store = SqliteStore::in_memory(&founding.config)?;
                Ok(Self::on(founding, Arc::new(store), None))
            }
            TestStore::File => Self::in_folder(founding, temporary_folder()?),
        }
    }

    /// On a store of the host's.
    pub(crate) fn on_store(founding: &Founding, store: Arc<dyn Store>) -> Self {
        Self::on(founding, store, None)
    }

    fn in_folder(founding: &Founding, folder: TempDir) -> Result<Self, TestServerError> {
        let store = SqliteStore::open(&file_in(&folder), &founding.config)?;
        Ok(Self::on(founding, Arc::new(store), Some(folder)))
    }

    fn on(founding: &Founding, store: Arc<dyn Store>, folder: Option<TempDir>) -> Self {
        let clock = Arc::new(founding.clock.clone());
        let service = Service::with_clock(founding.config.clone(), store.clone(), clock);
        let router = rowtide_server::router(service.clone(), founding.tokens.clone());
        Self { router, service, store, folder }
    }

    /// Drains the service and puts a new one on the same store.
    pub(crate) fn restart(&mut self, founding: &Founding) {
        self.service.drain();
        *self = Self::on(founding, self.store.clone(), self.folder.take());
    }

    /// Copies the data as it is now.
    pub(crate) fn backup(&self) -> Result<Backup, TestServerError> {
        let folder = self.folder.as_ref().ok_or(TestServerError::InMemory)?;
        let backup = Backup(Arc::new(BackupFile { folder: temporary_folder()? }));
        copy(&file_in(folder), &backup.path()).map_err(rowtide_server::StoreError::from)?;
        Ok(backup)
    }

    /// Drains the service and puts a new one on a copy of the backup.
    pub(crate) fn restore(&mut self, founding: &Founding, backup: &Backup) -> Result<(), TestServerError> {
        if self.folder.is_none() {
            return Err(TestServerError::InMemory);
        }
        let folder = temporary_folder()?;
        std::fs::copy(backup.path(), file_in(&folder)).map_err(system("cannot copy the backup"))?;
        let restored = Self::in_folder(founding, folder)?;
        self.service.drain();
        *self = restored;
        Ok(())
    }
}

fn file_in(folder: &TempDir) -> PathBuf {
    folder.path().join("server.db")
}

/// SQLite's own copy, so that it is of one moment whatever is being written.
fn copy(from: &Path, to: &Path) -> rusqlite::Result<()> {
    let to = to.to_string_lossy().into_owned();
    rusqlite::Connection::open(from)?.execute("VACUUM INTO ?1", [to]).map(drop)
}
