//! How much is written in the log of a tenant's worker.

use roost_proto::v1::{LogLevel, TenantLogLevel};
use serde::Serialize;

use super::{enum_name, rfc3339};
use crate::output::Row;

#[derive(Debug, Serialize)]
pub struct LogLevelView {
    tenant: String,
    #[serde(flatten)]
    set: LogLevelsView,
}

/// What is set of it.
#[derive(Debug, Default, Serialize)]
pub struct LogLevelsView {
    /// Null: what its node logs.
    level: Option<String>,
    /// What holds in its place.
    temporary_level: Option<String>,
    until_time: Option<String>,
}

impl LogLevelView {
    pub fn of(tenant: String, told: &TenantLogLevel) -> Self {
        Self { tenant, set: told.into() }
    }
}

impl From<&TenantLogLevel> for LogLevelsView {
    fn from(told: &TenantLogLevel) -> Self {
        let name = |level: i32| (level != 0).then(|| enum_name(level, "LOG_LEVEL_", LogLevel::as_str_name));
        Self {
            level: name(told.level),
            temporary_level: name(told.temporary_level),
            until_time: rfc3339(&told.until_time),
        }
    }
}

impl LogLevelsView {
    /// What holds, in words.
    pub fn told(&self) -> String {
        let own = self.level.as_deref().unwrap_or("the node's");
        match (&self.temporary_level, &self.until_time) {
            (Some(level), Some(until)) => format!("{level} until {until}, then {own}"),
            _ => own.to_owned(),
        }
    }
}

impl Row for LogLevelView {
    const HEADER: &'static [&'static str] = &["tenant", "log level"];

    fn cells(&self) -> Vec<String> {
        vec![self.tenant.clone(), self.set.told()]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        vec![("tenant", self.tenant.clone()), ("log level", self.set.told())]
    }
}
