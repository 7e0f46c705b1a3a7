//! What a tenant's browser may take of its node's memory, processors and processes.
//!
//! The request is what the cluster keeps free for it, the limits are what it may not exceed. What a tenant does not set is what
//! its node gives each tenant.

use serde::{Deserialize, Serialize};

const MIB: u64 = 1 << 20;
/// Less is less than any browser takes, more is more than any machine has.
pub const MEMORY_REQUEST_BYTES: std::ops::RangeInclusive<u64> = 16 * MIB..=(MIB << 20);
/// A browser that has opened nothing takes more than the least.
pub const MEMORY_LIMIT_BYTES: std::ops::RangeInclusive<u64> = 64 * MIB..=(MIB << 20);
pub const CPU_LIMIT_MILLICORES: std::ops::RangeInclusive<u32> = 50..=1_000_000;
/// A browser is some five processes.
pub const PROCESS_LIMIT: std::ops::RangeInclusive<u32> = 8..=100_000;

/// As operators set them. `None` is the node's own; 0 lifts a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceLimits {
    pub memory_request_bytes: Option<u64>,
    pub memory_limit_bytes: Option<u64>,
    /// In thousandths of a core.
    pub cpu_limit_millicores: Option<u32>,
    pub process_limit: Option<u32>,
}

/// What a browser used when it was last looked at, all its processes together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ResourceUsage {
    /// Each process' share (PSS), what is swapped out included.
    pub memory_bytes: u64,
    /// In thousandths of a core, between the last two looks.
    pub cpu_millicores: u32,
    pub processes: u32,
}
