//! Who is at the other end of a connection.

use std::net::IpAddr;

/// Its address, without the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);
