//! What a worker is, as its operators see it; the statuses' order is in [`crate::workers`].

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "worker_status", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WorkerStatus {
    Running,
    Stopped,
    Error,
}
