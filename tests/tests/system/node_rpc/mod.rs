//! What nodes tell coordinators and what coordinators tell of it, on a cluster of real processes without browsers.

mod describe;
mod log_level;
mod logs;
mod secret;
pub(crate) mod stage;
