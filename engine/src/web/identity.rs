//! What a browser says that it is: the same in the page, in all its workers, and in what they ask of the network.
//!
//! Chromium's headless shell calls itself headless, and WhatsApp turns such a browser away. In the user agent a flag changes that
//! for all. The brands beside it (`navigator.userAgentData`) only DevTools can change, for a page with the workers of its own;
//! shared and service workers are told one by one, before their first script runs.

use std::ffi::OsString;

use chromiumoxide_cdp::cdp::browser_protocol::emulation::{
    SetUserAgentOverrideParams, UserAgentBrandVersion, UserAgentMetadata,
};
use roost_model::BrowserSettings;

/// What can be set of it; the rest is the browser's own, or its machine's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// As `navigator.userAgent`.
    pub user_agent: Option<String>,
    /// As `navigator.languages`, with commas; the first is the one that it is in.
    pub languages: Option<String>,
    /// As the time zone database names it.
    pub time_zone: Option<String>,
}

impl Identity {
    /// A tenant's own where it has set something, and this else.
    pub(super) fn under(&self, own: &BrowserSettings) -> Self {
        let languages = Some(own.languages.join(",")).filter(|languages| !languages.is_empty());
        Self {
            user_agent: own.user_agent.clone().or_else(|| self.user_agent.clone()),
            languages: languages.or_else(|| self.languages.clone()),
            time_zone: own.time_zone.clone().or_else(|| self.time_zone.clone()),
        }
    }

    pub(super) fn flags(&self, user_agent: &str) -> Vec<OsString> {
        let mut flags = vec![OsString::from(format!("--user-agent={user_agent}"))];
        flags.extend(self.languages.iter().map(|languages| format!("--accept-lang={languages}").into()));
        flags
    }

    /// In the way of a page, or a worker.
    pub(super) fn overriding(&self, user_agent: &str) -> SetUserAgentOverrideParams {
        SetUserAgentOverrideParams {
            accept_language: self.languages.clone(),
            user_agent_metadata: version_in(user_agent).map(|(version, major)| brands(version, major)),
            ..SetUserAgentOverrideParams::new(user_agent)
        }
    }

    /// What it is in, as ICU names it.
    pub(super) fn locale(&self) -> Option<String> {
        let first = self.languages.as_deref()?.split(',').next()?;
        Some(first.replace('-', "_"))
    }
}

/// The user agent of a Chromium with a window, of the version that it says it has: it tells the first number of that.
pub(super) fn usual_user_agent(version: &str) -> Option<String> {
    let major = version.split_ascii_whitespace().find_map(|word| {
        let (major, rest) = word.split_once('.')?;
        (rest.starts_with(|c: char| c.is_ascii_digit()) && major.parse::<u32>().is_ok()).then_some(major)
    })?;
    Some(format!(
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{major}.0.0.0 Safari/537.36"
    ))
}

/// Whole, and its first number; none in what is not Chromium's.
fn version_in(user_agent: &str) -> Option<(&str, &str)> {
    let (_, rest) = user_agent.split_once("Chrome/")?;
    let version = rest.split(' ').next()?;
    Some((version, version.split('.').next()?))
}

fn brands(version: &str, major: &str) -> UserAgentMetadata {
    let named = |chromium: &str, other: &str| {
        Some(vec![
            UserAgentBrandVersion::new("Chromium", chromium),
            UserAgentBrandVersion::new("Not:A-Brand", other),
        ])
    };
    UserAgentMetadata {
        brands: named(major, "8"),
        full_version_list: named(version, "8.0.0.0"),
        platform: "Linux".to_owned(),
        platform_version: String::new(),
        architecture: "x86".to_owned(),
        model: String::new(),
        mobile: false,
        bitness: Some("64".to_owned()),
        wow64: Some(false),
        form_factors: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_agent_follows_from_the_version_and_the_brands_from_it() {
        let user_agent = usual_user_agent("Chromium 156.0.8078.108 built on Debian").unwrap();
        assert_eq!(version_in(&user_agent), Some(("156.0.0.0", "156")));
        assert_eq!(usual_user_agent("no version at all."), None);
        let told = Identity::default().overriding(&user_agent).user_agent_metadata.unwrap();
        let brands: Vec<_> = told.brands.unwrap().into_iter().map(|it| (it.brand, it.version)).collect();
        assert_eq!(brands[0], ("Chromium".to_owned(), "156".to_owned()));
        assert!(Identity::default().overriding("Mozilla/5.0 Firefox/1.0").user_agent_metadata.is_none());
    }

    #[test]
    fn what_a_tenant_has_set_comes_before_what_its_node_says() {
        let set = |text: &str| Some(text.to_owned());
        let node = Identity { user_agent: set("node"), languages: set("en"), time_zone: set("UTC") };
        assert_eq!(node.under(&BrowserSettings::default()), node);
        let own = BrowserSettings { languages: vec!["sw-TZ".into(), "sw".into()], ..Default::default() };
        assert_eq!(node.under(&own), Identity { languages: set("sw-TZ,sw"), ..node.clone() });
        let own = BrowserSettings { user_agent: set("own"), time_zone: set("Africa/Nairobi"), ..own };
        let under = Identity::default().under(&own);
        assert_eq!((under.user_agent, under.time_zone), (set("own"), set("Africa/Nairobi")));
    }

    #[test]
    fn the_first_language_is_the_one_that_it_is_in() {
        let identity = Identity { languages: Some("sw-TZ,sw,en".to_owned()), ..Identity::default() };
        assert_eq!(identity.locale().as_deref(), Some("sw_TZ"));
        assert_eq!(identity.flags("x"), ["--user-agent=x", "--accept-lang=sw-TZ,sw,en"]);
        assert_eq!(Identity::default().locale(), None);
    }
}
