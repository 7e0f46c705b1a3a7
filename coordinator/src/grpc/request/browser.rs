//! What a tenant's browser is to say that it is, as it comes in: each of its fields is named when it is wrong.

use roost_model::{
    BrowserSettings,
    browser::{check_languages, check_time_zone, check_user_agent, check_version_name},
};
use roost_proto::v1;

use super::Checks;

/// What is empty is not set.
pub(super) fn browser_settings(
    checks: &mut Checks,
    given: Option<v1::BrowserSettings>,
) -> Option<BrowserSettings> {
    let v1::BrowserSettings { time_zone, languages, user_agent, page_version, library_version } =
        given.unwrap_or_default();
    let [time_zone, user_agent, page_version, library_version] =
        [time_zone, user_agent, page_version, library_version]
            .map(|text| Some(text).filter(|it| !it.is_empty()));
    let version = |name: &Option<String>| name.as_deref().map_or(Ok(()), check_version_name);
    let checked = [
        ("time_zone", time_zone.as_deref().map_or(Ok(()), check_time_zone)),
        ("languages", if languages.is_empty() { Ok(()) } else { check_languages(&languages) }),
        ("user_agent", user_agent.as_deref().map_or(Ok(()), check_user_agent)),
        ("page_version", version(&page_version)),
        ("library_version", version(&library_version)),
    ];
    // Every field is checked, also after one that is wrong.
    let passed = checked.map(|(field, checked)| {
        checks.take(&format!("tenant.browser.{field}"), checked.map_err(|error| error.to_string())).is_some()
    });
    passed.iter().all(|passed| *passed).then_some(BrowserSettings {
        time_zone,
        languages,
        user_agent,
        page_version,
        library_version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_field_is_named_and_what_is_empty_is_not_set() {
        let mut checks = Checks::default();
        assert_eq!(browser_settings(&mut checks, None), Some(BrowserSettings::default()));
        let given = v1::BrowserSettings {
            time_zone: "Africa/Dar_es_Salaam".into(),
            languages: vec!["sw-TZ".into(), "sw".into()],
            user_agent: "Mozilla/5.0".into(),
            page_version: "2.3000.1".into(),
            ..v1::BrowserSettings::default()
        };
        let set = browser_settings(&mut checks, Some(given)).unwrap();
        assert_eq!((set.time_zone.as_deref(), set.languages.len()), (Some("Africa/Dar_es_Salaam"), 2));
        assert!(checks.passed());

        let wrong = v1::BrowserSettings {
            time_zone: "Dar".into(),
            languages: vec!["sw_TZ".into()],
            user_agent: "HeadlessChrome/150".into(),
            page_version: "../x".into(),
            library_version: "a b".into(),
        };
        assert_eq!(browser_settings(&mut checks, Some(wrong)), None);
        let refused = checks.refusal();
        let fields: Vec<_> = refused.violations.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(
            fields,
            ["time_zone", "languages", "user_agent", "page_version", "library_version"]
                .map(|field| format!("tenant.browser.{field}"))
        );
        assert!(refused.message.contains("such as Africa/Dar_es_Salaam"), "{}", refused.message);
    }
}
