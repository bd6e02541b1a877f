//! `rowtide serve`.

use super::interrupted;
use crate::failure::{EXIT_OTHER, Failure};
use clap::Args;
use rowtide::protocol::profile::WireGeneration;
use rowtide_server::{BoundServer, Registration, ServeError, ServeOptions, StoreLocation};
use serde::Deserialize;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Options of the server.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// `sqlite:FILE` or `memory`.
    #[arg(long, default_value = "memory", value_parser = parse_store)]
    store: StoreLocation,
    /// PostgreSQL instead of the embedded store: postgres://USER:PASSWORD@HOST:PORT/DATABASE.
    #[arg(long, env = "ROWTIDE_DATABASE_URL", hide_env_values = true, conflicts_with = "store")]
    database_url: Option<String>,
    /// The same database without a pooler in between, for LISTEN.
    #[arg(long, env = "ROWTIDE_DATABASE_LISTEN_URL", hide_env_values = true, requires = "database_url")]
    database_listen_url: Option<String>,
    /// Schema of the tables.
    #[arg(long, default_value = "business")]
    schema: String,
    /// A table and its sync key, as TABLE:KEY; once for each table. With --demo, none is needed.
    #[arg(long = "table", value_parser = parse_table)]
    tables: Vec<Registration>,
    /// TOML file with the schema and its tables, instead of --schema and --table.
    #[arg(long = "tables", value_name = "FILE", conflicts_with_all = ["schema", "tables"])]
    tables_file: Option<PathBuf>,
    /// Also serve /dummy-signin and /test/…: anybody can sign in as anybody.
    #[arg(long)]
    demo: bool,
    /// Wire generation at the root; without it, a at / and /a, b at /b.
    #[arg(long, value_parser = parse_wire)]
    wire: Option<WireGeneration>,
    /// Secret of HS256 tokens.
    #[arg(long, env = "ROWTIDE_JWT_SECRET", hide_env_values = true, hide = true)]
    jwt_secret: Option<String>,
    /// File with the JSON Web Key Set of an identity provider, for RS256 and ES256 tokens.
    #[arg(long)]
    jwks: Option<PathBuf>,
}

/// The file that `--tables` names.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TablesFile {
    schema: String,
    tables: Vec<TableEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableEntry {
    name: String,
    key: String,
}

fn read_tables(path: &Path) -> Result<(String, Vec<Registration>), Failure> {
    let file: TablesFile = toml::from_str(&read(path)?)
        .map_err(|error| Failure::configuration(format!("{}: {error}", path.display())))?;
    if file.tables.is_empty() {
        let text = format!("{}: tables is empty; name at least one table and its key", path.display());
        return Err(Failure::configuration(text));
    }
    let registration = |entry: TableEntry| Registration { table: entry.name, key_column: entry.key };
    Ok((file.schema, file.tables.into_iter().map(registration).collect()))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::configuration(format!("cannot read {}: {error}", path.display())))
}

fn parse_store(text: &str) -> Result<StoreLocation, String> {
    match text.split_once(':') {
        None if text == "memory" => Ok(StoreLocation::Memory),
        Some(("sqlite", file)) if !file.is_empty() => Ok(StoreLocation::File(file.into())),
        _ => Err("expected sqlite:FILE or memory".into()),
    }
}

fn parse_table(text: &str) -> Result<Registration, String> {
    let (table, key) = text.split_once(':').ok_or("expected TABLE:KEY, for example users:id")?;
    Ok(Registration { table: table.to_owned(), key_column: key.to_owned() })
}

fn parse_wire(text: &str) -> Result<WireGeneration, String> {
    WireGeneration::parse(text).ok_or_else(|| "expected a or b".to_owned())
}

/// Serves until interrupted.
pub(crate) async fn run(options: Options, json: bool) -> Result<u8, Failure> {
    let secret = options.jwt_secret.unwrap_or_default();
    let jwks = options.jwks.as_deref().map(read).transpose()?;
    let (schema, tables) = match &options.tables_file {
        Some(file) => read_tables(file)?,
        None => (options.schema, options.tables),
    };
    let store = match options.database_url {
        Some(url) => StoreLocation::Postgres { url, listen_url: options.database_listen_url },
        None => options.store,
    };
    let server = BoundServer::bind(ServeOptions {
        listen: options.listen,
        store,
        schema,
        tables,
        demo: options.demo,
        wire: options.wire,
        jwt_secret: secret.into_bytes(),
        jwks,
    })
    .await
    .map_err(|error| match error {
        ServeError::Tables(_) | ServeError::NoSecret | ServeError::Keys(_) => {
            Failure::configuration(error.to_string())
        }
        _ => Failure::new("server", error.to_string(), EXIT_OTHER),
    })?;
    let url = format!("http://{}", server.local_addr());
    let line = if json {
        serde_json::json!({ "listening": url }).to_string()
    } else {
        format!("listening on {url}")
    };
    let mut out = std::io::stdout();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(|error| Failure::new("output", error.to_string(), EXIT_OTHER))?;
    server.run(interrupted()).await;
    Ok(0)
}
