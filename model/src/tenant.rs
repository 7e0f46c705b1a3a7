//! What a tenant has settled about itself: who it is to its customers and what it wants said in its name.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{BrowserSettings, LogLevel, ResourceLimits, RestartSchedule, TimingOverrides};

/// Of a tenant for which nothing else is said.
pub const DEFAULT_REPLY_LIMIT: u32 = 10;
pub const DEFAULT_ANSWER_WITHIN: Duration = Duration::from_secs(24 * 3_600);
pub const DEFAULT_TEMPLATE: TemplateKind = TemplateKind::Support;
pub const DEFAULT_LANGUAGE: LanguageCode = LanguageCode::En;

/// What operators set of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantSettings {
    pub display_name: String,
    /// E.164.
    pub phone: String,
    pub template: TemplateKind,
    pub language: LanguageCode,
    pub texts: Texts,
    /// 0 lifts the limit.
    pub reply_limit_per_minute: u32,
    /// A message that is older when it comes is not answered.
    pub answer_within: Duration,
    pub resend_policy: ResendPolicy,
    /// When its browser is restarted by itself; never unless it is set.
    pub restart_schedule: Option<RestartSchedule>,
    /// QR codes that are shown in a row without a scan before its browser is closed; 0: without an end. As its node says unless it
    /// is set.
    pub qr_rotations: Option<u32>,
    /// What its browser may take of its node.
    pub limits: ResourceLimits,
    /// From the next start of its browser on.
    pub browser: BrowserSettings,
    /// Of its worker's life, where that is not its node's to say.
    pub timing: TimingOverrides,
    /// What is written in its worker's log; what its node logs unless it is set.
    pub log_level: Option<LogLevel>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TemplateKind {
    Booking,
    Ecommerce,
    Support,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LanguageCode {
    En,
    Sw,
}

/// What becomes of a reply that may have been sent already and of which the page does not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ResendPolicy {
    /// It is sent again, under the same id.
    #[default]
    Resend,
    /// It becomes a dead letter, for a person to decide.
    Hold,
}

/// The business's own words. An empty field stands for the template's text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Texts {
    pub greeting: String,
    pub fallback: String,
    pub limit_warning: String,
    pub menu: Vec<MenuItem>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MenuItem {
    pub title: String,
    pub reply: String,
    pub keywords: Vec<String>,
}
