//! How much of the tenants' logs a node keeps.

use std::time::Duration;

use clap::Args;

use super::files::LogBounds;
use crate::byte_size::ByteSize;

#[derive(Debug, Clone, Copy, Args)]
pub struct WorkerLogArgs {
    /// What the log of one tenant may have on this node's disk
    #[arg(long, env = "ROOST_NODE_WORKER_LOG_SIZE", value_name = "SIZE", default_value = "4MiB")]
    pub worker_log_size: ByteSize,
    /// What the logs of all tenants together may have
    #[arg(long, env = "ROOST_NODE_WORKER_LOG_TOTAL", value_name = "SIZE", default_value = "1GiB")]
    pub worker_log_total: ByteSize,
    /// How long a tenant's log is kept after its last line
    #[arg(long, env = "ROOST_NODE_WORKER_LOG_AGE", default_value = "7d", value_parser = humantime::parse_duration)]
    pub worker_log_age: Duration,
}

impl WorkerLogArgs {
    pub fn bounds(&self) -> LogBounds {
        LogBounds {
            tenant_bytes: self.worker_log_size.bytes(),
            total_bytes: self.worker_log_total.bytes(),
            age: self.worker_log_age,
        }
    }
}
