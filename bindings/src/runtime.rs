//! The one runtime of the process, on which operations run. It lives as long as the process: opening and closing
//! databases starts and ends no thread of it.

use crate::error::RowtideError;
use std::future::Future;
use std::sync::LazyLock;
use tokio::runtime::{Builder, EnterGuard, Runtime};

/// Enough for one operation, a watch stream and observers; SQL runs on threads of the database.
const THREADS: usize = 2;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("rowtide")
        .enable_all()
        .build()
        .expect("the system gives two threads")
});

/// For calls of the core that start tasks by themselves.
pub(crate) fn enter() -> EnterGuard<'static> {
    RUNTIME.enter()
}

/// Starts work that nobody waits for.
pub(crate) fn start(work: impl Future<Output = ()> + Send + 'static) {
    RUNTIME.spawn(work);
}

/// Runs work on a task of its own: a caller that goes away does not stop it half-way.
pub(crate) async fn run<T: Send + 'static>(
    work: impl Future<Output = rowtide::Result<T>> + Send + 'static,
) -> Result<T, RowtideError> {
    RUNTIME.spawn(work).await.map_err(|_| RowtideError::panicked())?.map_err(RowtideError::from)
}

/// Runs work and blocks the calling thread, which is one of the host, until it is done.
pub(crate) fn block_on<T: Send + 'static>(
    work: impl Future<Output = Result<T, RowtideError>> + Send + 'static,
) -> Result<T, RowtideError> {
    let task = RUNTIME.spawn(work);
    RUNTIME.block_on(task).map_err(|_| RowtideError::panicked())?
}
