//! What the host configures. Checked once, at `open`, before anything is written.

use crate::clock::{Clock, Rng, SystemClock, SystemRng};
use crate::error::{Error, ErrorKind, Result};
use crate::report::Progress;
use crate::schema::{SyncTable, UnknownColumns};
use crate::sync::Resolver;
use crate::transport::{TokenProvider, Transport};
use std::path::PathBuf;
use std::sync::Arc;
use url::Url;

/// What happens to rows that were written while signed out, when the server turns out to have data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AnonymousRows {
    /// They stay and are uploaded as local inserts on top of the server's data.
    #[default]
    Keep,
    /// They are deleted and the server's data takes their place.
    Discard,
    /// `attach` changes nothing and reports [`Outcome::BlockedUnsyncedData`](crate::Outcome::BlockedUnsyncedData).
    Refuse,
}

/// How the rows of a first download become visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hydrate {
    /// All in one transaction, after the last one came: nobody sees a part. The app's own writes wait for it, seconds
    /// for a million rows.
    #[default]
    AtOnce,
    /// A slice a transaction, rows before those that refer to them, so that the app's own writes wait for one slice only.
    /// Until `attach` returns, the app sees a part of the server's rows. A download that is interrupted is continued
    /// by the next `attach` of the same user; that of another user takes back what became visible, and is an
    /// error while rows are unsynced. Rows that something local stands against, rows that refer to each other in a
    /// circle, and tables with triggers of the app come with the last slice.
    Progressive,
}

/// Sizes of requests and responses. The server's own limits are kept as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferLimits {
    /// Rows of one upload chunk at most.
    pub upload_rows: i64,
    /// Bytes of one upload chunk at most; one row may be larger.
    pub upload_bytes: usize,
    /// Rows of one snapshot or replay page at most.
    pub download_rows: i64,
    /// Bytes of one snapshot chunk at most, where the server can be asked for it.
    pub download_bytes: i64,
    /// Bundles of one pull page at most.
    pub pull_bundles: i64,
    /// Bytes of any response at most; a larger one is an error.
    pub response_bytes: u64,
}

impl Default for TransferLimits {
    fn default() -> Self {
        Self {
            upload_rows: 5_000,
            upload_bytes: 2 << 20,
            download_rows: 2_000,
            download_bytes: 4 << 20,
            pull_bundles: 1_000,
            response_bytes: 256 << 20,
        }
    }
}

pub(crate) type ProgressListener = Arc<dyn Fn(Progress) + Send + Sync>;

/// Configuration of a [`Client`](crate::Client).
#[derive(Clone)]
pub struct Config {
    pub(crate) path: PathBuf,
    pub(crate) url: Url,
    pub(crate) schema: String,
    pub(crate) tables: Vec<SyncTable>,
    pub(crate) tokens: Option<Arc<dyn TokenProvider>>,
    pub(crate) resolver: Option<Arc<dyn Resolver>>,
    pub(crate) anonymous_rows: AnonymousRows,
    pub(crate) hydrate: Hydrate,
    pub(crate) installation: Option<String>,
    pub(crate) unknown_columns: UnknownColumns,
    pub(crate) limits: TransferLimits,
    pub(crate) progress: Option<ProgressListener>,
    pub(crate) transport: Option<Arc<dyn Transport>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
}

impl Config {
    /// A configuration for the database at `path`, the server at `url` (a path prefix is kept) and the server's
    /// `schema`.
    ///
    /// # Errors
    /// `url` is not an `http` or `https` URL.
    pub fn new(path: impl Into<PathBuf>, url: &str, schema: impl Into<String>) -> Result<Self> {
        let parsed = Url::parse(url).map_err(|error| {
            // Apps' packages know no Unicode in names of hosts (docs/adr/0007).
            let mend =
                if error == url::ParseError::IdnaError { ": write its host in ASCII (xn--...)" } else { "" };
            Error::new(ErrorKind::Configuration, format!("url {url:?} is not a URL: {error}{mend}"))
        })?;
        if !matches!(parsed.scheme(), "http" | "https") {
            let text = format!("url {url:?} must begin with http:// or https://");
            return Err(Error::new(ErrorKind::Configuration, text));
        }
        Ok(Self {
            path: path.into(),
            url: parsed,
            schema: schema.into(),
            tables: Vec::new(),
            tokens: None,
            resolver: None,
            anonymous_rows: AnonymousRows::default(),
            hydrate: Hydrate::default(),
            installation: None,
            unknown_columns: UnknownColumns::default(),
            limits: TransferLimits::default(),
            progress: None,
            transport: None,
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng),
        })
    }

    /// Adds a table.
    #[must_use]
    pub fn table(mut self, table: SyncTable) -> Self {
        self.tables.push(table);
        self
    }

    /// Adds tables.
    #[must_use]
    pub fn tables(mut self, tables: impl IntoIterator<Item = SyncTable>) -> Self {
        self.tables.extend(tables);
        self
    }

    /// Sets the way to access tokens. Without one every remote operation fails with an authentication error.
    #[must_use]
    pub fn tokens(mut self, provider: impl TokenProvider) -> Self {
        self.tokens = Some(Arc::new(provider));
        self
    }

    /// Sets who decides conflicts of tables with [`ConflictPolicy::Callback`](crate::ConflictPolicy::Callback).
    #[must_use]
    pub fn resolver(mut self, resolver: impl Resolver) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// Sets what happens to rows written while signed out.
    #[must_use]
    pub fn anonymous_rows(mut self, choice: AnonymousRows) -> Self {
        self.anonymous_rows = choice;
        self
    }

    /// Sets how the rows of a first download become visible.
    #[must_use]
    pub fn hydrate(mut self, choice: Hydrate) -> Self {
        self.hydrate = choice;
        self
    }

    /// Names this installation of the app, by anything that a backup of the phone does not carry over to another
    /// phone. A database that was bound to another installation takes on a source of its own when it is opened.
    /// Without this, a file beside the database (`<database>-rowtide-installation`) tells: leave it out of backups.
    #[must_use]
    pub fn installation(mut self, id: impl Into<String>) -> Self {
        self.installation = Some(id.into());
        self
    }

    /// Sets what happens to columns that the server has and this version of the app lacks.
    #[must_use]
    pub fn unknown_columns(mut self, choice: UnknownColumns) -> Self {
        self.unknown_columns = choice;
        self
    }

    /// Sets sizes of requests and responses.
    #[must_use]
    pub fn limits(mut self, limits: TransferLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets who hears of progress. Called often, from a task of the core: be quick.
    #[must_use]
    pub fn progress(mut self, listener: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(listener));
        self
    }

    /// Replaces the HTTP stack.
    #[must_use]
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Replaces the clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Replaces the random numbers.
    #[must_use]
    pub fn rng(mut self, rng: impl Rng) -> Self {
        self.rng = Arc::new(rng);
        self
    }
}
