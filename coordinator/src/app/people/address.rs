//! Where browsers reach the portal. Links are made from it, and never from what a request says of its host.

use std::{net::SocketAddr, str::FromStr};

use http::{Uri, uri::Scheme};

/// Such as `https://portal.example`: scheme and host, perhaps a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalAddress {
    origin: String,
    authority: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "has to be http:// or https:// with a host and perhaps a port, as https://portal.example, and nothing after it"
)]
pub struct InvalidAddress;

impl FromStr for PortalAddress {
    type Err = InvalidAddress;

    fn from_str(given: &str) -> Result<Self, InvalidAddress> {
        let uri: Uri = given.parse().map_err(|_| InvalidAddress)?;
        let scheme = uri.scheme().filter(|scheme| [&Scheme::HTTP, &Scheme::HTTPS].contains(scheme));
        let has_more = !["", "/"].contains(&uri.path()) || uri.query().is_some();
        let (scheme, authority) = scheme.zip(uri.authority()).ok_or(InvalidAddress)?;
        if has_more || authority.as_str().contains('@') {
            return Err(InvalidAddress);
        }
        // As browsers have it: in lower case, and without the port that the scheme has anyway.
        let authority = authority.as_str().to_ascii_lowercase();
        let usual = if *scheme == Scheme::HTTPS { ":443" } else { ":80" };
        let authority = authority.strip_suffix(usual).unwrap_or(&authority).to_owned();
        Ok(Self { origin: format!("{scheme}://{authority}"), authority })
    }
}

impl PortalAddress {
    /// Of a listener that is reached by its own address; none of one that is reached from elsewhere, for nobody knows by which name.
    pub fn of_loopback(listener: SocketAddr, is_tls: bool) -> Option<Self> {
        let authority = listener.to_string();
        let scheme = if is_tls { Scheme::HTTPS } else { Scheme::HTTP };
        listener.ip().is_loopback().then(|| Self { origin: format!("{scheme}://{authority}"), authority })
    }

    /// By which somebody comes in, once.
    pub fn link(&self, secret: &str) -> String {
        format!("{}/welcome/{secret}", self.origin)
    }

    /// By which somebody comes into the cluster, once.
    pub fn console_link(&self, secret: &str) -> String {
        format!("{}/console/welcome/{secret}", self.origin)
    }

    /// Where browsers come back to from a provider of OpenID Connect.
    pub fn oidc_callback(&self) -> String {
        format!("{}/sign-in/oidc/callback", self.origin)
    }

    /// As browsers name it.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// As they name it in `Host`.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_origin_and_nothing_more() {
        for (given, origin) in [
            ("https://portal.example", "https://portal.example"),
            ("https://Portal.example:443/", "https://portal.example"),
            ("http://127.0.0.1:7118", "http://127.0.0.1:7118"),
            ("https://[::1]:8443", "https://[::1]:8443"),
        ] {
            assert_eq!(PortalAddress::from_str(given).unwrap().origin(), origin);
        }
        for wrong in
            ["", "portal.example", "ftp://a", "https://a/b", "https://a?b", "https://u@a", "https://", "/"]
        {
            assert_eq!(PortalAddress::from_str(wrong), Err(InvalidAddress), "{wrong}");
        }
    }

    #[test]
    fn a_listener_has_an_address_of_its_own_only_where_nobody_else_reaches_it() {
        let of = |addr: &str| PortalAddress::of_loopback(addr.parse().unwrap(), false);
        assert_eq!(of("127.0.0.1:80").unwrap().origin(), "http://127.0.0.1:80");
        assert_eq!(of("[::1]:8080").unwrap().authority(), "[::1]:8080");
        assert!(of("0.0.0.0:80").is_none() && of("10.0.0.1:80").is_none());
    }
}
