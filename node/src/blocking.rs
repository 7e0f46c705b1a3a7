//! Work that takes the processor or the disk for milliseconds, away from the threads that serve everyone.

use tokio::task::JoinHandle;

/// A panic in it goes on here. Nobody cancels it: it ends with the runtime at the latest.
pub(crate) async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    joined(tokio::task::spawn_blocking(work)).await
}

/// What came of a task that nobody cancels; a panic in it goes on here.
pub(crate) async fn joined<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => unreachable!("work that nobody cancels was cancelled: {error}"),
        },
    }
}
