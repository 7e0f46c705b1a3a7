//! What a tenant's settings may be where there are few: as options, and in files of declared tenants.

use clap::ValueEnum;
use roost_proto::v1::{
    Language, LogLevel, ResendPolicy, Role, SetupRequestState, Template, TenantLogLevel, VersionKind,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TemplateChoice {
    Booking,
    Ecommerce,
    Support,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LanguageChoice {
    /// English
    En,
    /// Swahili
    Sw,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResendChoice {
    /// It is sent again, under the same id
    Resend,
    /// It is held among the dead letters until a redrive
    Hold,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevelChoice {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleChoice {
    /// May do everything, also make tokens and read the audit
    Admin,
    /// Runs the cluster and its tenants
    Operator,
    /// Sees the cluster and its tenants, but no message, QR code or screenshot
    Viewer,
    /// Of one tenant: also starts, stops and links it
    Owner,
    /// Of one tenant: sees it and its conversations
    Staff,
    /// Of one tenant: for its programs
    Processor,
}

impl From<RoleChoice> for Role {
    fn from(role: RoleChoice) -> Self {
        match role {
            RoleChoice::Admin => Role::Admin,
            RoleChoice::Operator => Role::Operator,
            RoleChoice::Viewer => Role::Viewer,
            RoleChoice::Owner => Role::Owner,
            RoleChoice::Staff => Role::Staff,
            RoleChoice::Processor => Role::Processor,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MemberRoleChoice {
    /// Also starts, stops and links it, and invites others
    Owner,
    /// Sees it and its conversations
    Staff,
}

impl From<MemberRoleChoice> for Role {
    fn from(role: MemberRoleChoice) -> Self {
        match role {
            MemberRoleChoice::Owner => Role::Owner,
            MemberRoleChoice::Staff => Role::Staff,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SetupStateChoice {
    Submitted,
    Reviewing,
    Approved,
    Active,
    Rejected,
}

impl From<SetupStateChoice> for SetupRequestState {
    fn from(state: SetupStateChoice) -> Self {
        match state {
            SetupStateChoice::Submitted => Self::Submitted,
            SetupStateChoice::Reviewing => Self::Reviewing,
            SetupStateChoice::Approved => Self::Approved,
            SetupStateChoice::Active => Self::Active,
            SetupStateChoice::Rejected => Self::Rejected,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UserRoleChoice {
    /// Everything, users and tokens too
    Admin,
    /// Runs nodes, tenants and workers
    Operator,
    /// Sees them, and no conversation
    Viewer,
}

impl From<UserRoleChoice> for Role {
    fn from(role: UserRoleChoice) -> Self {
        match role {
            UserRoleChoice::Admin => Role::Admin,
            UserRoleChoice::Operator => Role::Operator,
            UserRoleChoice::Viewer => Role::Viewer,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VersionKindChoice {
    Page,
    Library,
}

impl From<VersionKindChoice> for VersionKind {
    fn from(kind: VersionKindChoice) -> Self {
        match kind {
            VersionKindChoice::Page => VersionKind::Page,
            VersionKindChoice::Library => VersionKind::Library,
        }
    }
}

impl VersionKindChoice {
    pub fn noun(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Library => "library",
        }
    }
}

impl From<TemplateChoice> for Template {
    fn from(template: TemplateChoice) -> Self {
        match template {
            TemplateChoice::Booking => Template::Booking,
            TemplateChoice::Ecommerce => Template::Ecommerce,
            TemplateChoice::Support => Template::Support,
        }
    }
}

impl TemplateChoice {
    /// None for one that this client does not know.
    pub fn of(template: Template) -> Option<Self> {
        Self::value_variants().iter().copied().find(|choice| Template::from(*choice) == template)
    }
}

impl From<LanguageChoice> for Language {
    fn from(language: LanguageChoice) -> Self {
        match language {
            LanguageChoice::En => Language::En,
            LanguageChoice::Sw => Language::Sw,
        }
    }
}

impl LanguageChoice {
    /// None for one that this client does not know.
    pub fn of(language: Language) -> Option<Self> {
        Self::value_variants().iter().copied().find(|choice| Language::from(*choice) == language)
    }
}

impl From<ResendChoice> for ResendPolicy {
    fn from(policy: ResendChoice) -> Self {
        match policy {
            ResendChoice::Resend => ResendPolicy::Resend,
            ResendChoice::Hold => ResendPolicy::Hold,
        }
    }
}

impl ResendChoice {
    /// None for one that this client does not know.
    pub fn of(policy: ResendPolicy) -> Option<Self> {
        Self::value_variants().iter().copied().find(|choice| ResendPolicy::from(*choice) == policy)
    }
}

impl From<LogLevelChoice> for LogLevel {
    fn from(level: LogLevelChoice) -> Self {
        match level {
            LogLevelChoice::Trace => LogLevel::Trace,
            LogLevelChoice::Debug => LogLevel::Debug,
            LogLevelChoice::Info => LogLevel::Info,
            LogLevelChoice::Warn => LogLevel::Warn,
            LogLevelChoice::Error => LogLevel::Error,
        }
    }
}

impl LogLevelChoice {
    /// None for one that this client does not know.
    pub fn of(level: LogLevel) -> Option<Self> {
        Self::value_variants().iter().copied().find(|choice| LogLevel::from(*choice) == level)
    }
}

/// A tenant's own level; none as its node logs.
#[derive(Debug, Clone, Copy)]
pub struct OwnLogLevel(pub Option<LogLevelChoice>);

pub fn own_log_level(given: &str) -> Result<OwnLogLevel, String> {
    if given == "default" {
        return Ok(OwnLogLevel(None));
    }
    let level = LogLevelChoice::from_str(given, false);
    level
        .map(|level| OwnLogLevel(Some(level)))
        .map_err(|_| "takes trace, debug, info, warn, error, or default".into())
}

impl OwnLogLevel {
    pub fn to_wire(self) -> Option<TenantLogLevel> {
        let level = LogLevel::from(self.0?).into();
        Some(TenantLogLevel { level, ..TenantLogLevel::default() })
    }
}
