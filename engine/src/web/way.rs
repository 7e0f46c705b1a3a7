//! The way by which a browser goes to its site: by itself, by a proxy of its node's environment, or by its tenant's own. By
//! the last it goes alone: the site's names are nothing to its resolver, so what the proxy does not take has no other way.

use std::ffi::OsString;

use roost_model::Proxy;

use super::forwarder::Forwarder;
use super::hosts::{Domain, PageUrl, Site, forwarded_rules, resolver_rules};
use super::proxies::Proxies;
use super::upstream;
use crate::EngineError;

pub(super) struct Way {
    pub flags: Vec<OsString>,
    pub environment: Vec<(&'static str, OsString)>,
    /// Kept as long as the browser.
    pub forwarder: Option<Forwarder>,
}

impl Way {
    pub(super) async fn of(
        page_url: &PageUrl,
        page_hosts: &[Domain],
        own: Option<&Proxy>,
    ) -> Result<Self, EngineError> {
        let Some(own) = own else {
            let proxies = Proxies::from_environment();
            let rules = resolver_rules(page_url, page_hosts, &proxies.places);
            let flags = vec![rules_flag(&rules)];
            return Ok(Self { flags, environment: proxies.variables, forwarder: None });
        };
        let forwarder = Forwarder::open(own.clone(), Site::new(page_url, page_hosts)).await;
        let step = "opening the way to the tenant's proxy";
        let forwarder = forwarder.map_err(|source| EngineError::Process { step, source })?;
        let place = forwarder.place();
        let flags = vec![
            rules_flag(&forwarded_rules(&place)),
            format!("--proxy-server=socks5://{place}").into(),
            // Without this loopback is asked for directly.
            "--proxy-bypass-list=<-loopback>".into(),
        ];
        Ok(Self { flags, environment: Vec::new(), forwarder: Some(forwarder) })
    }
}

fn rules_flag(rules: &str) -> OsString {
    format!("--host-resolver-rules={rules}").into()
}

/// Whether the tenant's own proxy, if it has one, takes a connection to the site.
pub(super) async fn check(page: &PageUrl, own: Option<&Proxy>) -> Result<(), EngineError> {
    let Some(own) = own else { return Ok(()) };
    let connected = upstream::connect(own, page.host(), page.port()).await;
    connected.map(drop).map_err(|problem| EngineError::Proxy { proxy: own.place.to_string(), problem })
}
