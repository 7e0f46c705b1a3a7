//! What a file says of one tenant. A field that is left out is not declared.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use prost_types::FieldMask;
use roost_proto::v1::{
    BrowserSettings, BusinessTexts, DesiredState, MenuItem, Proxy, RestartSchedule, Tenant, TenantDeclaration,
};
use serde::{Deserialize, Serialize};

use super::{span::Span, timing::TimingForm};
use crate::choices::{LanguageChoice, LogLevelChoice, OwnLogLevel, ResendChoice, TemplateChoice};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantForm {
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateChoice>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<LanguageChoice>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub texts: Option<TextsForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_limit_per_minute: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_within: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resend_policy: Option<ResendChoice>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_schedule: Option<ScheduleForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_request_bytes: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit_bytes: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_limit_millicores: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_limit: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qr_rotations: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browser: Option<BrowserForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level: Option<LogLevelChoice>,
    /// Where the address is with its credentials, which are in no file of tenants. Read into `proxy`, and never written.
    #[serde(default, skip_serializing)]
    pub proxy_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<TimingForm>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerForm>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextsForm {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub greeting: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fallback: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub limit_warning: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub menu: Vec<MenuItemForm>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MenuItemForm {
    pub title: String,
    pub reply: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleForm {
    pub cron: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Span>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrowserForm {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub time_zone: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user_agent: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub page_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub library_version: String,
}

#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyForm {
    pub url: String,
    /// As an export has it: those that the tenant has are kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_credentials: bool,
}

impl fmt::Debug for ProxyForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyForm(..)")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerForm {
    Running,
    Stopped,
}

impl From<TenantForm> for TenantDeclaration {
    fn from(form: TenantForm) -> Self {
        let given = [
            ("display_name", form.display_name.is_some()),
            ("phone", form.phone.is_some()),
            ("template", form.template.is_some()),
            ("language", form.language.is_some()),
            ("texts", form.texts.is_some()),
            ("reply_limit_per_minute", form.reply_limit_per_minute.is_some()),
            ("answer_within", form.answer_within.is_some()),
            ("resend_policy", form.resend_policy.is_some()),
            ("restart_schedule", form.restart_schedule.is_some()),
            ("memory_request_bytes", form.memory_request_bytes.is_some()),
            ("memory_limit_bytes", form.memory_limit_bytes.is_some()),
            ("cpu_limit_millicores", form.cpu_limit_millicores.is_some()),
            ("process_limit", form.process_limit.is_some()),
            ("qr_rotations", form.qr_rotations.is_some()),
            ("browser", form.browser.is_some()),
            ("proxy", form.proxy.is_some()),
            ("timing", form.timing.is_some()),
            ("log_level", form.log_level.is_some()),
        ];
        let fields = given.iter().filter(|(_, given)| *given).map(|(field, _)| (*field).to_owned());
        let labels = form.labels.keys().map(|name| format!("labels.{name}"));
        let metadata = form.metadata.keys().map(|name| format!("metadata.{name}"));
        let paths = fields.chain(labels).chain(metadata).collect();
        let desired_state = match form.worker {
            Some(WorkerForm::Running) => DesiredState::Running,
            Some(WorkerForm::Stopped) => DesiredState::Stopped,
            None => DesiredState::Unspecified,
        };
        let tenant = Tenant {
            id: form.id,
            display_name: form.display_name.unwrap_or_default(),
            phone: form.phone.unwrap_or_default(),
            template: form.template.map_or(0, |choice| roost_proto::v1::Template::from(choice) as i32),
            language: form.language.map_or(0, |choice| roost_proto::v1::Language::from(choice) as i32),
            texts: form.texts.map(Into::into),
            reply_limit_per_minute: form.reply_limit_per_minute,
            answer_within: form.answer_within.and_then(Span::to_wire),
            resend_policy: form
                .resend_policy
                .map_or(0, |choice| roost_proto::v1::ResendPolicy::from(choice) as i32),
            restart_schedule: form.restart_schedule.map(Into::into),
            memory_request_bytes: form.memory_request_bytes,
            memory_limit_bytes: form.memory_limit_bytes,
            cpu_limit_millicores: form.cpu_limit_millicores,
            process_limit: form.process_limit,
            qr_rotations: form.qr_rotations,
            browser: form.browser.map(Into::into),
            proxy: form.proxy.map(|ProxyForm { url, has_credentials }| Proxy { url, has_credentials }),
            timing: form.timing.map(Into::into),
            log_level: form.log_level.and_then(|level| OwnLogLevel(Some(level)).to_wire()),
            labels: form.labels.into_iter().collect(),
            metadata: form.metadata.into_iter().collect(),
            ..Tenant::default()
        };
        let fields = Some(FieldMask { paths });
        Self { tenant: Some(tenant), fields, desired_state: desired_state.into() }
    }
}

impl From<TextsForm> for BusinessTexts {
    fn from(TextsForm { greeting, fallback, limit_warning, menu }: TextsForm) -> Self {
        let item = |MenuItemForm { title, reply, keywords }| MenuItem { title, reply, keywords };
        Self { greeting, fallback, limit_warning, menu: menu.into_iter().map(item).collect() }
    }
}

impl From<BusinessTexts> for TextsForm {
    fn from(BusinessTexts { greeting, fallback, menu, limit_warning }: BusinessTexts) -> Self {
        let item = |MenuItem { title, reply, keywords }| MenuItemForm { title, reply, keywords };
        Self { greeting, fallback, limit_warning, menu: menu.into_iter().map(item).collect() }
    }
}

impl From<ScheduleForm> for RestartSchedule {
    fn from(ScheduleForm { cron, time_zone, jitter }: ScheduleForm) -> Self {
        Self { cron, time_zone: time_zone.unwrap_or_default(), jitter: jitter.and_then(Span::to_wire) }
    }
}

impl From<BrowserForm> for BrowserSettings {
    fn from(form: BrowserForm) -> Self {
        let BrowserForm { time_zone, languages, user_agent, page_version, library_version } = form;
        Self { time_zone, languages, user_agent, page_version, library_version }
    }
}

impl From<BrowserSettings> for BrowserForm {
    fn from(told: BrowserSettings) -> Self {
        let BrowserSettings { time_zone, languages, user_agent, page_version, library_version } = told;
        Self { time_zone, languages, user_agent, page_version, library_version }
    }
}

impl TenantForm {
    /// The tenant as there is one; all that is set is told.
    pub fn of(tenant: Tenant, desired: DesiredState) -> Self {
        let (template, language, policy) = (tenant.template(), tenant.language(), tenant.resend_policy());
        Self {
            template: TemplateChoice::of(template),
            language: LanguageChoice::of(language),
            resend_policy: ResendChoice::of(policy),
            id: tenant.id,
            display_name: Some(tenant.display_name),
            phone: Some(tenant.phone),
            texts: tenant.texts.map(TextsForm::from).filter(|texts| *texts != TextsForm::default()),
            reply_limit_per_minute: tenant.reply_limit_per_minute,
            answer_within: tenant.answer_within.and_then(Span::of),
            restart_schedule: tenant.restart_schedule.map(|schedule| ScheduleForm {
                cron: schedule.cron,
                time_zone: Some(schedule.time_zone).filter(|zone| !zone.is_empty()),
                jitter: schedule.jitter.and_then(Span::of),
            }),
            memory_request_bytes: tenant.memory_request_bytes,
            memory_limit_bytes: tenant.memory_limit_bytes,
            cpu_limit_millicores: tenant.cpu_limit_millicores,
            process_limit: tenant.process_limit,
            qr_rotations: tenant.qr_rotations,
            browser: tenant.browser.map(BrowserForm::from),
            proxy: tenant.proxy.map(|Proxy { url, has_credentials }| ProxyForm { url, has_credentials }),
            log_level: tenant.log_level.and_then(|set| LogLevelChoice::of(set.level())),
            proxy_file: None,
            timing: tenant.timing.map(Into::into),
            labels: tenant.labels.into_iter().collect(),
            metadata: tenant.metadata.into_iter().collect(),
            worker: match desired {
                DesiredState::Running => Some(WorkerForm::Running),
                DesiredState::Stopped => Some(WorkerForm::Stopped),
                DesiredState::Unspecified => None,
            },
        }
    }
}
