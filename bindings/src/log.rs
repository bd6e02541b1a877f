//! The library's log, through the `log` facade: to the app's own sink, or to the platform's log. It never holds row
//! contents, keys or tokens.

use crate::error::CallbackError;
use crate::host::Hosted;
use ::log::{LevelFilter, Log, Metadata, Record};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

/// Lines that wait for a slow sink at most; further ones are left out.
const WAITING: i64 = 1_000;

/// How much is logged: a level and those above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// Bugs.
    Error,
    /// What the app should know: failing listeners, databases that were restored.
    Warn,
    /// Operations and their outcome.
    Info,
    /// Requests, waits and retries.
    Debug,
    /// Everything.
    Trace,
}

/// A line of the log.
#[derive(Debug, Clone, uniffi::Record)]
pub struct LogLine {
    /// How grave it is.
    pub level: LogLevel,
    /// The module it comes from.
    pub target: String,
    /// The text.
    pub message: String,
}

/// Takes the library's log.
#[uniffi::export(foreign)]
pub trait LogSink: Send + Sync + 'static {
    /// A line, in order.
    ///
    /// # Errors
    /// What is thrown is dropped.
    fn on_line(&self, line: LogLine) -> Result<(), CallbackError>;
}

/// Logs from a level on, to a sink or, without one, to the platform's log (logcat on Android, the unified log on Apple's
/// systems, nowhere elsewhere). Can be called again to change either. An app in Rust that has a logger of its own keeps it.
#[uniffi::export]
pub fn set_log(level: LogLevel, sink: Option<Arc<dyn LogSink>>) {
    let logger: &'static HostLog = &LOGGER;
    *logger.sink.write().unwrap_or_else(PoisonError::into_inner) =
        sink.map(|sink| Arc::new(Hosted::new(sink)));
    // Fails where a logger is set already: this one, or the app's.
    let _ = ::log::set_logger(logger);
    ::log::set_max_level(level.into());
}

/// Logs a warning among the library's own lines: for the layers above it, where code of the app that they call fails.
#[uniffi::export]
pub fn log_warning(message: String) {
    ::log::warn!("{message}");
}

static LOGGER: LazyLock<HostLog> =
    LazyLock::new(|| HostLog { sink: RwLock::default(), waiting: Arc::default(), platform: platform() });

struct HostLog {
    sink: RwLock<Option<Arc<Hosted<dyn LogSink>>>>,
    waiting: Arc<AtomicI64>,
    platform: Option<Box<dyn Log>>,
}

impl Log for HostLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let sink = self.sink.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(sink) = sink else {
            if let Some(platform) = &self.platform {
                platform.log(record);
            }
            return;
        };
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let line = LogLine {
            level: record.level().into(),
            target: record.target().to_owned(),
            message: record.args().to_string(),
        };
        let waiting = self.waiting.clone();
        sink.post(move |sink| {
            waiting.fetch_sub(1, Ordering::Relaxed);
            // Logging the failure of logging would go round in circles.
            let _ = sink.on_line(line);
        });
    }

    fn flush(&self) {}
}

#[cfg(target_os = "android")]
fn platform() -> Option<Box<dyn Log>> {
    let config = android_logger::Config::default().with_tag("rowtide");
    Some(Box::new(android_logger::AndroidLogger::new(config)))
}

#[cfg(target_vendor = "apple")]
fn platform() -> Option<Box<dyn Log>> {
    Some(Box::new(oslog::OsLogger::new("dev.rowtide")))
}

#[cfg(not(any(target_os = "android", target_vendor = "apple")))]
fn platform() -> Option<Box<dyn Log>> {
    None
}

impl From<::log::Level> for LogLevel {
    fn from(level: ::log::Level) -> Self {
        match level {
            ::log::Level::Error => Self::Error,
            ::log::Level::Warn => Self::Warn,
            ::log::Level::Info => Self::Info,
            ::log::Level::Debug => Self::Debug,
            ::log::Level::Trace => Self::Trace,
        }
    }
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => Self::Off,
            LogLevel::Error => Self::Error,
            LogLevel::Warn => Self::Warn,
            LogLevel::Info => Self::Info,
            LogLevel::Debug => Self::Debug,
            LogLevel::Trace => Self::Trace,
        }
    }
}
