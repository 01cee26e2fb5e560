//! The door from this server's async side to what may wait for a disk.

/// Runs `job` on a thread that may block, and returns what it returns. How many threads there are is
/// bounded by the runtime; a panic in the job goes on in the caller, who is one request.
pub(crate) async fn run<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let task = tokio::task::spawn_blocking(job);
    match task.await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(cancelled) => unreachable!("blocking jobs are not cancelled: {cancelled}"),
        },
    }
}
