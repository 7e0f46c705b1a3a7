//! One tenant and its settings.

use std::collections::BTreeMap;

use roost_proto::v1::{
    BrowserSettings, BusinessTexts, Language, MenuItem, Proxy, ResendPolicy, RestartSchedule, Template,
    Tenant, TenantStatus,
};
use serde::{Deserialize, Serialize};

use super::{
    ago, enum_name,
    log_level::LogLevelsView,
    rfc3339,
    timing::TimingView,
    usage::{cpu, memory},
};
use crate::output::Row;

#[derive(Debug, Serialize)]
pub struct TenantView {
    id: String,
    display_name: String,
    phone: String,
    template: String,
    language: String,
    status: String,
    texts: TextsView,
    reply_limit_per_minute: Option<i32>,
    answer_within: Option<String>,
    resend_policy: String,
    restart_schedule: Option<RestartScheduleView>,
    qr_rotations: Option<i32>,
    memory_request_bytes: Option<i64>,
    memory_limit_bytes: Option<i64>,
    cpu_limit_millicores: Option<i32>,
    process_limit: Option<i32>,
    browser: Option<BrowserView>,
    proxy: Option<ProxyView>,
    timing: Option<TimingView>,
    log_level: Option<LogLevelsView>,
    labels: BTreeMap<String, String>,
    metadata: BTreeMap<String, String>,
    create_time: Option<String>,
    update_time: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct TextsView {
    greeting: String,
    fallback: String,
    menu: Vec<MenuItemView>,
    limit_warning: String,
}

#[derive(Debug, Serialize)]
struct RestartScheduleView {
    cron: String,
    time_zone: String,
    jitter: Option<String>,
}

impl From<RestartSchedule> for RestartScheduleView {
    fn from(schedule: RestartSchedule) -> Self {
        let jitter = schedule.jitter.map(|span| span.to_string());
        Self { cron: schedule.cron, time_zone: schedule.time_zone, jitter }
    }
}

#[derive(Debug, Serialize)]
struct BrowserView {
    time_zone: String,
    languages: Vec<String>,
    user_agent: String,
    page_version: String,
    library_version: String,
}

impl From<BrowserSettings> for BrowserView {
    fn from(told: BrowserSettings) -> Self {
        let BrowserSettings { time_zone, languages, user_agent, page_version, library_version } = told;
        Self { time_zone, languages, user_agent, page_version, library_version }
    }
}

#[derive(Debug, Serialize)]
struct ProxyView {
    url: String,
    has_credentials: bool,
}

impl From<Proxy> for ProxyView {
    fn from(Proxy { url, has_credentials }: Proxy) -> Self {
        Self { url, has_credentials }
    }
}

/// Also the form of a line of the menu in the file of `--menu`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MenuItemView {
    title: String,
    reply: String,
    #[serde(default)]
    keywords: Vec<String>,
}

impl From<MenuItem> for MenuItemView {
    fn from(MenuItem { title, reply, keywords }: MenuItem) -> Self {
        Self { title, reply, keywords }
    }
}

impl From<MenuItemView> for MenuItem {
    fn from(MenuItemView { title, reply, keywords }: MenuItemView) -> Self {
        Self { title, reply, keywords }
    }
}

impl From<BusinessTexts> for TextsView {
    fn from(texts: BusinessTexts) -> Self {
        Self {
            greeting: texts.greeting,
            fallback: texts.fallback,
            menu: texts.menu.into_iter().map(Into::into).collect(),
            limit_warning: texts.limit_warning,
        }
    }
}

impl From<Tenant> for TenantView {
    fn from(tenant: Tenant) -> Self {
        Self {
            template: enum_name(tenant.template, "TEMPLATE_", Template::as_str_name),
            language: enum_name(tenant.language, "LANGUAGE_", Language::as_str_name),
            resend_policy: enum_name(tenant.resend_policy, "RESEND_POLICY_", ResendPolicy::as_str_name),
            status: enum_name(tenant.status, "TENANT_STATUS_", TenantStatus::as_str_name),
            create_time: rfc3339(&tenant.create_time),
            update_time: rfc3339(&tenant.update_time),
            id: tenant.id,
            display_name: tenant.display_name,
            phone: tenant.phone,
            texts: tenant.texts.unwrap_or_default().into(),
            reply_limit_per_minute: tenant.reply_limit_per_minute,
            answer_within: tenant.answer_within.map(|span| span.to_string()),
            restart_schedule: tenant.restart_schedule.map(Into::into),
            qr_rotations: tenant.qr_rotations,
            memory_request_bytes: tenant.memory_request_bytes,
            memory_limit_bytes: tenant.memory_limit_bytes,
            cpu_limit_millicores: tenant.cpu_limit_millicores,
            process_limit: tenant.process_limit,
            browser: tenant.browser.map(Into::into),
            proxy: tenant.proxy.map(Into::into),
            timing: tenant.timing.map(Into::into),
            log_level: tenant.log_level.as_ref().map(Into::into),
            labels: tenant.labels.into_iter().collect(),
            metadata: tenant.metadata.into_iter().collect(),
        }
    }
}

impl TenantView {
    fn labels(&self) -> String {
        self.labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
    }

    fn restarts(&self) -> String {
        let Some(RestartScheduleView { cron, time_zone, jitter }) = &self.restart_schedule else {
            return String::new();
        };
        format!("{cron} {time_zone}, later by up to {}", jitter.as_deref().unwrap_or("0s"))
    }

    fn rotations(&self) -> String {
        match self.qr_rotations {
            Some(0) => "without an end".to_owned(),
            Some(codes) => codes.to_string(),
            None => "as its node says".to_owned(),
        }
    }

    fn proxy(&self) -> String {
        match &self.proxy {
            Some(ProxyView { url, has_credentials: true }) => format!("{url} with credentials"),
            Some(ProxyView { url, .. }) => url.clone(),
            None => String::new(),
        }
    }

    fn reply_limit(&self) -> String {
        match self.reply_limit_per_minute {
            Some(0) => "none".to_owned(),
            Some(limit) => format!("{limit}/min"),
            None => String::new(),
        }
    }
}

/// What is not set, and 0 lifts it.
fn limit<T: Copy + Default + PartialEq>(given: Option<T>, shown: impl Fn(T) -> String) -> String {
    match given {
        None => the_nodes_own(),
        Some(lifted) if lifted == T::default() => "none".to_owned(),
        Some(limit) => shown(limit),
    }
}

fn the_nodes_own() -> String {
    "the node's own".to_owned()
}

impl Row for TenantView {
    const HEADER: &'static [&'static str] =
        &["id", "name", "phone", "template", "language", "status", "limit", "labels", "created"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.display_name.clone(),
            self.phone.clone(),
            self.template.clone(),
            self.language.clone(),
            self.status.clone(),
            self.reply_limit(),
            self.labels(),
            ago(self.create_time.as_deref()),
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("id", self.id.clone()),
            ("name", self.display_name.clone()),
            ("phone", self.phone.clone()),
            ("template", self.template.clone()),
            ("language", self.language.clone()),
            ("status", self.status.clone()),
            ("reply limit", self.reply_limit()),
            ("answer within", self.answer_within.clone().unwrap_or_default()),
            ("resend policy", self.resend_policy.clone()),
            ("restarts", self.restarts()),
            ("codes in a row", self.rotations()),
            ("memory request", self.memory_request_bytes.map(memory).unwrap_or_else(the_nodes_own)),
            ("memory limit", limit(self.memory_limit_bytes, memory)),
            ("cpu limit", limit(self.cpu_limit_millicores, cpu)),
            ("process limit", limit(self.process_limit, |limit| limit.to_string())),
            ("time zone", self.browser.as_ref().map(|it| it.time_zone.clone()).unwrap_or_default()),
            ("languages", self.browser.as_ref().map(|it| it.languages.join(",")).unwrap_or_default()),
            ("user agent", self.browser.as_ref().map(|it| it.user_agent.clone()).unwrap_or_default()),
            ("page version", self.browser.as_ref().map(|it| it.page_version.clone()).unwrap_or_default()),
            (
                "library version",
                self.browser.as_ref().map(|it| it.library_version.clone()).unwrap_or_default(),
            ),
            ("proxy", self.proxy()),
            ("timing", self.timing.as_ref().map_or_else(the_nodes_own, |timing| timing.told().to_owned())),
            ("log level", self.log_level.as_ref().map(LogLevelsView::told).unwrap_or_default()),
            ("labels", self.labels()),
            ("greeting", self.texts.greeting.clone()),
            ("fallback", self.texts.fallback.clone()),
            ("limit warning", self.texts.limit_warning.clone()),
        ];
        let items = self.texts.menu.iter().enumerate();
        lines.extend(items.map(|(at, item)| ("menu", format!("{}. {}: {}", at + 1, item.title, item.reply))));
        lines.extend(self.metadata.iter().map(|(name, value)| ("metadata", format!("{name}: {value}"))));
        lines.push(("created", ago(self.create_time.as_deref())));
        lines.push(("updated", ago(self.update_time.as_deref())));
        lines
    }
}
