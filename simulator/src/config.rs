//! What can be set from outside.

use std::net::SocketAddr;
use std::time::Duration;

use crate::hardness::Hardness;

#[derive(Debug, Clone)]
pub struct Config {
    pub http: SocketAddr,
    pub tls: SocketAddr,
    pub timing: Timing,
    /// Of phones that were not given another.
    pub hardness: Hardness,
}

#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How long the first pairing code of a page is valid.
    pub first_code: Duration,
    /// How long each further one is.
    pub code_every: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { first_code: Duration::from_secs(60), code_every: Duration::from_secs(20) }
    }
}
