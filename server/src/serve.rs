//! The whole server on a port, as `rowtide serve` runs it.

use crate::auth::{AuthError, Authenticator, JwksAuthenticator, JwtAuthenticator};
use crate::config::{Registration, ServiceConfig, TableConfigError};
use crate::demo;
use crate::http::{demo_router, router};
use crate::metrics::metrics_router;
use crate::service::Service;
use crate::store::{SqliteStore, Store, StoreError};
use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rowtide::SystemClock;
use rowtide::protocol::profile::WireGeneration;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long running operations may take once the server ends.
const DRAIN: Duration = Duration::from_secs(30);
/// How often expired sessions are looked for.
const PURGE: Duration = Duration::from_secs(60);

/// Where the store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// A SQLite file, created where there is none.
    File(PathBuf),
    /// Memory; ends with the process.
    Memory,
    /// PostgreSQL.
    #[cfg(feature = "postgres")]
    Postgres {
        /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`
        url: String,
        /// The same database for LISTEN, where `url` goes through a transaction pooler.
        listen_url: Option<String>,
    },
}

/// What to serve.
#[derive(Clone)]
pub struct ServeOptions {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The store.
    pub store: StoreLocation,
    /// Schema of the registered tables.
    pub schema: String,
    /// Registered tables. For a demonstration none are needed: it has tables of its own.
    pub tables: Vec<Registration>,
    /// Whether demonstration endpoints are mounted, and demonstration tables created where none are named.
    pub demo: bool,
    /// The generation at the root; without one, GEN-A is at the root and `/a`, GEN-B at `/b`.
    pub wire: Option<WireGeneration>,
    /// Secret of HS256 tokens. May be empty where there is a key set and no demonstration.
    pub jwt_secret: Vec<u8>,
    /// A JSON Web Key Set: tokens are signed by one of its keys, with RS256 or ES256, and not with the secret.
    pub jwks: Option<String>,
}

/// The server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A table or the secret.
    #[error(transparent)]
    Tables(#[from] TableConfigError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The key set.
    #[error(transparent)]
    Keys(#[from] AuthError),
    /// The secret is empty.
    #[error("set ROWTIDE_JWT_SECRET to the secret that signs the tokens, or name a key set")]
    NoSecret,
}

/// A server that holds its port.
pub struct BoundServer {
    listener: TcpListener,
    address: SocketAddr,
    app: Router,
    services: Vec<Service>,
}

impl BoundServer {
    /// Opens the store and takes the port.
    ///
    /// # Errors
    /// The tables, the store, the secret or the address are of no use; nothing is served.
    pub async fn bind(options: ServeOptions) -> Result<Self, ServeError> {
        if options.jwt_secret.is_empty() && (options.jwks.is_none() || options.demo) {
            return Err(ServeError::NoSecret);
        }
        let demo_tables = options.demo && options.tables.is_empty();
        let tables = if demo_tables { demo::tables() } else { options.tables.clone() };
        let config = |generation| ServiceConfig::new(generation, &options.schema, &tables);
        let store: Arc<dyn Store> = match &options.store {
            StoreLocation::File(path) => Arc::new(SqliteStore::open(path, &config(WireGeneration::A)?)?),
            StoreLocation::Memory => Arc::new(SqliteStore::in_memory(&config(WireGeneration::A)?)?),
            #[cfg(feature = "postgres")]
            StoreLocation::Postgres { url, listen_url } => {
                if demo_tables {
                    crate::store::PostgresStore::execute(url, &demo::schema(&options.schema)).await?;
                }
                let config = config(WireGeneration::A)?;
                Arc::new(crate::store::PostgresStore::open(url, listen_url.as_deref(), &config).await?)
            }
        };
        let jwt = Arc::new(JwtAuthenticator::hs256(&options.jwt_secret));
        let authenticator: Arc<dyn Authenticator> = match &options.jwks {
            Some(jwks) => Arc::new(JwksAuthenticator::new(jwks)?),
            None => jwt.clone(),
        };
        let service = |generation| -> Result<Service, ServeError> {
            Ok(Service::with_clock(config(generation)?, store.clone(), Arc::new(SystemClock)))
        };
        let mut services = Vec::new();
        let mut app = match options.wire {
            Some(generation) => {
                services.push(service(generation)?);
                router(services[0].clone(), authenticator)
            }
            None => {
                services.extend([service(WireGeneration::A)?, service(WireGeneration::B)?]);
                let a = router(services[0].clone(), authenticator.clone());
                a.clone().nest("/a", a).nest("/b", router(services[1].clone(), authenticator))
            }
        };
        app = app.merge(metrics_router());
        if options.demo {
            app = app.merge(demo_router(services.clone(), jwt));
        }
        let failed = |error| ServeError::Listen(options.listen, error);
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, app, services })
    }

    /// The address that is listened on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is ready. Then nobody is listened to any more, new operations on open connections are refused,
    /// watch streams end, and running operations have half a minute to finish; those that do not are cut off, and what they
    /// had not committed is rolled back. Sessions that expired are deleted every minute.
    ///
    /// # Cancellation
    /// Dropping the future cuts off everything at once.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) {
        for service in &self.services {
            tokio::spawn(purge(service.clone()));
        }
        let mut connections = Connections::default();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                (stream, _) = Listener::accept(&mut self.listener) => connections.serve(stream, self.app.clone()),
                () = shutdown.as_mut() => break,
            }
        }
        drop(self.listener);
        self.services.iter().for_each(Service::drain);
        connections.drain().await;
    }
}

/// The connections of a server, which end with it.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    draining: watch::Sender<bool>,
}

impl Connections {
    fn serve(&mut self, stream: TcpStream, app: Router) {
        // Those that ended meanwhile leave the set.
        while self.tasks.try_join_next().is_some() {}
        let mut draining = self.draining.subscribe();
        self.tasks.spawn(async move {
            let service = TowerToHyperService::new(app);
            let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            let drains = async {
                let _ = draining.wait_for(|draining| *draining).await;
            };
            tokio::select! {
                // However it ended, there is nobody left to tell.
                _ = connection.as_mut() => return,
                () = drains => connection.as_mut().graceful_shutdown(),
            }
            let _ = connection.await;
        });
    }

    /// Waits for what runs, up to the limit; what is left then is cut off.
    async fn drain(mut self) {
        self.draining.send_replace(true);
        let finished = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, finished).await.is_err() {
            let (count, seconds) = (self.tasks.len(), DRAIN.as_secs());
            log::warn!("{count} connections that were busy for {seconds} seconds after the end are cut off");
            self.tasks.shutdown().await;
        }
    }
}

/// Deletes expired sessions until the service drains.
async fn purge(service: Service) {
    let mut running = service.running();
    loop {
        tokio::select! {
            _ = running.wait_for(|running| !running) => return,
            () = tokio::time::sleep(PURGE) => {}
        }
        if let Err(error) = service.purge_expired().await {
            log::warn!("expired sessions are deleted later: {error}");
        }
    }
}
