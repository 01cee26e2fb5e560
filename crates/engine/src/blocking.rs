//! The only door from async to the sync rooms, with a bounded number of threads.

use tokio::sync::Semaphore;

/// At most this many blocking jobs at once: enough to overlap fsyncs, few enough that a burst of
/// starts does not become a burst of threads.
const THREADS: usize = 16;

static ROOM: Semaphore = Semaphore::const_new(THREADS);

/// Runs `job` on a thread that may block, and returns what it returns. A panic in the job goes on
/// in the caller, who is one request.
pub async fn run<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
    let _permit = ROOM.acquire().await.expect("the semaphore is never closed");
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let task = tokio::task::spawn_blocking(|| {
        sys::failpoint::reach("job_begins");
        let done = job();
        sys::failpoint::reach("job_ends");
        done
    });
    match task.await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(cancelled) => unreachable!("blocking jobs are not cancelled: {cancelled}"),
        },
    }
}

/// Runs a job that may wait for the network on a thread of its own; the permit, which bounds how many
/// there are, is given back with it.
pub(crate) fn long<T: Send + 'static>(
    permit: tokio::sync::OwnedSemaphorePermit,
    job: impl FnOnce() -> T + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    #[expect(clippy::disallowed_methods, reason = "bounded by the permit")]
    tokio::task::spawn_blocking(move || {
        let done = job();
        drop(permit);
        done
    })
}
