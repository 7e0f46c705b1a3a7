//! Work that takes the processor or the disk for milliseconds, away from the threads that serve everyone.

/// A panic in it goes on here. Nobody cancels it: it ends with the runtime at the latest.
pub(crate) async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => unreachable!("blocking work was cancelled: {error}"),
        },
    }
}
