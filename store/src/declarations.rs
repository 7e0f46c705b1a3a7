//! What a tenant is declared to be, and what that changes of the tenant that there is. Pure: [`crate::apply`] reads, asks here,
//! and writes.
//!
//! ```text
//!   named by this apply                        is as declared
//!   named by the apply before, not by this     is its default again (display_name and phone, which have none, stay)
//!   never named by an apply                    stays: it is the operators'
//! ```

use std::{collections::BTreeSet, fmt::Debug, time::Duration};

use roost_model::{
    BrowserSettings, DEFAULT_ANSWER_WITHIN, DEFAULT_LANGUAGE, DEFAULT_REPLY_LIMIT, DEFAULT_TEMPLATE, Proxy,
    ProxyPlace, ResourceLimits, RestartSchedule, Texts, TimingOverrides, ids::TenantId,
};

use crate::{DesiredState, LabelPatch, Labels, LimitsPatch, NewTenant, Tenant, TenantPatch};

/// As much of a value as is told, in characters.
const VALUE_CHARS: usize = 80;

#[derive(Debug, Clone)]
pub struct TenantDeclaration {
    pub id: TenantId,
    /// The fields that are declared, with the values that they are to have.
    pub values: TenantPatch,
    /// Their paths, and those of labels and metadata entry by entry.
    pub fields: BTreeSet<String>,
    /// It has this proxy already, with credentials that are not told.
    pub kept_proxy: Option<ProxyPlace>,
    /// None leaves it as it is.
    pub desired: Option<DesiredState>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedTenant {
    pub id: TenantId,
    pub change: TenantChange,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantChange {
    Unchanged,
    /// Only which fields are declared.
    Noted,
    Created,
    Changed(Vec<FieldChange>),
    Deleted,
}

/// A field's values as people read them; empty where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    pub path: String,
    pub before: String,
    pub after: String,
}

/// Why a declaration cannot be carried out as things are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedField {
    /// Of the declaration.
    pub index: usize,
    pub field: &'static str,
    pub problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// There is no such tenant yet, and one is not made without it.
    NeededByNew,
    /// It is another tenant's.
    TakenBy(TenantId),
    /// What is left of a tenant that had this id is still being removed.
    BeingDeleted,
    /// Credentials are to be kept, and the tenant has none at this proxy.
    NothingKept,
}

/// What there is of a declared tenant.
pub(crate) struct Standing {
    pub tenant: Tenant,
    /// With its credentials, to tell whether it is as declared.
    pub proxy: Option<Proxy>,
    pub desired: DesiredState,
    pub applied_fields: BTreeSet<String>,
}

impl TenantDeclaration {
    /// Whether the credentials that are to be kept are there, at the proxy that this tenant has.
    pub(crate) fn keeps_what_there_is(&self, proxy: Option<&Proxy>) -> bool {
        let is_there =
            |place: &ProxyPlace| proxy.is_some_and(|proxy| proxy.place == *place && proxy.login.is_some());
        self.kept_proxy.as_ref().is_none_or(is_there)
    }

    /// The tenant to make, or the fields that it lacks.
    pub(crate) fn to_new(&self) -> Result<NewTenant, Vec<&'static str>> {
        let values = &self.values;
        let (Some(display_name), Some(phone)) = (values.display_name.clone(), values.phone.clone()) else {
            let needed = [("display_name", values.display_name.is_none()), ("phone", values.phone.is_none())];
            return Err(needed.into_iter().filter(|(_, lacks)| *lacks).map(|(field, _)| field).collect());
        };
        Ok(NewTenant {
            id: self.id.clone(),
            display_name,
            phone,
            template: values.template.unwrap_or(DEFAULT_TEMPLATE),
            language: values.language.unwrap_or(DEFAULT_LANGUAGE),
            texts: values.texts.clone().unwrap_or_default(),
            reply_limit_per_minute: values.reply_limit_per_minute.unwrap_or(DEFAULT_REPLY_LIMIT),
            answer_within: values.answer_within.unwrap_or(DEFAULT_ANSWER_WITHIN),
            resend_policy: values.resend_policy.unwrap_or_default(),
            restart_schedule: values.restart_schedule.clone().flatten(),
            limits: values.limits.of_new(),
            qr_rotations: values.qr_rotations.flatten(),
            browser: values.browser.clone().unwrap_or_default(),
            proxy: values.proxy.clone().flatten(),
            timing: values.timing.unwrap_or_default(),
            log_level: values.log_level.flatten(),
            labels: values.labels.set.clone(),
            metadata: values.metadata.set.clone(),
        })
    }

    /// The declared values, and the defaults of what the apply before has declared and this one does not.
    pub(crate) fn patch_over(&self, applied_before: &BTreeSet<String>) -> TenantPatch {
        let mut patch = self.values.clone();
        for path in applied_before.difference(&self.fields) {
            match (path.as_str(), path.split_once('.')) {
                ("template", _) => patch.template = Some(DEFAULT_TEMPLATE),
                ("language", _) => patch.language = Some(DEFAULT_LANGUAGE),
                ("texts", _) => patch.texts = Some(Texts::default()),
                ("reply_limit_per_minute", _) => patch.reply_limit_per_minute = Some(DEFAULT_REPLY_LIMIT),
                ("answer_within", _) => patch.answer_within = Some(DEFAULT_ANSWER_WITHIN),
                ("resend_policy", _) => patch.resend_policy = Some(Default::default()),
                ("restart_schedule", _) => patch.restart_schedule = Some(None),
                ("memory_request_bytes", _) => patch.limits.memory_request_bytes = Some(None),
                ("memory_limit_bytes", _) => patch.limits.memory_limit_bytes = Some(None),
                ("cpu_limit_millicores", _) => patch.limits.cpu_limit_millicores = Some(None),
                ("process_limit", _) => patch.limits.process_limit = Some(None),
                ("qr_rotations", _) => patch.qr_rotations = Some(None),
                ("browser", _) => patch.browser = Some(BrowserSettings::default()),
                ("proxy", _) => patch.proxy = Some(None),
                ("timing", _) => patch.timing = Some(TimingOverrides::default()),
                ("log_level", _) => patch.log_level = Some(None),
                (_, Some(("labels", name))) => patch.labels.remove.push(name.to_owned()),
                (_, Some(("metadata", name))) => patch.metadata.remove.push(name.to_owned()),
                _ => {}
            }
        }
        patch
    }
}

/// What the patch changes of the tenant.
pub(crate) fn differences(before: &Standing, patch: &TenantPatch) -> Vec<FieldChange> {
    let Standing { tenant: before, proxy, .. } = before;
    let settings = &before.settings;
    let mut found = Differences(Vec::new());
    found.compare("display_name", &settings.display_name, patch.display_name.as_ref(), Clone::clone);
    found.compare("phone", &settings.phone, patch.phone.as_ref(), Clone::clone);
    found.compare("template", &settings.template, patch.template.as_ref(), name);
    found.compare("language", &settings.language, patch.language.as_ref(), name);
    if let Some(texts) = &patch.texts {
        found.texts(&settings.texts, texts);
    }
    let limit = patch.reply_limit_per_minute.as_ref();
    found.compare("reply_limit_per_minute", &settings.reply_limit_per_minute, limit, u32::to_string);
    found.compare("answer_within", &settings.answer_within, patch.answer_within.as_ref(), seconds);
    found.compare("resend_policy", &settings.resend_policy, patch.resend_policy.as_ref(), name);
    let schedule = patch.restart_schedule.as_ref();
    found.compare("restart_schedule", &settings.restart_schedule, schedule, |schedule| {
        schedule.as_ref().map(restarts).unwrap_or_default()
    });
    found.limits(&settings.limits, &patch.limits);
    found.compare("qr_rotations", &settings.qr_rotations, patch.qr_rotations.as_ref(), amount);
    if let Some(browser) = &patch.browser {
        found.browser(&settings.browser, browser);
    }
    if let Some(after) = &patch.proxy {
        found.proxy(proxy.as_ref(), after.as_ref());
    }
    if let Some(after) = &patch.timing {
        found.timing(&settings.timing, after);
    }
    found.compare("log_level", &settings.log_level, patch.log_level.as_ref(), |level| {
        level.as_ref().map(name).unwrap_or_default()
    });
    found.entries("labels", &before.labels, &patch.labels);
    found.entries("metadata", &before.metadata, &patch.metadata);
    found.0
}

/// From which to which a worker is told to go.
pub(crate) fn desired_change(before: DesiredState, after: DesiredState) -> FieldChange {
    FieldChange { path: "desired_state".to_owned(), before: name(&before), after: name(&after) }
}

struct Differences(Vec<FieldChange>);

impl Differences {
    fn compare<T: PartialEq>(
        &mut self,
        path: &str,
        before: &T,
        after: Option<&T>,
        told: impl Fn(&T) -> String,
    ) {
        if let Some(after) = after.filter(|after| *after != before) {
            self.push(path, told(before), told(after));
        }
    }

    fn texts(&mut self, before: &Texts, after: &Texts) {
        self.compare("texts.greeting", &before.greeting, Some(&after.greeting), Clone::clone);
        self.compare("texts.fallback", &before.fallback, Some(&after.fallback), Clone::clone);
        self.compare("texts.limit_warning", &before.limit_warning, Some(&after.limit_warning), Clone::clone);
        self.compare("texts.menu", &before.menu, Some(&after.menu), |menu| {
            menu.iter().map(|item| item.title.as_str()).collect::<Vec<_>>().join(", ")
        });
    }

    fn limits(&mut self, before: &ResourceLimits, after: &LimitsPatch) {
        let (request, limit) = (after.memory_request_bytes.as_ref(), after.memory_limit_bytes.as_ref());
        self.compare("memory_request_bytes", &before.memory_request_bytes, request, amount);
        self.compare("memory_limit_bytes", &before.memory_limit_bytes, limit, amount);
        let (cpu, processes) = (after.cpu_limit_millicores.as_ref(), after.process_limit.as_ref());
        self.compare("cpu_limit_millicores", &before.cpu_limit_millicores, cpu, amount);
        self.compare("process_limit", &before.process_limit, processes, amount);
    }

    fn browser(&mut self, before: &BrowserSettings, after: &BrowserSettings) {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        self.compare("browser.time_zone", &before.time_zone, Some(&after.time_zone), text);
        self.compare("browser.languages", &before.languages, Some(&after.languages), |tags| tags.join(","));
        self.compare("browser.user_agent", &before.user_agent, Some(&after.user_agent), text);
        self.compare("browser.page_version", &before.page_version, Some(&after.page_version), text);
        self.compare("browser.library_version", &before.library_version, Some(&after.library_version), text);
    }

    fn timing(&mut self, before: &TimingOverrides, after: &TimingOverrides) {
        for ((name, before, _), (_, after, _)) in before.spans().into_iter().zip(after.spans()) {
            let told = |span: &Option<Duration>| span.as_ref().map(exact).unwrap_or_default();
            self.compare(&format!("timing.{name}"), &before, Some(&after), told);
        }
        for ((name, before, _), (_, after, _)) in before.counts().into_iter().zip(after.counts()) {
            self.compare(&format!("timing.{name}"), &before, Some(&after), amount);
        }
    }

    /// Of credentials it is told whether there are some, and that they are others.
    fn proxy(&mut self, before: Option<&Proxy>, after: Option<&Proxy>) {
        if before == after {
            return;
        }
        let told = |proxy: Option<&Proxy>, credentials: &str| match proxy {
            Some(Proxy { place, login: Some(_) }) => format!("{place} with {credentials}"),
            Some(Proxy { place, login: None }) => place.to_string(),
            None => String::new(),
        };
        let (before, mut now) = (told(before, "credentials"), told(after, "credentials"));
        if before == now {
            now = told(after, "other credentials");
        }
        self.push("proxy", before, now);
    }

    fn entries(&mut self, field: &str, before: &Labels, patch: &LabelPatch) {
        for (name, after) in &patch.set {
            let present = before.get(name);
            if present != Some(after) {
                self.push(&format!("{field}.{name}"), present.cloned().unwrap_or_default(), after.clone());
            }
        }
        for name in &patch.remove {
            if let Some(present) = before.get(name) {
                self.push(&format!("{field}.{name}"), present.clone(), String::new());
            }
        }
    }

    fn push(&mut self, path: &str, before: String, after: String) {
        self.0.push(FieldChange { path: path.to_owned(), before: cut(before), after: cut(after) });
    }
}

/// As much of a value as is told.
pub(crate) fn cut(value: String) -> String {
    value.chars().take(VALUE_CHARS).collect()
}

/// As it is written in a declaration.
fn name(value: &impl Debug) -> String {
    format!("{value:?}").to_lowercase()
}

/// Empty for what the node says.
fn amount<T: ToString>(amount: &Option<T>) -> String {
    amount.as_ref().map(T::to_string).unwrap_or_default()
}

/// To the millisecond.
fn exact(span: &Duration) -> String {
    format!("{span:?}")
}

fn seconds(span: &Duration) -> String {
    format!("{}s", span.as_secs())
}

fn restarts(RestartSchedule { cron, time_zone, jitter }: &RestartSchedule) -> String {
    format!("{cron} {time_zone} +{}", seconds(jitter))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use roost_model::{LanguageCode, LogLevel, ResendPolicy, TemplateKind, TenantSettings};
    use time::OffsetDateTime;
    use uuid::Uuid;

    use super::*;
    use crate::TenantStatus;

    fn standing() -> Standing {
        let proxy = Some("http://asha:sesame@proxy.example:3128".parse().unwrap());
        Standing { tenant: tenant(), proxy, desired: DesiredState::Running, applied_fields: BTreeSet::new() }
    }

    fn tenant() -> Tenant {
        Tenant {
            id: TenantId::new("duka").unwrap(),
            uid: Uuid::nil(),
            settings: Arc::new(TenantSettings {
                display_name: "Duka".into(),
                phone: "+255700000001".into(),
                template: TemplateKind::Booking,
                language: LanguageCode::Sw,
                texts: Texts { greeting: "Karibu".into(), ..Texts::default() },
                reply_limit_per_minute: 20,
                answer_within: Duration::from_secs(60),
                resend_policy: ResendPolicy::Hold,
                restart_schedule: None,
                limits: ResourceLimits { process_limit: Some(9), ..ResourceLimits::default() },
                qr_rotations: Some(5),
                browser: BrowserSettings {
                    time_zone: Some("Africa/Nairobi".into()),
                    ..BrowserSettings::default()
                },
                timing: TimingOverrides {
                    stop_grace: Some(Duration::from_secs(2)),
                    ..TimingOverrides::default()
                },
                log_level: Some(LogLevel::Warn),
            }),
            proxy: None,
            temporary_log_level: None,
            labels: [("plan".to_owned(), "pro".to_owned()), ("zone".to_owned(), "east".to_owned())].into(),
            metadata: Labels::new(),
            status: TenantStatus::New,
            created_at: OffsetDateTime::UNIX_EPOCH,
            updated_at: OffsetDateTime::UNIX_EPOCH,
        }
    }

    fn declared(values: TenantPatch, fields: &[&str]) -> TenantDeclaration {
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        TenantDeclaration {
            id: TenantId::new("duka").unwrap(),
            values,
            fields,
            kept_proxy: None,
            desired: None,
        }
    }

    fn told(changes: &[FieldChange]) -> Vec<String> {
        changes
            .iter()
            .map(|change| format!("{}: {} -> {}", change.path, change.before, change.after))
            .collect()
    }

    #[test]
    fn what_an_apply_leaves_out_goes_back_to_its_default_only_if_the_one_before_named_it() {
        let fields = ["reply_limit_per_minute", "labels.plan", "phone", "template", "answer_within"];
        let before = fields.iter().map(|field| (*field).to_owned()).collect();
        let values = TenantPatch { template: Some(TemplateKind::Booking), ..TenantPatch::default() };
        let patch = declared(values, &["template"]).patch_over(&before);
        assert_eq!(
            told(&differences(&standing(), &patch)),
            ["reply_limit_per_minute: 20 -> 10", "answer_within: 60s -> 86400s", "labels.plan: pro -> "]
        );
        let untouched = declared(TenantPatch::default(), &[]).patch_over(&BTreeSet::new());
        assert_eq!(differences(&standing(), &untouched), []);
    }

    #[test]
    fn every_field_has_a_default_to_go_back_to_but_the_name_and_the_phone() {
        let paths = [
            "display_name",
            "phone",
            "template",
            "language",
            "texts",
            "resend_policy",
            "restart_schedule",
            "memory_request_bytes",
            "memory_limit_bytes",
            "cpu_limit_millicores",
            "process_limit",
            "qr_rotations",
            "browser",
            "proxy",
            "log_level",
        ];
        let patch = declared(TenantPatch::default(), &[]).patch_over(&paths.map(str::to_owned).into());
        assert_eq!(
            told(&differences(&standing(), &patch)),
            [
                "template: booking -> support",
                "language: sw -> en",
                "texts.greeting: Karibu -> ",
                "resend_policy: hold -> resend",
                "process_limit: 9 -> ",
                "qr_rotations: 5 -> ",
                "browser.time_zone: Africa/Nairobi -> ",
                "proxy: http://proxy.example:3128 with credentials -> ",
                "log_level: warn -> "
            ]
        );
        assert_eq!(patch.restart_schedule, Some(None));
    }

    #[test]
    fn what_is_as_declared_is_no_difference_and_long_values_are_cut() {
        let greeting = "Ā".repeat(100);
        let texts = Texts { greeting: greeting.clone(), ..Texts::default() };
        let labels = LabelPatch { set: [("plan".into(), "pro".into())].into(), ..LabelPatch::default() };
        let values = TenantPatch {
            display_name: Some("Duka".into()),
            texts: Some(texts),
            labels,
            ..TenantPatch::default()
        };
        let changes = differences(&standing(), &values);
        assert_eq!(told(&changes), [format!("texts.greeting: Karibu -> {}", "Ā".repeat(80))]);
    }

    #[test]
    fn a_proxy_is_another_one_by_its_credentials_too_and_they_are_not_told() {
        let proxy =
            |url: &str| TenantPatch { proxy: Some(Some(url.parse().unwrap())), ..TenantPatch::default() };
        let changed = |url: &str| told(&differences(&standing(), &proxy(url)));
        assert_eq!(changed("http://asha:sesame@proxy.example:3128"), [] as [&str; 0]);
        let before = "proxy: http://proxy.example:3128 with credentials ->";
        for (url, after) in [
            ("http://asha:other@proxy.example:3128", "http://proxy.example:3128 with other credentials"),
            ("http://proxy.example:3128", "http://proxy.example:3128"),
            ("socks5://asha:sesame@proxy.example", "socks5://proxy.example:1080 with credentials"),
        ] {
            assert_eq!(changed(url), [format!("{before} {after}")]);
        }
        let kept = |url: &str| {
            let kept_proxy = Some(url.parse::<Proxy>().unwrap().place);
            TenantDeclaration { kept_proxy, ..declared(TenantPatch::default(), &["proxy"]) }
        };
        let there = standing().proxy;
        let bare = there.clone().map(|proxy| Proxy { login: None, ..proxy });
        assert!(kept("http://proxy.example:3128").keeps_what_there_is(there.as_ref()));
        assert!(!kept("http://proxy.example:3129").keeps_what_there_is(there.as_ref()));
        assert!(!kept("http://proxy.example:3128").keeps_what_there_is(bare.as_ref()));
        assert!(!kept("http://proxy.example:3128").keeps_what_there_is(None));
        assert!(declared(TenantPatch::default(), &[]).keeps_what_there_is(None));
    }

    #[test]
    fn a_new_tenant_needs_a_name_and_a_phone_and_has_the_defaults_of_the_rest() {
        let lacks = declared(TenantPatch::default(), &[]).to_new().unwrap_err();
        assert_eq!(lacks, ["display_name", "phone"]);
        let values = TenantPatch {
            display_name: Some("Duka".into()),
            phone: Some("+255700000001".into()),
            ..TenantPatch::default()
        };
        let new = declared(values, &[]).to_new().unwrap();
        assert_eq!((new.reply_limit_per_minute, new.template), (10, TemplateKind::Support));
    }
}
