//! Calls of the host's code: from one thread, one at a time, in order.
//!
//! That thread holds no lock and no transaction and is not one of the runtime, so the host may call back into the
//! library, blocking calls included. A JVM attaches one thread instead of every one that happens to call.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, mpsc};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

static JOBS: LazyLock<mpsc::Sender<Job>> = LazyLock::new(|| {
    let (jobs, queue) = mpsc::channel::<Job>();
    std::thread::Builder::new()
        .name("rowtide-host".to_owned())
        .spawn(move || {
            while let Ok(job) = queue.recv() {
                // The host's errors are values; what is caught here is a failure of the bridge itself.
                if catch_unwind(AssertUnwindSafe(job)).is_err() {
                    ::log::error!("a call of the app's code failed inside the bridge");
                }
            }
        })
        .expect("the system gives one thread");
    jobs
});

fn post(job: impl FnOnce() + Send + 'static) {
    // The thread lives as long as the process.
    let _ = JOBS.send(Box::new(job));
}

/// An object of the host: called, and given back, on the host's thread.
#[derive(Debug)]
pub(crate) struct Hosted<T: ?Sized + Send + Sync + 'static>(Option<Arc<T>>);

impl<T: ?Sized + Send + Sync + 'static> Hosted<T> {
    pub(crate) fn new(object: Arc<T>) -> Self {
        Self(Some(object))
    }

    fn object(&self) -> Arc<T> {
        self.0.clone().expect("taken only when dropped")
    }

    /// Leaves a call to the host's thread.
    pub(crate) fn post(&self, call: impl FnOnce(&T) + Send + 'static) {
        let object = self.object();
        post(move || call(&object));
    }

    /// Waits for a call; `None` where the bridge failed.
    pub(crate) async fn call<R: Send + 'static>(
        &self,
        call: impl FnOnce(&T) -> R + Send + 'static,
    ) -> Option<R> {
        let (reply, answer) = oneshot::channel();
        self.post(move |object| {
            // A caller that was cancelled waits no more.
            let _ = reply.send(call(object));
        });
        answer.await.ok()
    }
}

impl<T: ?Sized + Send + Sync + 'static> Drop for Hosted<T> {
    fn drop(&mut self) {
        let object = self.0.take();
        post(move || drop(object));
    }
}
