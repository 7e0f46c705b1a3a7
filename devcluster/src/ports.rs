//! Free loopback ports.
//!
//! A port from `bind(0)` lies in the range that outgoing connections take their source ports from. While its server is
//! down for a restart, a client that keeps dialling the port can be given that very port as its source, connects to
//! itself and keeps the server from binding it again. Ports below that range have no such accidents.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
};

use super::{
    error::{DevError, Result},
    files::random,
};

const LOWEST: u16 = 10_000;
const TRIES: u32 = 200;

/// A loopback port that nothing listens on now and that no outgoing connection takes by chance. Chosen at random, so
/// that processes which choose at the same time rarely meet; a caller whose server cannot bind asks again.
pub fn free_port() -> Result<u16> {
    let span = first_outgoing_port().max(LOWEST + 1) - LOWEST;
    for _ in 0..TRIES {
        let port = LOWEST + u16::from_le_bytes(random()?) % span;
        if is_free(port) {
            return Ok(port);
        }
    }
    Err(DevError::NoFreePort)
}

/// Nothing listens on this loopback port now.
pub(super) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn first_outgoing_port() -> u16 {
    const USUAL: u16 = 32_768;
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range.split_whitespace().next().and_then(|low| low.parse().ok()).unwrap_or(USUAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_can_be_bound_and_is_not_an_outgoing_one() {
        let port = free_port().unwrap();
        assert!((LOWEST..first_outgoing_port()).contains(&port));
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    }
}
