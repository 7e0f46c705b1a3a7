//! The proxies of the node's environment, for its browsers: the way out of some networks. Chromium takes them by the
//! variables' usual names, asks none of them for loopback addresses, and knows no passwords in them, so none is handed on.
//!
//! A proxy resolves the names that it is asked for, so what a page reaches through one is for the proxy to say.

use std::ffi::OsString;

use http::uri::Authority;

const VARIABLES: [&str; 6] =
    ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
const EXCEPTIONS: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// What of these a browser is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Proxies {
    pub variables: Vec<(&'static str, OsString)>,
    /// Host and port of each.
    pub places: Vec<String>,
}

impl Proxies {
    pub(super) fn from_environment() -> Self {
        Self::from(|name| std::env::var_os(name))
    }

    fn from(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let mut proxies = Self::default();
        for name in VARIABLES {
            // Of what is not understood nothing is handed on: a password may be in it.
            let value = variable(name).and_then(|value| value.into_string().ok());
            let Some((scheme, place)) = value.as_deref().and_then(parse) else { continue };
            proxies.variables.push((name, format!("{scheme}://{place}").into()));
            if !proxies.places.contains(&place) {
                proxies.places.push(place);
            }
        }
        let exceptions = EXCEPTIONS.iter().filter_map(|name| Some((*name, variable(name)?)));
        proxies.variables.extend(exceptions);
        proxies
    }
}

/// Scheme and place of `[scheme://][user:password@]host[:port][/]`.
fn parse(value: &str) -> Option<(&str, String)> {
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    let implied = match scheme {
        "http" => 80,
        "https" => 443,
        "socks" | "socks4" | "socks5" => 1080,
        _ => return None,
    };
    let authority: Authority = rest.split('/').next()?.parse().ok()?;
    Some((scheme, format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(implied))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_handed_on_without_its_password() {
        let proxies = Proxies::from(|name| match name {
            "http_proxy" => Some("http://asha:sesame@proxy.example:3128/".into()),
            "HTTPS_PROXY" => Some("proxy.example:3128".into()),
            "all_proxy" => Some("socks5://[fd00::1]".into()),
            "ALL_PROXY" => Some("nonsense://asha:sesame@x".into()),
            "no_proxy" => Some("localhost".into()),
            _ => None,
        });
        assert_eq!(
            proxies.variables,
            [
                ("http_proxy", "http://proxy.example:3128".into()),
                ("all_proxy", "socks5://[fd00::1]:1080".into()),
                ("HTTPS_PROXY", "http://proxy.example:3128".into()),
                ("no_proxy", "localhost".into()),
            ] as [(&str, OsString); 4]
        );
        assert_eq!(proxies.places, ["proxy.example:3128", "[fd00::1]:1080"]);
    }
}
