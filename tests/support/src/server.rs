//! The server of a test: on the embedded store, or on PostgreSQL where `ROWTIDE_TEST_STORE=postgres` says so.

use crate::on_postgres::OnPostgres;
use async_trait::async_trait;
use rowtide::protocol::profile::WireGeneration;
use rowtide_server::{Limits, Registration, ServiceConfig};
use rowtide_testing::{TestServerOptions, TestStore};
use std::ops::Deref;
use std::sync::Arc;

/// Whether the suites run on PostgreSQL.
pub fn on_postgres() -> bool {
    std::env::var("ROWTIDE_TEST_STORE").is_ok_and(|store| store == "postgres")
}

/// A [`rowtide_testing::TestServer`] on the store that the suite runs on. Clones share it.
#[derive(Clone)]
pub struct TestServer {
    server: rowtide_testing::TestServer,
    postgres: Option<Arc<OnPostgres>>,
}

impl TestServer {
    /// A server with tables given as `(table, key column)`, in the schema `business`.
    ///
    /// # Panics
    /// The tables cannot be registered.
    pub fn new(generation: WireGeneration, tables: &[(&str, &str)]) -> Self {
        Self::with_limits(generation, tables, Limits::default())
    }

    /// As [`TestServer::new`], with limits of its own.
    ///
    /// # Panics
    /// The tables cannot be registered.
    pub fn with_limits(generation: WireGeneration, tables: &[(&str, &str)], limits: Limits) -> Self {
        let options = TestServerOptions { limits, ..TestServerOptions::new(generation, tables) };
        if !on_postgres() {
            let server = rowtide_testing::TestServer::start(options).expect("tables can be registered");
            return Self { server, postgres: None };
        }
        let registration =
            |(table, key): &(&str, &str)| Registration { table: (*table).into(), key_column: (*key).into() };
        let tables: Vec<_> = tables.iter().map(registration).collect();
        let config =
            ServiceConfig::new(generation, &options.schema, &tables).expect("tables can be registered");
        let postgres = Arc::new(OnPostgres::new(config));
        let server = rowtide_testing::TestServer::start_on(options, postgres.clone());
        Self { server: server.expect("tables can be registered"), postgres: Some(postgres) }
    }

    /// As [`TestServer::new`], with a store that can be backed up and restored, which is the embedded one.
    ///
    /// # Panics
    /// The tables cannot be registered, or there is no temporary folder.
    pub fn with_file(generation: WireGeneration, tables: &[(&str, &str)]) -> Self {
        let options =
            TestServerOptions { store: TestStore::File, ..TestServerOptions::new(generation, tables) };
        let server = rowtide_testing::TestServer::start(options).expect("tables can be registered");
        Self { server, postgres: None }
    }

    /// Gives the server the columns of a device's tables, where its store wants to know them: the tables of an
    /// application come before its devices. Columns that it has already stay.
    ///
    /// # Panics
    /// The schema is no SQL, or PostgreSQL fails.
    pub async fn create_tables(&self, schema: &str) {
        if let Some(postgres) = &self.postgres {
            postgres.create_tables(schema).await;
        }
    }

    /// Keeps the server's tables as they are now, whatever columns the next device has.
    pub fn tables_are_final(&self) {
        if let Some(postgres) = &self.postgres {
            postgres.tables_are_final();
        }
    }
}

impl Deref for TestServer {
    type Target = rowtide_testing::TestServer;

    fn deref(&self) -> &Self::Target {
        &self.server
    }
}

#[async_trait]
impl rowtide::Transport for TestServer {
    async fn send(&self, request: rowtide::Request) -> Result<rowtide::Response, rowtide::TransportError> {
        self.server.send(request).await
    }

    async fn open(
        &self,
        request: rowtide::Request,
    ) -> Result<rowtide::StreamingResponse, rowtide::TransportError> {
        self.server.open(request).await
    }
}
