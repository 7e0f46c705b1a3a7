//! The log of each tenant's worker, beside the node's own: what is logged in a tenant's name, by whichever part of the program,
//! goes to a file of that tenant, from where coordinators read it.
//!
//! ```text
//!   event of a tenant --> layer --(bounded channel, never waited for)--> writer --> <state dir>/logs/<tenant>.log, .1 to .3
//!                                                                          |  '----> followers
//!                                                                          '-> unsaved --> saver --> Postgres: the last 64 KiB
//! ```
//!
//! A tenant's own level (`levels`) says what of its lines is written; it comes with its settings, when its worker's spec is read.
//!
//! Phone numbers are masked on the way in (`mask`), and what customers write is left out above TRACE, so nothing that leaves this
//! module has them.

mod args;
mod files;
mod handle;
mod layer;
mod levels;
mod line;
mod mask;
mod saver;
mod unsaved;
mod writer;

pub use args::WorkerLogArgs;
pub use files::LogBounds;
pub use handle::{WorkerLog, WorkerLogInbox, worker_log};
pub use layer::WorkerLogLayer;
pub use levels::{LogLevels, TenantLevels};
pub use line::{LineFilter, LogLine};
pub use saver::{LogSaver, TAIL_BYTES};
pub use writer::Followed;

#[cfg(test)]
mod level_tests;
#[cfg(test)]
mod tests;
