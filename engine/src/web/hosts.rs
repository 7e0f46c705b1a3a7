//! What a browser can reach: the site that it is for, and nothing else of the network that its node is in. A page that was
//! taken over could else speak to what listens there and trusts its neighbours: etcd, for one, or a cloud's metadata.
//!
//! The browser's own resolver is told so, by `--host-resolver-rules`: it is asked about every connection that a page causes,
//! whatever causes it, and about addresses as about names. The first rule that fits counts; an exclusion goes before all. What
//! it is not asked about is UDP of WebRTC, which a flag of its own turns off, and what a proxy resolves (see
//! [`super::proxies`]).

use std::{fmt, str::FromStr};

use http::Uri;

use super::proxies::Proxies;

/// The address of the site's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageUrl {
    url: String,
    is_https: bool,
    /// An IPv6 address has its brackets.
    host: String,
    port: u16,
    path: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not an http or https address")]
pub struct NotAPageUrl {
    given: String,
}

impl FromStr for PageUrl {
    type Err = NotAPageUrl;

    fn from_str(given: &str) -> Result<Self, NotAPageUrl> {
        let refused = || NotAPageUrl { given: given.to_owned() };
        let uri: Uri = given.parse().map_err(|_| refused())?;
        let is_https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(refused()),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(refused)?;
        let port = uri.port_u16().unwrap_or(usual_port(is_https));
        let (host, path) = (host.to_ascii_lowercase(), uri.path().to_owned());
        Ok(Self { url: given.to_owned(), is_https, host, port, path })
    }
}

impl PageUrl {
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// To what of a browser the page's own databases belong, as `https://web.whatsapp.com`.
    pub fn origin(&self) -> String {
        let port = self.own_port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}", self.scheme(), self.host)
    }

    /// Whether this is the address of the page's document, whatever is asked of it.
    pub(super) fn is_of_document(&self, url: &str) -> bool {
        let place = |page: &Self| (page.is_https, page.host.clone(), page.port, page.path.clone());
        url.parse().is_ok_and(|asked| place(&asked) == place(self))
    }

    /// How Chromium names the databases of that origin on disk, before `.indexeddb.leveldb`.
    pub fn database(&self) -> String {
        let host = self.host.replace(':', "_");
        format!("{}_{host}_{}", self.scheme(), self.own_port().unwrap_or(0))
    }

    fn scheme(&self) -> &'static str {
        if self.is_https { "https" } else { "http" }
    }

    /// If it is not the scheme's.
    fn own_port(&self) -> Option<u16> {
        Some(self.port).filter(|port| *port != usual_port(self.is_https))
    }

    /// An IPv6 address has its brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// What a browser of this process's environment may connect to for the page, each as `host:port`: the page's own
    /// place and the proxies'.
    pub fn ways_there(&self) -> Vec<String> {
        let own = format!("{}:{}", self.host, self.port);
        std::iter::once(own).chain(Proxies::from_environment().places).collect()
    }
}

fn usual_port(is_https: bool) -> u16 {
    if is_https { 443 } else { 80 }
}

/// A host's name, and all names beneath it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not the name of a host, like static.example.com")]
pub struct NotADomain {
    given: String,
}

impl FromStr for Domain {
    type Err = NotADomain;

    /// Strict, for it becomes part of a rule.
    fn from_str(given: &str) -> Result<Self, NotADomain> {
        let is_label = |label: &str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            !label.is_empty() && label.len() <= 63 && label.bytes().all(is_plain)
        };
        if given.split('.').all(is_label) {
            Ok(Self(given.to_ascii_lowercase()))
        } else {
            Err(NotADomain { given: given.to_owned() })
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The site that is known: a page at or beneath the first of these needs all of them (scripts and pictures come from
/// `static.whatsapp.net`, media from `mmg.whatsapp.net`).
const WHATSAPP: [&str; 2] = ["whatsapp.com", "whatsapp.net"];

/// The value of `--host-resolver-rules` for this page. Of its own host the page's port alone is open: on the loopback of a
/// test, or behind the address of a gateway, other services have the other ports.
pub(super) fn resolver_rules(page: &PageUrl, more: &[Domain], proxies: &[String]) -> String {
    let own = format!("{}:{}", page.host, page.port);
    let open = domains(page, more).map(|domain| format!("EXCLUDE {domain}, EXCLUDE *.{domain}"));
    let direct = std::iter::once(&own).chain(proxies).map(|place| format!("MAP {place} {place}"));
    let rules: Vec<_> = open.chain(direct).chain(["MAP * ~NOTFOUND".to_owned()]).collect();
    rules.join(", ")
}

/// The same value for a browser that goes by a proxy of its tenant's own: nothing can be resolved but the place where that begins.
pub(super) fn forwarded_rules(place: &str) -> String {
    format!("MAP {place} {place}, MAP * ~NOTFOUND")
}

/// What is open with all beneath it.
fn domains<'a>(page: &PageUrl, more: &'a [Domain]) -> impl Iterator<Item = &'a str> {
    let is_whatsapp = is_beneath(&page.host, WHATSAPP[0]);
    let known = WHATSAPP.into_iter().filter(move |_| is_whatsapp);
    known.chain(more.iter().map(|domain| domain.0.as_str()))
}

/// What a browser reaches by its tenant's own proxy: the same as its resolver's rules say of one without.
#[derive(Debug, Clone)]
pub(super) struct Site {
    page: PageUrl,
    domains: Vec<String>,
}

impl Site {
    pub(super) fn new(page: &PageUrl, more: &[Domain]) -> Self {
        Self { page: page.clone(), domains: domains(page, more).map(str::to_owned).collect() }
    }

    pub(super) fn has(&self, host: &str, port: u16) -> bool {
        let host = host.to_ascii_lowercase();
        // A name that is none could be more than a name to whoever is told it.
        let is_open =
            || host.parse::<Domain>().is_ok() && self.domains.iter().any(|it| is_beneath(&host, it));
        (host == self.page.host && port == self.page.port) || is_open()
    }
}

fn is_beneath(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(page: &str, more: &[&str]) -> String {
        let more: Vec<Domain> = more.iter().map(|domain| domain.parse().unwrap()).collect();
        resolver_rules(&page.parse().unwrap(), &more, &[])
    }

    #[test]
    fn the_real_site_reaches_its_two_domains_and_another_page_its_own_port_alone() {
        assert_eq!(
            rules("https://web.whatsapp.com", &[]),
            "EXCLUDE whatsapp.com, EXCLUDE *.whatsapp.com, EXCLUDE whatsapp.net, EXCLUDE *.whatsapp.net, \
             MAP web.whatsapp.com:443 web.whatsapp.com:443, MAP * ~NOTFOUND"
        );
        assert_eq!(
            rules("http://127.0.0.1:8080/?x", &[]),
            "MAP 127.0.0.1:8080 127.0.0.1:8080, MAP * ~NOTFOUND"
        );
        assert_eq!(rules("http://[::1]:8080", &[]), "MAP [::1]:8080 [::1]:8080, MAP * ~NOTFOUND");
        // Whoever owns that name is not WhatsApp.
        assert_eq!(
            rules("https://notwhatsapp.com", &["cdn.example"]),
            "EXCLUDE cdn.example, EXCLUDE *.cdn.example, MAP notwhatsapp.com:443 notwhatsapp.com:443, MAP * ~NOTFOUND"
        );
    }

    #[test]
    fn the_databases_of_a_page_are_named_as_chromium_names_them() {
        for (page, origin, database) in [
            ("https://web.whatsapp.com", "https://web.whatsapp.com", "https_web.whatsapp.com_0"),
            ("https://Web.WhatsApp.com:443/?x=1", "https://web.whatsapp.com", "https_web.whatsapp.com_0"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080", "http_127.0.0.1_8080"),
            ("https://x.example:80", "https://x.example:80", "https_x.example_80"),
            ("http://[::1]:8080", "http://[::1]:8080", "http_[__1]_8080"),
        ] {
            let page: PageUrl = page.parse().unwrap();
            assert_eq!((page.origin().as_str(), page.database().as_str()), (origin, database));
        }
    }

    #[test]
    fn by_a_proxy_the_same_hosts_are_reached() {
        let site = |page: &str, more: &str| Site::new(&page.parse().unwrap(), &[more.parse().unwrap()]);
        let whatsapp = site("https://web.whatsapp.com", "cdn.example");
        for (host, port) in [("web.whatsapp.com", 443), ("MMG.whatsapp.net", 5222), ("a.cdn.example", 443)] {
            assert!(whatsapp.has(host, port), "{host}");
        }
        for host in ["evilwhatsapp.com", "127.0.0.1", "[::1]", "x\r\ny.whatsapp.com", "localhost", "", "."] {
            assert!(!whatsapp.has(host, 443), "{host:?}");
        }
        let own = site("http://[::1]:8080", "cdn.example");
        assert!(own.has("[::1]", 8080) && !own.has("[::1]", 2379) && !own.has("whatsapp.com", 443));
    }

    #[test]
    fn what_is_no_host_cannot_become_a_rule() {
        for given in ["", ".", "*", "a b", "a,MAP * b", "example.com:80", "*.example.com", "a..b", "[::1]"] {
            assert!(given.parse::<Domain>().is_err(), "{given:?}");
        }
        for given in ["web.whatsapp.com", "ftp://x", "http://", "http:///path", "https://a b"] {
            assert!(given.parse::<PageUrl>().is_err(), "{given:?}");
        }
    }
}
