//! What can be set from outside.

use std::net::SocketAddr;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Config {
    pub http: SocketAddr,
    pub tls: SocketAddr,
    pub timing: Timing,
}

#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How long the first pairing code of a page is valid.
    pub first_code: Duration,
    /// How long each further one is.
    pub code_every: Duration,
    /// When a message that the page refused is delivered again on the same connection.
    pub redeliver_after: Duration,
    /// Processor time that each load of a page burns in script before it connects.
    pub start_cost: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            first_code: Duration::from_secs(60),
            code_every: Duration::from_secs(20),
            redeliver_after: Duration::from_secs(5),
            start_cost: Duration::ZERO,
        }
    }
}
