//! What is not served to other machines in the open.

use std::net::SocketAddr;

#[derive(Debug, thiserror::Error)]
#[error(
    "{flag} {addr} can be reached from other machines and has no TLS: give it a certificate ({certificate}), listen on 127.0.0.1, \
     or say --allow-plaintext-listen where the network between is yours alone"
)]
pub struct PlaintextListen {
    flag: &'static str,
    addr: SocketAddr,
    certificate: &'static str,
}

/// Refuses a listener that is not of this machine alone, has no TLS, and was not allowed in so many words. `flag` and
/// `certificate` are the options that chose it, and that would give it TLS.
pub fn check_listen(
    flag: &'static str,
    addr: SocketAddr,
    certificate: &'static str,
    has_tls: bool,
    is_allowed: bool,
) -> Result<(), PlaintextListen> {
    let is_open = !addr.ip().to_canonical().is_loopback();
    if is_open && !has_tls && !is_allowed { Err(PlaintextListen { flag, addr, certificate }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_listener_of_this_machine_alone_needs_no_tls() {
        let check = |addr: &str, has_tls, is_allowed| {
            check_listen("--listen", addr.parse().unwrap(), "--tls-cert-file", has_tls, is_allowed)
        };
        for own in ["127.0.0.1:0", "127.8.9.1:7117", "[::1]:7117", "[::ffff:127.0.0.1]:7117"] {
            assert!(check(own, false, false).is_ok(), "{own}");
        }
        for open in ["0.0.0.0:7117", "[::]:7117", "10.0.0.1:7117", "192.168.0.1:0", "[fe80::1]:1"] {
            let refused = check(open, false, false).unwrap_err().to_string();
            assert!(refused.starts_with(&format!("--listen {open} ")), "{refused}");
            assert!(refused.contains("--allow-plaintext-listen"), "{refused}");
            assert!(check(open, true, false).is_ok() && check(open, false, true).is_ok(), "{open}");
        }
    }
}
