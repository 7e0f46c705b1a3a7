//! Proxies before the listener, that say from where what they pass on has come.
//!
//! Only those that are named are believed, and only by the header `X-Forwarded-For`, to which such a proxy adds the address that it was asked
//! from: read from its end, so what a visitor has written there himself counts for nothing.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;
use tonic::transport::server::TcpConnectInfo;

const HEADER: &str = "x-forwarded-for";

#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Who asks, as far as those that are believed say it.
    pub fn origin(&self, peer: TcpConnectInfo, headers: &HeaderMap) -> TcpConnectInfo {
        let Some(direct) = peer.remote_addr() else { return peer };
        let origin = self.before(direct.ip(), headers);
        match origin == direct.ip() {
            true => peer,
            // Which port it had there nobody says.
            false => TcpConnectInfo { remote_addr: Some(SocketAddr::new(origin, 0)), ..peer },
        }
    }

    fn before(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let lines: Vec<&str> =
            headers.get_all(HEADER).iter().map(|line| line.to_str().unwrap_or("")).collect();
        let mut hops = lines.iter().rev().flat_map(|line| line.rsplit(',')).map(str::trim);
        let mut last = peer;
        while self.trusts(last) {
            // What is no address was written by nobody who is believed.
            let Some(hop) = hops.next().and_then(address) else { break };
            last = hop;
        }
        last
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Some proxies add the port.
fn address(hop: &str) -> Option<IpAddr> {
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    hop.parse().ok().or_else(bracketed).or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(trusted: &[&str], peer: &str, lines: &[&'static str]) -> String {
        let proxies = TrustedProxies::new(trusted.iter().map(|network| network.parse().unwrap()).collect());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(HEADER, line.parse().unwrap());
        }
        let peer =
            TcpConnectInfo { local_addr: None, remote_addr: Some(format!("{peer}:7").parse().unwrap()) };
        proxies.origin(peer, &headers).remote_addr().unwrap().ip().to_string()
    }

    #[test]
    fn nobody_is_believed_who_is_not_named() {
        assert_eq!(origin(&[], "10.0.0.1", &["203.0.113.7"]), "10.0.0.1");
        assert_eq!(origin(&["10.0.0.0/24"], "10.0.1.1", &["203.0.113.7"]), "10.0.1.1");
    }

    #[test]
    fn the_last_address_that_no_proxy_of_ours_has_counts_whatever_a_visitor_says() {
        let ours = ["10.0.0.0/24"];
        assert_eq!(origin(&ours, "10.0.0.1", &["203.0.113.7"]), "203.0.113.7");
        assert_eq!(origin(&ours, "10.0.0.1", &["192.0.2.1, 203.0.113.7, 10.0.0.2"]), "203.0.113.7");
        assert_eq!(
            origin(&ours, "10.0.0.1", &["192.0.2.1", "203.0.113.7"]),
            "203.0.113.7",
            "two lines are one list"
        );
        assert_eq!(origin(&ours, "10.0.0.1", &["203.0.113.7:4711"]), "203.0.113.7");
        assert_eq!(origin(&ours, "10.0.0.1", &["[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(origin(&ours, "10.0.0.1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(origin(&ours, "[::ffff:10.0.0.1]", &["203.0.113.7"]), "203.0.113.7");
        for nonsense in [&["unknown"][..], &[""], &[], &["203.0.113.7, "]] {
            assert_eq!(origin(&ours, "10.0.0.1", nonsense), "10.0.0.1", "{nonsense:?}");
        }
        assert_eq!(origin(&ours, "10.0.0.1", &["10.0.0.9"]), "10.0.0.9", "one of ours asks itself");
    }
}
