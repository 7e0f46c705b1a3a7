//! The proxy by which a tenant's browser goes to WhatsApp, and nothing else of it does.
//!
//! What it says of itself ([`Display`](fmt::Display), `Debug`) has no credentials: it is shown, logged and told.

use std::{fmt, str::FromStr};

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// Of a user's name or a password, as SOCKS has it, in bytes.
pub const CREDENTIAL_AT_MOST: usize = 255;

/// Written as `scheme://[user:password@]host[:port]`, with percents for what has a meaning in an address.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub place: ProxyPlace,
    pub login: Option<ProxyLogin>,
}

/// As it is shown: `scheme://host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyPlace {
    pub scheme: ProxyScheme,
    /// An IPv6 address has its brackets.
    pub host: String,
    pub port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProxyScheme {
    Http,
    Https,
    Socks5,
}

#[derive(Clone, PartialEq, Eq)]
pub struct ProxyLogin {
    pub user: String,
    pub password: String,
}

/// None of them says what was given: a password may be in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAProxy {
    #[error("is no address of a proxy, which is scheme://[user:password@]host[:port]")]
    Form,
    #[error("has another scheme than http, https and socks5")]
    Scheme,
    #[error(
        "has more than scheme://[user:password@]host[:port]; write what has a meaning in an address, in a password too, with percents (@ as %40, / as %2F)"
    )]
    More,
    #[error("has a host that is neither a name nor an address")]
    Host,
    #[error(
        "has a user or a password that is empty, longer than {CREDENTIAL_AT_MOST} bytes, or holds control characters; a user has no ':' either"
    )]
    Credentials,
}

impl FromStr for Proxy {
    type Err = NotAProxy;

    fn from_str(given: &str) -> Result<Self, NotAProxy> {
        let (scheme, _) = given.split_once("://").ok_or(NotAProxy::Form)?;
        let (scheme, implied) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (ProxyScheme::Http, 80),
            "https" => (ProxyScheme::Https, 443),
            "socks5" => (ProxyScheme::Socks5, 1080),
            _ => return Err(NotAProxy::Scheme),
        };
        let url = Url::parse(given).map_err(|_| NotAProxy::Form)?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(NotAProxy::More);
        }
        let host = host(&url).ok_or(NotAProxy::Host)?;
        let port = url.port().unwrap_or(implied);
        if port == 0 {
            return Err(NotAProxy::Form);
        }
        Ok(Self { place: ProxyPlace { scheme, host, port }, login: login(&url)? })
    }
}

fn host(url: &Url) -> Option<String> {
    let host = match url.host()? {
        Host::Domain(name) => name.to_ascii_lowercase(),
        address => address.to_string(),
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_name = host.bytes().all(is_plain) && host.len() <= 253 && !host.is_empty();
    let is_v6 = host.starts_with('[') && host.ends_with(']');
    (is_name || is_v6).then_some(host)
}

fn login(url: &Url) -> Result<Option<ProxyLogin>, NotAProxy> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let decoded = |text: &str| {
        let text = percent_decode_str(text).decode_utf8().ok()?;
        let is_one = !text.is_empty() && text.len() <= CREDENTIAL_AT_MOST && !text.contains(char::is_control);
        is_one.then(|| text.into_owned())
    };
    let user = decoded(url.username()).filter(|user| !user.contains(':'));
    let password = decoded(url.password().unwrap_or_default());
    match (user, password) {
        (Some(user), Some(password)) => Ok(Some(ProxyLogin { user, password })),
        _ => Err(NotAProxy::Credentials),
    }
}

impl fmt::Display for ProxyScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5 => "socks5",
        })
    }
}

impl fmt::Display for ProxyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({}, login: {})", self.place, self.login.is_some())
    }
}

impl fmt::Debug for ProxyLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyLogin(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(given: &str) -> Result<Proxy, NotAProxy> {
        given.parse()
    }

    #[test]
    fn a_proxy_is_shown_with_its_port_and_never_with_its_credentials() {
        for (given, shown) in [
            ("http://proxy.example", "http://proxy.example:80"),
            ("HTTPS://Proxy.Example/", "https://proxy.example:443"),
            ("socks5://10.0.0.1", "socks5://10.0.0.1:1080"),
            ("socks5://[fd00::1]:99", "socks5://[fd00::1]:99"),
            ("http://asha:sesame@proxy.example:3128", "http://proxy.example:3128"),
        ] {
            let proxy = parse(given).unwrap();
            assert_eq!(proxy.place.to_string(), shown);
            assert!(!format!("{proxy:?} {:?}", proxy.login).contains("sesame"), "{proxy:?}");
            assert_eq!(parse(shown).unwrap().place, proxy.place, "what is shown is an address");
        }
    }

    #[test]
    fn credentials_are_what_their_percents_stand_for() {
        let login = parse("socks5://a%2Fsha:s%40s%3Ame@h").unwrap().login.unwrap();
        assert_eq!((login.user.as_str(), login.password.as_str()), ("a/sha", "s@s:me"));
        assert_eq!(parse("socks5://h").unwrap().login, None);
        let long = "x".repeat(256);
        for wrong in ["a@h", "a:@h", ":b@h", "a%3Ab:c@h", "a:b%0d%0ac@h", "%ff:b@h", &format!("a:{long}@h")] {
            assert_eq!(parse(&format!("http://{wrong}")), Err(NotAProxy::Credentials), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_being_told_again() {
        for (wrong, why) in [
            ("proxy.example:3128", NotAProxy::Form),
            ("socks4://h", NotAProxy::Scheme),
            ("ftp://asha:sesame@h", NotAProxy::Scheme),
            ("http://", NotAProxy::Form),
            ("http://h:0", NotAProxy::Form),
            ("http://h/path", NotAProxy::More),
            ("socks5://h?x=sesame", NotAProxy::More),
            ("http://h#x", NotAProxy::More),
            ("socks5://a$b", NotAProxy::Host),
        ] {
            assert_eq!(parse(wrong), Err(why), "{wrong}");
            assert!(!why.to_string().contains("sesame"));
        }
    }
}
