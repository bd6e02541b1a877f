//! The whole server on a port, as `rowtide serve` runs it.

use crate::auth::{AuthError, Authenticator, JwksAuthenticator, JwtAuthenticator};
use crate::config::{Registration, ServiceConfig, TableConfigError};
use crate::demo;
use crate::http::{demo_router, router};
use crate::metrics::metrics_router;
use crate::service::Service;
use crate::store::{SqliteStore, Store, StoreError};
use axum::Router;
use rowtide::SystemClock;
use rowtide::protocol::profile::WireGeneration;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

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

    /// Serves until `shutdown` is ready, then refuses new operations, ends watch streams and lets running operations
    /// finish for up to half a minute. Sessions that expired are deleted every minute.
    ///
    /// # Errors
    /// The listener failed.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
        let services = self.services;
        // Made a service here, the routes are shared; a router is copied for every connection, 25 kB each.
        let app = self.app.into_make_service();
        let mut running = services.first().map(Service::running);
        for service in &services {
            tokio::spawn(purge(service.clone()));
        }
        let drained = async move {
            shutdown.await;
            services.iter().for_each(Service::drain);
        };
        let late = async move {
            if let Some(running) = &mut running {
                // The sender lives as long as the services do, which the app holds.
                let _ = running.wait_for(|running| !running).await;
            }
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            served = axum::serve(self.listener, app).with_graceful_shutdown(drained) => served,
            () = late => {
                log::warn!("operations that were running for {} seconds after the end are cut off", DRAIN.as_secs());
                Ok(())
            }
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
