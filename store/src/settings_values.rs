//! Settings of tenants as a change of many keeps them: by their paths, as the columns hold them. A path is a column, or an entry of
//! one as `labels.NAME`, `texts.greeting` or `timing.stale_after`; null is no entry, and the default of a column that may lack a value.

use std::{collections::BTreeMap, collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    FieldChange, LabelPatch, TenantPatch,
    columns::{bytes_to_column, limit_to_column, seconds_to_column},
    declarations::cut,
};

/// Values by their paths. With a proxy's credentials: what may be told of them is [`SettingsValues::told`].
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SettingsValues(BTreeMap<String, Value>);

impl SettingsValues {
    /// What the patch sets, but for a phone, which is of one tenant. Of texts, browser and timing only the `entries`, as `texts.greeting`.
    pub fn new(patch: &TenantPatch, entries: &BTreeSet<String>) -> Self {
        let mut values = Self::default();
        values.put("display_name", &patch.display_name);
        values.put("template", &patch.template);
        values.put("language", &patch.language);
        values.put("reply_limit_per_minute", &patch.reply_limit_per_minute.map(limit_to_column));
        values.put("answer_within_s", &patch.answer_within.map(seconds_to_column));
        values.put("resend_policy", &patch.resend_policy);
        values.put("qr_rotations", &patch.qr_rotations.map(|codes| codes.map(limit_to_column)));
        values.put("log_level", &patch.log_level);
        let limits = &patch.limits;
        values.put("memory_request_bytes", &limits.memory_request_bytes.map(|it| it.map(bytes_to_column)));
        values.put("memory_limit_bytes", &limits.memory_limit_bytes.map(|it| it.map(bytes_to_column)));
        values.put("cpu_limit_millicores", &limits.cpu_limit_millicores.map(|it| it.map(limit_to_column)));
        values.put("process_limit", &limits.process_limit.map(|it| it.map(limit_to_column)));
        if let Some(schedule) = &patch.restart_schedule {
            let schedule = schedule.as_ref();
            values.set("restart_cron", json!(schedule.map(|schedule| &schedule.cron)));
            values.set("restart_time_zone", json!(schedule.map(|schedule| &schedule.time_zone)));
            let jitter = schedule.map(|schedule| seconds_to_column(schedule.jitter));
            values.set("restart_jitter_s", json!(jitter));
        }
        if let Some(proxy) = &patch.proxy {
            let login = proxy.as_ref().and_then(|proxy| proxy.login.as_ref());
            values.set("proxy", json!(proxy.as_ref().map(|proxy| proxy.place.to_string())));
            values.set("proxy_user", json!(login.map(|login| &login.user)));
            values.set("proxy_password", json!(login.map(|login| &login.password)));
        }
        values.put_entries("texts", &patch.texts, entries);
        values.put_entries("browser", &patch.browser, entries);
        values.put_entries("timing", &patch.timing, entries);
        values.put_labels("labels", &patch.labels);
        values.put_labels("metadata", &patch.metadata);
        values
    }

    /// Each as people read it; of a proxy's credentials only whether there are some.
    pub fn told(&self) -> Vec<(String, String)> {
        self.0.iter().filter_map(|(path, value)| told(path, value)).collect()
    }

    /// From these, of the same paths, to those.
    pub(crate) fn changes_to(&self, after: &Self) -> Vec<FieldChange> {
        let before: BTreeMap<String, String> = self.told().into_iter().collect();
        let change = |(path, after): (String, String)| {
            let before = before.get(&path).cloned().unwrap_or_default();
            FieldChange { path, before, after }
        };
        after.told().into_iter().map(change).collect()
    }

    fn put(&mut self, path: &str, value: &Option<impl Serialize>) {
        if let Some(value) = value {
            self.set(path, json!(value));
        }
    }

    fn put_entries(&mut self, field: &str, value: &Option<impl Serialize>, entries: &BTreeSet<String>) {
        let Some(value) = value.as_ref().map(|value| json!(value)) else { return };
        for path in entries {
            if let Some((_, name)) = path.split_once('.').filter(|(of, _)| *of == field) {
                // What is not set is not written either.
                self.set(path, value.get(name).cloned().unwrap_or_default());
            }
        }
    }

    fn put_labels(&mut self, field: &str, patch: &LabelPatch) {
        patch.set.iter().for_each(|(name, value)| self.set(&format!("{field}.{name}"), json!(value)));
        patch.remove.iter().for_each(|name| self.set(&format!("{field}.{name}"), Value::Null));
    }

    fn set(&mut self, path: &str, value: Value) {
        self.0.insert(path.to_owned(), value);
    }
}

impl std::fmt::Debug for SettingsValues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.told()).finish()
    }
}

/// A path and its value as the API calls and people read them.
fn told(path: &str, value: &Value) -> Option<(String, String)> {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(item).collect::<Vec<_>>().join(","),
        Value::Object(_) => span(value).map_or_else(|| value.to_string(), |span| format!("{span:?}")),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    };
    let seconds = |text: String| if text.is_empty() { text } else { format!("{text}s") };
    let (path, text) = match path {
        "proxy_password" => return None,
        "proxy_user" if value.is_null() => ("proxy.credentials", String::new()),
        "proxy_user" => ("proxy.credentials", "given".to_owned()),
        "answer_within_s" => ("answer_within", seconds(text)),
        "restart_cron" => ("restart_schedule.cron", text),
        "restart_time_zone" => ("restart_schedule.time_zone", text),
        "restart_jitter_s" => ("restart_schedule.jitter", seconds(text)),
        "template" | "language" | "resend_policy" | "log_level" => (path, text.to_lowercase()),
        _ => (path, text),
    };
    Some((path.to_owned(), cut(text)))
}

/// A language's tag, or an item of a menu by its title.
fn item(item: &Value) -> String {
    let title = item.get("title").unwrap_or(item);
    title.as_str().map_or_else(|| title.to_string(), str::to_owned)
}

fn span(value: &Value) -> Option<Duration> {
    serde_json::from_value(value.clone()).ok()
}

#[cfg(test)]
mod tests {
    use roost_model::{BrowserSettings, LogLevel, RestartSchedule, Texts, TimingOverrides};

    use super::*;
    use crate::LimitsPatch;

    fn patch() -> TenantPatch {
        TenantPatch {
            reply_limit_per_minute: Some(20),
            answer_within: Some(Duration::from_secs(60)),
            log_level: Some(Some(LogLevel::Debug)),
            qr_rotations: Some(None),
            limits: LimitsPatch { memory_limit_bytes: Some(Some(1 << 30)), ..LimitsPatch::default() },
            restart_schedule: Some(Some(RestartSchedule {
                cron: "0 4 * * *".into(),
                time_zone: "UTC".into(),
                jitter: Duration::from_secs(600),
            })),
            proxy: Some(Some("http://asha:sesame@proxy.example:3128".parse().unwrap())),
            texts: Some(Texts { greeting: "Karibu".into(), fallback: "?".into(), ..Texts::default() }),
            browser: Some(BrowserSettings { languages: vec!["sw".into()], ..BrowserSettings::default() }),
            timing: Some(TimingOverrides {
                stop_grace: Some(Duration::from_millis(1_500)),
                ..Default::default()
            }),
            labels: LabelPatch {
                set: [("tier.eu".to_owned(), "gold".to_owned())].into(),
                remove: vec!["trial".into()],
                ..LabelPatch::default()
            },
            ..TenantPatch::default()
        }
    }

    fn values() -> SettingsValues {
        let entries = ["texts.greeting", "browser.languages", "timing.stop_grace", "timing.max_crashes"];
        SettingsValues::new(&patch(), &entries.map(str::to_owned).into())
    }

    #[test]
    fn a_patch_is_kept_as_the_columns_hold_it_and_of_a_field_with_entries_only_those_that_are_named() {
        let expected = json!({
            "reply_limit_per_minute": 20, "answer_within_s": 60, "log_level": "DEBUG", "qr_rotations": null,
            "memory_limit_bytes": 1_073_741_824, "restart_cron": "0 4 * * *", "restart_time_zone": "UTC",
            "restart_jitter_s": 600, "proxy": "http://proxy.example:3128", "proxy_user": "asha",
            "proxy_password": "sesame", "texts.greeting": "Karibu", "browser.languages": ["sw"],
            "timing.stop_grace": {"secs": 1, "nanos": 500_000_000}, "timing.max_crashes": null,
            "labels.tier.eu": "gold", "labels.trial": null,
        });
        assert_eq!(json!(values()), expected);
    }

    #[test]
    fn what_is_told_is_for_people_and_has_no_credentials() {
        let told = values().told();
        let told: Vec<String> = told.iter().map(|(path, value)| format!("{path}={value}")).collect();
        assert_eq!(
            told,
            [
                "answer_within=60s",
                "browser.languages=sw",
                "labels.tier.eu=gold",
                "labels.trial=",
                "log_level=debug",
                "memory_limit_bytes=1073741824",
                "proxy=http://proxy.example:3128",
                "proxy.credentials=given",
                "qr_rotations=",
                "reply_limit_per_minute=20",
                "restart_schedule.cron=0 4 * * *",
                "restart_schedule.jitter=600s",
                "restart_schedule.time_zone=UTC",
                "texts.greeting=Karibu",
                "timing.max_crashes=",
                "timing.stop_grace=1.5s",
            ]
        );
        assert!(!format!("{:?}", values()).contains("sesame"));
    }

    #[test]
    fn a_change_is_told_from_which_value_to_which() {
        let of = |limit| SettingsValues([("reply_limit_per_minute".to_owned(), limit)].into());
        let change = of(json!(10)).changes_to(&of(json!(20)));
        assert_eq!(
            change,
            [FieldChange { path: "reply_limit_per_minute".into(), before: "10".into(), after: "20".into() }]
        );
    }
}
