//! What a tenant's browser says that it is: its time zone, its languages and its user agent; and which versions of the page and of the
//! library it is given. A tenant's own come before what its node, or the fleet, has for all; both are checked here.

use icu_locale_core::{LanguageIdentifier, Locale};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Of these a page reads the first few; a list has to end.
pub const LANGUAGES_AT_MOST: usize = 10;
/// In characters.
pub const USER_AGENT_AT_MOST: usize = 512;
pub const VERSION_NAME_AT_MOST: usize = 64;

/// What is not set is what the node says, or else the browser's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BrowserSettings {
    /// As the IANA database names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Tags of BCP 47; the first is the one that it is in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The page that it is given in the place of the site's, by the name of a version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_version: Option<String>,
    /// The library that drives it, in the place of the node's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library_version: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrowserSettingError {
    #[error("{0:?} is no time zone of the IANA database, such as Africa/Dar_es_Salaam")]
    TimeZone(String),
    #[error("{0:?} is no language tag of BCP 47, such as sw-TZ")]
    Language(String),
    #[error("has {0} languages, 1 to {LANGUAGES_AT_MOST} are allowed")]
    Languages(usize),
    #[error("has {0} characters, 1 to {USER_AGENT_AT_MOST} are allowed")]
    UserAgentLength(usize),
    #[error("has to be one line of printable ASCII, for it is a header of HTTP")]
    UserAgentText,
    #[error("says that the browser is headless, and WhatsApp turns such a one away; leave that word out")]
    UserAgentHeadless,
    #[error(
        "{0:?} is no name of a version: 1 to {VERSION_NAME_AT_MOST} letters, digits and . _ + -, the first a letter or a digit"
    )]
    VersionName(String),
}

/// As the database spells it: a browser takes a name that it does not know for UTC.
pub fn check_time_zone(given: &str) -> Result<(), BrowserSettingError> {
    let is_known = TimeZone::get(given).is_ok_and(|zone| zone.iana_name() == Some(given));
    if is_known { Ok(()) } else { Err(BrowserSettingError::TimeZone(shown(given))) }
}

pub fn check_languages(given: &[String]) -> Result<(), BrowserSettingError> {
    if given.is_empty() || given.len() > LANGUAGES_AT_MOST {
        return Err(BrowserSettingError::Languages(given.len()));
    }
    // The longest that anybody has need of; with extensions there is no end to them.
    let is_tag = |tag: &str| tag.len() <= 35 && !tag.contains('_') && is_language(tag);
    match given.iter().find(|tag| !is_tag(tag)) {
        Some(wrong) => Err(BrowserSettingError::Language(shown(wrong))),
        None => Ok(()),
    }
}

fn is_language(tag: &str) -> bool {
    let locale = Locale::try_from_str(tag);
    locale.is_ok_and(|locale| locale.id != LanguageIdentifier::UNKNOWN)
}

pub fn check_user_agent(given: &str) -> Result<(), BrowserSettingError> {
    let length = given.chars().count();
    if length == 0 || length > USER_AGENT_AT_MOST {
        return Err(BrowserSettingError::UserAgentLength(length));
    }
    if given.trim().is_empty() || !given.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(BrowserSettingError::UserAgentText);
    }
    if given.to_ascii_lowercase().contains("headlesschrome") {
        return Err(BrowserSettingError::UserAgentHeadless);
    }
    Ok(())
}

/// The name of a page's or a library's version.
pub fn check_version_name(given: &str) -> Result<(), BrowserSettingError> {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
    let begins = given.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    if begins && given.len() <= VERSION_NAME_AT_MOST && given.bytes().all(is_usual) {
        Ok(())
    } else {
        Err(BrowserSettingError::VersionName(shown(given)))
    }
}

fn shown(given: &str) -> String {
    given.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_zone_is_one_of_the_database_as_it_is_spelt_there() {
        for known in ["Africa/Dar_es_Salaam", "UTC", "America/Argentina/Buenos_Aires"] {
            assert_eq!(check_time_zone(known), Ok(()), "{known}");
        }
        for wrong in ["", "Now here", "Dar_es_Salaam", "africa/nairobi", "+03:00", "../../etc/passwd", "EAT"]
        {
            assert_eq!(check_time_zone(wrong), Err(BrowserSettingError::TimeZone(wrong.into())));
        }
    }

    #[test]
    fn languages_are_tags_of_which_there_are_ten_at_most() {
        let check =
            |given: &[&str]| check_languages(&given.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>());
        assert_eq!(check(&["sw-TZ", "sw", "en", "zh-Hant-TW", "es-419"]), Ok(()));
        for wrong in ["", "sw_TZ", "swahili-TZ!", "s", "sw TZ", "sw,en", "und", "en\r\nX: y"] {
            assert_eq!(check(&["en", wrong]), Err(BrowserSettingError::Language(wrong.into())), "{wrong:?}");
        }
        assert_eq!(check(&[]), Err(BrowserSettingError::Languages(0)));
        assert_eq!(check(&["en"; 11]), Err(BrowserSettingError::Languages(11)));
    }

    #[test]
    fn the_name_of_a_version_is_one_word() {
        for name in ["2.3000.1048032155-alpha", "4.6.0", "a", &"v".repeat(64)] {
            assert_eq!(check_version_name(name), Ok(()), "{name}");
        }
        for wrong in ["", ".1", "a b", "ä", "a/b", &"v".repeat(65)] {
            assert!(check_version_name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_user_agent_is_a_line_that_does_not_say_headless() {
        assert_eq!(check_user_agent("Mozilla/5.0 (X11; Linux x86_64) Chrome/150.0.0.0"), Ok(()));
        assert_eq!(check_user_agent(&"a".repeat(512)), Ok(()));
        for length in [0, 513] {
            let refused = Err(BrowserSettingError::UserAgentLength(length));
            assert_eq!(check_user_agent(&"a".repeat(length)), refused);
        }
        for text in ["a\nb", " ", "a\u{e9}", "a\0"] {
            assert_eq!(check_user_agent(text), Err(BrowserSettingError::UserAgentText), "{text:?}");
        }
        let headless = check_user_agent("Mozilla/5.0 HeadlessChrome/150.0.0.0");
        assert_eq!(headless, Err(BrowserSettingError::UserAgentHeadless));
    }
}
