//! The options that say what a tenant's browser is.

use roost_proto::v1::BrowserSettings;

/// What is given as '' is the node's again.
#[derive(Debug, clap::Args)]
pub struct BrowserArgs {
    /// The time zone of its browser, such as Africa/Dar_es_Salaam; '' takes it back. Counts from the browser's next start.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// The languages of its browser, the first of them its own, such as sw-TZ,sw,en; '' takes them back. From its next start.
    #[arg(long, value_name = "TAGS")]
    languages: Option<String>,
    /// The user agent of its browser; '' takes it back. From its next start.
    #[arg(long, value_name = "TEXT")]
    user_agent: Option<String>,
    /// The version of the page that its browser is given, see `roost version`; '' is the fleet's. From its next start.
    #[arg(long, value_name = "VERSION")]
    page_version: Option<String>,
    /// The version of the library that drives it; '' is the fleet's. From its browser's next start.
    #[arg(long, value_name = "VERSION")]
    library_version: Option<String>,
}

impl BrowserArgs {
    /// As an update of many names them, and whether each is given.
    pub fn paths(&self) -> [(&'static str, bool); 5] {
        [
            ("browser.time_zone", self.time_zone.is_some()),
            ("browser.languages", self.languages.is_some()),
            ("browser.user_agent", self.user_agent.is_some()),
            ("browser.page_version", self.page_version.is_some()),
            ("browser.library_version", self.library_version.is_some()),
        ]
    }

    /// What is given over what there is.
    pub fn over(self, present: Option<BrowserSettings>) -> Option<BrowserSettings> {
        let present = present.unwrap_or_default();
        let settings = BrowserSettings {
            time_zone: self.time_zone.unwrap_or(present.time_zone),
            languages: self.languages.map_or(present.languages, |given| tags(&given)),
            user_agent: self.user_agent.unwrap_or(present.user_agent),
            page_version: self.page_version.unwrap_or(present.page_version),
            library_version: self.library_version.unwrap_or(present.library_version),
        };
        Some(settings).filter(|settings| *settings != BrowserSettings::default())
    }
}

/// An empty one between commas is the API's to refuse.
fn tags(given: &str) -> Vec<String> {
    if given.is_empty() { Vec::new() } else { given.split(',').map(|tag| tag.trim().to_owned()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_stays_and_what_is_empty_is_taken_back() {
        let args = |time_zone: Option<&str>, languages: Option<&str>| BrowserArgs {
            time_zone: time_zone.map(Into::into),
            languages: languages.map(Into::into),
            user_agent: None,
            page_version: None,
            library_version: None,
        };
        let set = args(Some("Africa/Nairobi"), Some("sw-TZ, sw")).over(None);
        let kept = set.clone().unwrap();
        assert_eq!(
            (kept.time_zone.as_str(), kept.languages),
            ("Africa/Nairobi", vec!["sw-TZ".into(), "sw".to_owned()])
        );
        let less = args(None, Some("")).over(set).unwrap();
        assert_eq!((less.time_zone.as_str(), less.languages.len()), ("Africa/Nairobi", 0));
        assert_eq!(args(Some(""), None).over(Some(less)), None, "nothing is left");
        assert_eq!(tags("sw,,en"), ["sw", "", "en"]);
    }
}
